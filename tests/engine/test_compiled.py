"""Compiled layers against the NumPy definitions, on every kind of layer and at the edges of the registers."""

import numpy as np
import pytest
from exactness import assert_order_free
from hypothesis import example, given, settings
from hypothesis import strategies as st
from networks.drawn import convolutions, exact_graphs
from networks.features import NETWORKS
from networks.lenet import small_lenet
from networks.making import constant, random_inputs
from neuron_steps import fixed_step

from asnn_deploy.engine import choice
from asnn_deploy.engine.choice import Choice
from asnn_deploy.engine.compiled import Synapses
from asnn_deploy.engine.executor import Executor
from asnn_deploy.engine.population import Population
from asnn_deploy.engine.runner import Runner, run
from asnn_deploy.engine.units import Stepwise
from asnn_deploy.input.coding import input_code
from asnn_deploy.ir.fixed_point import GAIN_BITS, LEAK_BITS, STATE_BITS, largest
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.images import InputCode
from asnn_deploy.ir.layers import Conv, Flatten, Linear, Neuron, Pool, Readout
from asnn_deploy.ir.neurons import lif
from asnn_deploy.ir.step_table import StepTable
from asnn_deploy.ir.trace import Record
from asnn_deploy.quantize import quantize

ALL = Record(spikes=True, potentials=True, step_logits=True)


def assert_compiled_equals_numpy(graph, images):
    """Fused as far as possible, not fused at all, and in NumPy."""
    assert_order_free(graph)
    neurons = [neuron.name for neuron in graph.spiking]
    expected = Executor(graph, compiled=False).run(images, ALL)
    fused = Executor(graph, wanted=[*neurons, graph.readout.name])
    for executor in (fused, Executor(graph)):
        found = executor.run(images, ALL)
        for name in neurons:
            assert np.array_equal(found.spikes[name], expected.spikes[name]), name
            assert np.array_equal(found.potentials[name], expected.potentials[name]), name
            assert found.potentials[name].dtype == expected.potentials[name].dtype
        assert np.array_equal(found.step_logits, expected.step_logits)
        assert np.array_equal(found.logits, expected.logits)
    return fused


@settings(max_examples=60)
@given(convolutions(), st.booleans(), st.booleans())
def test_every_convolution(drawn, fixed, analog):
    layer, shape = drawn
    if fixed:
        layer = Conv(
            "conv", layer.weight.astype(np.int8), None, layer.stride, layer.padding, layer.dilation, layer.groups
        )
    kind = np.int32 if fixed else np.float32
    layers = [layer, Readout("answer", constant(3, 2, kind), constant(1, 2, kind) if fixed else None)]
    code = input_code("direct" if analog else "latency", 2)
    graph = DeployGraph.chain(shape, code, layers, arithmetic="fixed" if fixed else "float32")
    fused = assert_compiled_equals_numpy(graph, random_inputs(graph, 3))
    assert isinstance(fused.units[0], Synapses)


@pytest.mark.parametrize("convert", [lambda graph: graph, quantize], ids=["float", "fixed"])
@settings(max_examples=30)
@given(exact_graphs())
def test_random_networks(convert, graph):
    assert_compiled_equals_numpy(convert(graph), random_inputs(graph, 5))


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.__name__)
def test_every_kind_of_layer(network):
    graph = network()
    assert_compiled_equals_numpy(graph, random_inputs(graph, 5))


@pytest.mark.parametrize("granularity", ["layer", "channel", "neuron"])
@pytest.mark.parametrize("convert", [lambda graph: graph, quantize], ids=["float", "fixed"])
def test_what_is_fused(granularity, convert):
    graph = convert(small_lenet(granularity=granularity, channels=2))
    fused = assert_compiled_equals_numpy(graph, random_inputs(graph, 6))
    assert [unit.layers for unit in fused.units] == [
        ("conv1", "lif1", "pool1"),
        ("conv2", "lif2", "pool2"),
        ("flatten",),
        ("fc1", "lif3"),
        ("fc2",),
        ("readout",),
    ]
    assert isinstance(fused.units[-2], Synapses)
    assert not any(isinstance(unit, (Synapses, Population)) for unit in Executor(graph, compiled=False).units)


@pytest.mark.parametrize("mode", ["max", "sum"])
@pytest.mark.parametrize(("kernel", "stride", "padding"), [((2, 2), (1, 2), (0, 0)), ((3, 2), (2, 1), (1, 1))])
def test_pooling(mode, kernel, stride, padding):
    graph = small_lenet()
    pool = Pool("pool1", mode, kernel, stride, padding)
    shape = pool.output_shape(graph.shapes["lif1"])
    readout = Readout("answer", constant(1, 4))
    layers = [*graph.layers[:2], pool, Flatten("f"), Linear("l", constant(np.ones((2, np.prod(shape))), 4)), readout]
    graph = DeployGraph.chain(graph.input_shape, graph.code, layers)
    fused = assert_compiled_equals_numpy(graph, random_inputs(graph, 5))
    assert fused.units[0].layers == ("conv1", "lif1", "pool1")


def population(tables, reset, width=1000):
    """A layer of neurons alone, whose currents can be anything that the registers hold."""
    steps = len(next(iter(tables.values())))
    code = InputCode("ones", np.ones((steps, 256)), np.zeros(steps, bool))
    weight = np.zeros((width, 8), np.int32)
    weight[:, 0] = 1
    layers = [
        Linear("fc", constant(weight, steps, np.int32)),
        Neuron("lif", "lif", {key: StepTable.per_step(value) for key, value in tables.items()}, reset),
        Readout("answer", constant(1, steps, np.int32)),
    ]
    graph = DeployGraph.chain((8,), code, layers, arithmetic="fixed")
    return Population(graph, None, graph.by_name["lif"], None, {"lif"}, True, False)


@pytest.mark.parametrize("reset", ["subtract", "zero"])
@pytest.mark.parametrize("shift", [0, 7, 30])
def test_integer_neurons_over_the_whole_range_of_their_registers(reset, shift):
    """1.2 million neuron-steps in all: extreme and random states, leaks of both signs, currents to either bound."""
    rng, width, samples, steps = np.random.default_rng(shift), 1000, 20, 10

    def drawn(bits, size):
        values = rng.integers(-largest(bits), largest(bits) + 1, size)
        edges = np.array([-largest(bits), largest(bits), 0, 1, -1])
        return np.where(rng.random(size) < 0.2, rng.choice(edges, size), values).astype(np.int32)

    # The product with the gain, its rounding and the sum with the rest must fit 32 bits: the proof's business.
    currents = drawn(15 if shift else 8, (steps, samples, width))
    top = (2**31 - 1 - 2**shift) // max(int(np.abs(currents).max()), 1) if shift else 2**13
    tables = {
        "leak": drawn(LEAK_BITS, (steps, width)),
        "gain": np.clip(drawn(GAIN_BITS, (steps, width)), -top, top),
        "gain_shift": np.full(steps, shift, np.int32),
        "threshold": np.abs(drawn(17, (steps, width))) + 1,
        "bias": drawn(STATE_BITS, (steps, width)),
    }
    unit = population(tables, reset)
    unit.reset(samples)
    state = drawn(STATE_BITS, (samples, width))
    unit.states[:, 0] = state
    v = state.astype(np.int64)
    for t, x in enumerate(currents):
        found = unit.advance(range(t, t + 1), x[None])["lif"][0]
        now = {key: table[t].astype(np.int64) for key, table in tables.items()}
        spikes, after = fixed_step(lif.model, {"v": v}, x.astype(np.int64), now, reset)
        v = after["v"]
        assert np.array_equal(found, spikes)
        assert np.array_equal(unit.states[:, 0], v)
    assert spikes.any()


@pytest.mark.parametrize(("bound", "kind"), [(32767, np.int16), (32768, np.int32)])
def test_accumulators_are_as_narrow_as_their_bound_allows(bound, kind):
    halves = [bound // 2, bound - bound // 2]
    weight = np.array([halves, [-h for h in halves], [halves[0], -halves[1]]], np.int32)
    code = InputCode("ones", np.ones((1, 256)), np.zeros(1, bool))
    layers = [Linear("fc", constant(weight, 1, np.int32)), Readout("answer", constant(1, 1, np.int32))]
    graph = DeployGraph.chain((2,), code, layers, arithmetic="fixed")
    fused = assert_compiled_equals_numpy(graph, np.zeros((2, 2), np.uint8))
    assert fused.units[0].types == [kind]
    logits = run(graph, np.zeros((1, 2), np.uint8)).logits[0]
    assert logits.tolist() == [bound, -bound, halves[0] - halves[1]]


def test_what_may_leave_a_register_is_computed_by_the_definition():
    """Hand-made integer graphs, without the quantiser's proof: nothing wraps, the membrane saturates.

    32-bit registers are too narrow for all three; float64 is exact for the first.
    """
    steps = 3
    for weight, gain, kind in ((127, 2**28, Population), (127, 2**40, Stepwise), (2**31 - 1, 1, Stepwise)):
        tables = {"leak": 4096, "gain": gain, "gain_shift": 0, "threshold": 2**29, "bias": 0}
        layers = [
            Linear("fc", constant([[weight]], steps, np.int64)),
            Neuron("lif", "lif", {key: constant(value, steps, np.int64) for key, value in tables.items()}),
            Readout("answer", constant(1, steps, np.int64)),
        ]
        graph = DeployGraph.chain((1,), input_code("direct", steps), layers, arithmetic="fixed")
        fused = assert_compiled_equals_numpy(graph, np.full((1, 1), 255, np.uint8))
        (unit,) = (unit for unit in fused.units if "lif" in unit.layers)
        assert isinstance(unit, kind)
        assert fused.run(np.full((1, 1), 255, np.uint8), ALL).potentials["lif"].max() == largest(STATE_BITS)


@pytest.mark.parametrize("events", [True, False])
@pytest.mark.parametrize("convert", [lambda graph: graph, quantize], ids=["float", "fixed"])
@settings(max_examples=10)
@given(exact_graphs())
@example(small_lenet())
def test_events_and_dense_products_are_equal(events, convert, graph):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Choice, "takes_events", lambda *_: events)
        assert_compiled_equals_numpy(convert(graph), random_inputs(graph, 4))


def test_the_choice_is_made_by_measurement(monkeypatch):
    clock = iter(np.cumsum([0, 1] + [0, 1] * 2 + [9, 11] * 3 + [5, 4] * 3).tolist())
    monkeypatch.setattr(choice, "perf_counter", lambda: next(clock))
    chosen = Choice(lambda x: None, lambda x: None)
    x = np.zeros((1, 2, 100), np.uint8)
    assert chosen.takes_events(x), "without events nothing is measured, and none cost nothing"
    x[0, :, :10] = 1
    chosen.takes_events(x)
    assert chosen.empty == 1 / 2
    assert chosen.each == (11 - 1) / 20
    assert chosen.product == 4 / 2
    assert not chosen.takes_events(x)
    x[0, :, 2:] = 0
    assert chosen.takes_events(x)


def test_threads_do_not_touch_each_other():
    graph = quantize(small_lenet())
    images = random_inputs(graph, 70)
    traces = []
    for threads in (1, 3):
        with Runner(graph, threads) as runner:
            traces.append([runner.run(images, ALL), runner.run(images[:5], Record()), runner.run(images[:1], ALL)])
    for one, other in zip(*traces):
        assert np.array_equal(one.logits, other.logits)
        for name in one.spikes:
            assert np.array_equal(one.spikes[name], other.spikes[name])


def test_no_multiply_add_is_fused():
    """One rounding where two are defined would show here: 1 + 2**-12 squared needs 25 bits."""
    value = np.float32(1 + 2.0**-12)
    graph = DeployGraph.chain(
        (1,),
        input_code("latency", 2),
        [
            Linear("fc", constant([[value]], 2)),
            Neuron("lif", "lif", {"leak": constant(value, 2), "gain": constant(value, 2), "threshold": constant(9, 2)}),
            Readout("answer", constant(1, 2)),
        ],
    )
    fused = assert_compiled_equals_numpy(graph, np.full((1, 1), 255, np.uint8))
    assert isinstance(fused.units[0], Population)
