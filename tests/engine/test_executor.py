"""The executors against plain Python numbers (tests/naive.py), on random networks of every layer kind; steps by parts."""

from dataclasses import replace
from functools import partial
from itertools import pairwise

import naive
import numpy as np
import pytest
from engine.agreement import ALL
from hypothesis import given, settings
from hypothesis import strategies as st
from networks.drawn import exact_graphs, integer_graphs
from networks.features import (
    delayed_edges,
    over_time,
    recurrent,
    residual,
    two_populations,
)
from networks.lenet import small_lenet
from networks.making import constant, linked, random_inputs

from asnn_deploy.engine.executor import Executor
from asnn_deploy.engine.runner import run
from asnn_deploy.input.coding import input_code
from asnn_deploy.ir.layers import Conv, Flatten, Linear, Neuron, Product, Readout, Scale
from asnn_deploy.quantizing import Quantization, quantize

one = partial(constant, steps=3)


def assert_equal_to_naive(graph, image=None):
    image = random_inputs(graph, 1)[0] if image is None else image
    trace = run(graph, image[None], ALL)
    spikes, potentials, logits = naive.run(graph, image)
    assert list(trace.spikes) == list(spikes)
    for name in spikes:
        assert np.array_equal(trace.spikes[name][:, 0], spikes[name]), name
        assert np.array_equal(trace.potentials[name][:, 0].astype(object), potentials[name]), name
    assert trace.logits[0].tolist() == [float(x) for x in logits]
    return trace


@settings(max_examples=40)
@given(exact_graphs())
def test_float_equals_plain_numbers(graph):
    assert_equal_to_naive(graph)


@settings(max_examples=200)
@given(integer_graphs())
def test_fixed_equals_plain_integers(graph):
    assert_equal_to_naive(graph)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@settings(max_examples=10_000)
@given(integer_graphs())
def test_ten_thousand_networks_equal_plain_integers(graph):
    assert_equal_to_naive(graph)


def test_products_of_spikes_in_integers():
    """Attention-like products, counts and delays; the other kinds of layer are in the random networks."""
    rng, lif = np.random.default_rng(0), {"leak": one([0.5, 0.9, 0.2]), "gain": one(0.7)}
    layers = (
        Conv("c", one(rng.normal(0, 1, (3, 1, 3))), one(rng.normal(0, 0.3, 3)), (2,), (1,), (2,)),
        Neuron("a", "lif", {**lif, "bias": one([0.1, -0.2, 0.3])}, reset="zero"),
        Neuron("b", "lif", {**lif, "threshold": one([0.1, 0.2, 0.3])}),
        Product("both", "cl,dl->cd"),
        Flatten("f"),
        Linear("l", one(rng.normal(0, 1, (4, 9))), one(rng.normal(0, 1, 4))),
        Neuron("last", "lif", {"leak": one(-0.5), "gain": one(-1.5)}),
        Linear("m", one(rng.normal(0, 1, (2, 4)))),
        Readout("r", one([0.3, -0.4])),
    )
    graph = linked((1, 9), input_code("latency", 3), layers, {"b": ["c"], "both": ["a", ("b", 1)]})
    for scales in ("channel", "layer"):
        fixed = quantize(replace(graph, quantization=Quantization(5, scales)))
        fired = set()
        for seed in range(12):
            image = np.random.default_rng(seed).integers(0, 256, (1, 9)).astype(np.uint8)
            trace = assert_equal_to_naive(fixed, image)
            fired |= {name for name, spikes in trace.spikes.items() if spikes.any()}
        assert fired == {"a", "b", "last"}


@pytest.mark.parametrize("coding", ["direct", "hybrid-latency"])
def test_the_networks_used_here_spike(coding):
    graph = small_lenet(coding=coding)
    trace = run(graph, random_inputs(graph, 20), ALL)
    for name, spikes in trace.spikes.items():
        assert 0.005 < spikes.mean() < 0.6, name
    assert np.allclose(trace.step_logits.sum(0), trace.logits, atol=1e-5)


def test_a_part_of_the_graph_can_be_stepped():
    graph = small_lenet()
    images = random_inputs(graph, 3)
    first, rest = [layer.name for layer in graph.layers[:3]], [layer.name for layer in graph.layers[3:]]
    a, b, whole = Executor(graph, first), Executor(graph, rest), Executor(graph)
    for executor in (a, b, whole):
        executor.reset(3)
    for t in range(graph.time_steps):
        frame = graph.code.frame(images, t).astype(np.float32)
        left = a.step(t, {"input": frame})
        right = b.step(t, {"pool1": left["pool1"]})
        assert np.array_equal(right["readout"], whole.step(t, {"input": frame})["readout"])


def test_one_dimensional_products_scales_and_synaptic_currents():
    rng = np.random.default_rng(0)
    lif = {"leak": one(0.5), "gain": one(0.7), "threshold": one(1)}
    layers = (
        Conv("c", one(rng.integers(-4, 9, (3, 1, 3)) / 8), None, (2,), (1,), (2,)),
        Neuron("cuba", "cuba-lif", {**lif, "current_leak": one([0.3, 0.6, 0.9]), "bias": one(0.125)}, reset="zero"),
        Neuron("plain", "lif", lif),
        Product("both", "cl,dl->cd"),
        Scale("half", one(0.5)),
        Flatten("f"),
        Linear("l", one(rng.integers(-4, 9, (4, 9)) / 8)),
        Readout("r", one(1 / 3)),
    )
    graph = linked((1, 9), input_code("latency", 3), layers, {"plain": ["c"], "both": ["cuba", "plain"]})
    image = rng.integers(0, 256, (1, 9)).astype(np.uint8)
    trace = assert_equal_to_naive(graph, image)
    assert trace.spikes["cuba"].any()


def test_a_threshold_left_out_is_its_default():
    graph = small_lenet()
    images = random_inputs(graph, 5)
    layers = [
        replace(layer, parameters={k: v for k, v in layer.parameters.items() if k != "threshold"})
        if isinstance(layer, Neuron)
        else layer
        for layer in graph.layers
    ]
    without = replace(graph, layers=tuple(layers))
    for convert in (lambda g: g, quantize):
        assert np.array_equal(run(convert(without), images).logits, run(convert(graph), images).logits)


@pytest.mark.parametrize("network", [delayed_edges, over_time, residual])
@settings(max_examples=8)
@given(cuts=st.sets(st.integers(1, 3)))
def test_steps_in_any_parts_are_those_of_a_whole_run(network, cuts):
    """What delayed edges read may have been sent in an earlier part."""
    graph = network()
    frames = graph.code.frames(random_inputs(graph, 2)).astype(np.uint8)
    whole, parts = Executor(graph), Executor(graph)
    whole.reset(2)
    parts.reset(2)
    expected = whole.advance(range(graph.time_steps), {"input": frames})
    ends = [0, *sorted(cuts), graph.time_steps]
    for begin, end in pairwise(ends):
        found = parts.advance(range(begin, end), {"input": frames[begin:end]})
        for name, signal in expected.items():
            assert np.array_equal(found[name], signal[begin:end]), name


@pytest.mark.parametrize("network", [recurrent, two_populations])
def test_loops_run_step_by_step_and_other_networks_at_once(network):
    steps = network().time_steps
    assert Executor(network()).blocks() == [range(t, t + 1) for t in range(steps)]
    assert Executor(delayed_edges()).blocks() == [range(steps)]


@settings(max_examples=10)
@given(st.permutations(range(5)), st.integers(1, 5), st.integers(1, 3))
def test_samples_that_are_kept_go_on_as_if_alone(order, count, begin):
    """Their states and their pasts come with them, in the order that is asked for."""
    graph = delayed_edges()
    kept = np.array(order[:count])
    images = random_inputs(graph, 5)
    some, alone = Executor(graph), Executor(graph)
    some.reset(5)
    alone.reset(count)
    for t in range(graph.time_steps):
        if t == begin:
            some.keep(kept)
        frame = graph.code.frame(images, t).astype(np.uint8)
        found = some.step(t, {"input": frame if t < begin else frame[kept]})
        expected = alone.step(t, {"input": frame[kept]})
        for name, signal in expected.items():
            assert np.array_equal(found[name][kept] if t < begin else found[name], signal), name


def test_a_profile_names_every_layer_and_times_the_first_of_fused_ones():
    graph = small_lenet()
    executor = Executor(graph, wanted=[graph.readout.name])
    times = executor.profile(random_inputs(graph, 2))
    assert list(times) == [layer.name for layer in graph.layers]
    first = {unit.layers[0] for unit in executor.units}
    assert {name for name, seconds in times.items() if seconds > 0} == first
