from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import random_graph, random_images, random_neuron, small_lenet

from asnn_deploy.errors import GraphError, InputError
from asnn_deploy.fixed_point import ACCUMULATOR_BITS, STATE_BITS, largest
from asnn_deploy.graph import Conv, Linear, Neuron
from asnn_deploy.neurons import lif
from asnn_deploy.quantize import calibrate, membrane_bound, quantize
from asnn_deploy.ranges import largest_values
from asnn_deploy.reference import Executor, run
from asnn_deploy.step_table import StepTable
from asnn_deploy.trace import Record


def with_bits(graph, bits):
    return replace(graph, quantization={"bits": float(bits)})


@pytest.mark.parametrize("coding", ["direct", "latency", "hybrid-latency"])
def test_eight_bits_stay_close_to_float(coding):
    graph = small_lenet(coding=coding, granularity="channel")
    images = random_images(graph, 200)
    expected, got = (run(g, images, Record(spikes=True)) for g in (graph, quantize(graph)))
    for name in expected.spikes:
        assert np.mean(expected.spikes[name] != got.spikes[name]) < 0.03, name
    assert np.mean(expected.predictions == got.predictions) > 0.9
    assert np.abs(expected.logits - got.logits).mean() < 0.05


def test_weights_have_the_bits_asked_for():
    for bits in range(2, 9):
        for layer in quantize(with_bits(small_lenet(), bits)).layers:
            if isinstance(layer, (Conv, Linear)):
                assert layer.weight.dtype == np.int8
                assert np.abs(layer.weight.values).max() == 2 ** (bits - 1) - 1


def test_fewer_bits_disagree_more():
    graph = small_lenet()
    images = random_images(graph, 200)
    record = Record(spikes=True)
    expected = run(graph, images, record)
    wrong = []
    for bits in (8, 4, 2):
        got = run(quantize(with_bits(graph, bits)), images, record)
        wrong.append(sum(np.count_nonzero(got.spikes[k] != expected.spikes[k]) for k in got.spikes))
    assert wrong[0] < wrong[1] < wrong[2]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_no_value_leaves_its_register(seed):
    """Interval arithmetic promises it; the executor is watched while it runs."""
    graph = quantize(random_graph(seed))
    executor, images = Executor(graph), random_images(graph, 8, seed)
    images[0], images[1] = 0, 255
    executor.reset(len(images))
    bounds = {}
    for neuron in graph.neurons:
        source = graph.by_name[graph.inputs_of[neuron.name][0].source]
        if isinstance(source, (Conv, Linear)):
            feeds = largest_values(graph)[graph.inputs_of[source.name][0].source]
            sums = [
                np.abs(source.weight.at(t).astype(int)).reshape(len(source.weight.at(t)), -1).sum(1).max() * feeds[t]
                for t in range(graph.time_steps)
            ]
            bounds[neuron.name] = membrane_bound(neuron, np.array(sums))
    for t in range(graph.time_steps):
        signals = executor.step(t, {"input": graph.code.frame(images, t).astype(np.int64)})
        for layer in graph.layers:
            assert np.abs(signals[layer.name]).max() <= largest(ACCUMULATOR_BITS), layer.name
        for name, bound in bounds.items():
            assert np.abs(executor.potential(name)).max() <= bound[t] + 1, name
            assert bound[t] <= largest(STATE_BITS)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_saturation_never_acts(seed):
    """Thresholds per channel, biases of the neuron, both resets: what interval arithmetic promised never saturates."""
    rng = np.random.default_rng(seed)
    graph = random_graph(seed)
    layers = []
    for layer in graph.layers:
        if isinstance(layer, Neuron):
            channels = graph.shapes[layer.name][:1]
            shape = (graph.time_steps, *channels)
            extra = {
                key: StepTable.per_step(rng.uniform(low, high, shape).astype(np.float32))
                for key, low, high in (("threshold", 0.1, 40.0), ("bias", -0.5, 3.0))
            }
            layer = replace(layer, parameters={**layer.parameters, **extra})
        layers.append(layer)
    fixed = quantize(replace(graph, layers=tuple(layers)))
    images = random_images(graph, 6, seed)
    images[0], images[1] = 0, 255
    seen = []

    def watched(x, bits):
        seen.append(x.size)
        assert np.abs(x).max(initial=0) <= largest(bits)
        return x

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(lif, "saturate", watched)
        run(fixed, images)
    assert seen


def test_a_quiet_neuron_keeps_what_its_own_threshold_allows():
    """One channel's threshold is far above the other's: the bound must count what the quiet one gathers."""
    graph = small_lenet()
    thresholds = np.ones(6, np.float32)
    thresholds[1:] = 50
    tables = {"threshold": StepTable.constant(thresholds, 4), "bias": StepTable.constant(np.full(6, 20, np.float32), 4)}
    for reset in ("subtract", "zero"):
        layers = [
            replace(x, parameters={**x.parameters, **tables}, reset=reset) if x.name == "lif1" else x
            for x in graph.layers
        ]
        fixed = quantize(replace(graph, layers=tuple(layers)))
        executor = Executor(fixed)
        executor.reset(4)
        neuron, images = fixed.by_name["lif1"], random_images(graph, 4)
        feeds = np.abs(fixed.by_name["conv1"].weight.values.astype(int)).sum(axis=(2, 3, 4)).max() * 255.0
        bound = membrane_bound(neuron, np.full(4, feeds))
        for t in range(4):
            executor.step(t, {"input": graph.code.frame(images, t).astype(np.int64)})
            assert np.abs(executor.potential("lif1")).max() <= bound[t]


def test_calibration_does_not_make_it_worse():
    graph = small_lenet(seed=3)
    images = random_images(graph, 64)
    record = Record(spikes=True)
    expected = run(graph, images, record)

    def wrong(g):
        got = run(quantize(g), images, record)
        return sum(np.count_nonzero(got.spikes[k] != expected.spikes[k]) for k in got.spikes)

    chosen = calibrate(graph, images, bits=3)
    assert set(chosen.quantization) == {"bits", "conv1", "conv2", "fc1", "fc2"}
    assert wrong(chosen) <= wrong(with_bits(graph, 3))


@pytest.mark.parametrize("bits", [1, 9, 0, -3])
def test_bits_outside_the_range(bits):
    with pytest.raises(InputError, match=f"--bits {bits}: weights have 2 to 8 bits"):
        quantize(with_bits(small_lenet(), bits))


def changed(key, value):
    graph = small_lenet()
    rng = np.random.default_rng(0)
    neuron = random_neuron(rng, "lif1", graph.time_steps)
    table = StepTable.constant(np.float32(value), graph.time_steps)
    new = replace(neuron, parameters={**neuron.parameters, key: table})
    return replace(graph, layers=tuple(new if layer.name == "lif1" else layer for layer in graph.layers))


def test_a_leak_outside_the_format_is_named():
    with pytest.raises(GraphError, match=r"'lif1' \(neuron\): leak 8.5 at step 0 lies outside the format's range"):
        quantize(changed("leak", 8.5))


def test_a_membrane_that_cannot_fit_is_named():
    with pytest.raises(GraphError, match=r"'lif1' \(neuron\): its membrane potential can leave 24 bits"):
        quantize(changed("gain", 1e6))
