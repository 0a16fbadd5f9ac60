"""The proof of no overflow, held against an adversary that builds the inputs which reach the bounds."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks.drawn import exact_graphs
from networks.lenet import small_lenet
from networks.making import constant, random_inputs

from asnn_deploy.analysis.flow import flow
from asnn_deploy.analysis.overflow import magnitude, prove
from asnn_deploy.engine.executor import Executor
from asnn_deploy.errors import GraphError
from asnn_deploy.ir.fixed_point import ACCUMULATOR_BITS, LEAK_BITS, STATE_BITS, largest
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.images import PIXEL_LEVELS, InputCode
from asnn_deploy.ir.layers import Conv, Flatten, Linear, Neuron, Readout
from asnn_deploy.ir.step_table import StepTable
from asnn_deploy.quantizing import Quantization, quantize

T, SIDE = 6, 5


def bitwise_code():
    """A pixel's bits are its spikes, step by step: an adversary can have any input."""
    table = np.arange(PIXEL_LEVELS)[None] >> np.arange(T)[:, None] & 1
    return InputCode("bits", table, np.zeros(T, bool))


def attacked(seed):
    """A convolution whose middle output sees a whole window, its neurons, and something behind them."""
    rng = np.random.default_rng(seed)
    per_step = lambda low, high, *shape: StepTable.per_step(rng.uniform(low, high, (T, *shape)).astype(np.float32))
    channels, size = int(rng.integers(1, 4)), float(rng.choice([0.05, 0.3, 2.0]))
    weight = rng.normal(0, size, (4, channels, 3, 3)).astype(np.float32)
    grain = [(), (4,), (4, 1, 1)][rng.integers(3)]
    parameters = {"leak": per_step(0.2, 1.1, *grain), "gain": per_step(0.3, 1.2, *grain)}
    if rng.integers(2):
        parameters["threshold"] = per_step(0.5, 2.0, *grain)
    layers = [
        Conv("conv", StepTable.constant(weight, T), None, (1, 1), (1, 1)),
        Neuron("lif", "lif", parameters, ["subtract", "zero"][rng.integers(2)]),
        Flatten("flat"),
        Linear("fc", constant(rng.normal(0, 1, (3, 4 * SIDE * SIDE)), T)),
        Readout("readout", constant(1 / T, T)),
    ]
    scales = Quantization(int(rng.integers(2, 9)), ["channel", "layer"][rng.integers(2)])
    return quantize(DeployGraph.chain((channels, SIDE, SIDE), bitwise_code(), layers, quantization=scales))


@settings(max_examples=40)
@given(st.integers(0, 10**6))
def test_the_adversary_reaches_the_bounds_and_never_passes_them(seed):
    graph = attacked(seed)
    weight, known = graph.by_name["conv"].weight.at(0), flow(graph)
    images = np.zeros((8, *graph.input_shape), np.uint8)
    for c in range(4):  # the middle window holds what excites channel c, then what inhibits it
        images[c, :, 1:4, 1:4] = (weight[c] > 0) * 255
        images[4 + c, :, 1:4, 1:4] = (weight[c] < 0) * 255
    executor = Executor(graph)
    executor.reset(8)
    sums, before = [], np.zeros((8, 4))
    reached = np.zeros((T, 8, 4))
    for t in range(T):
        p = {key: table.at(t).reshape(-1).astype(np.int64) for key, table in graph.by_name["lif"].parameters.items()}
        signals = executor.step(t, {"input": graph.code.frame(images, t).astype(np.int64)})
        x = signals["conv"][:, :, 2, 2]
        sums.append(x)
        reached[t] = np.fix(before * p["leak"] / 4096) + np.fix(x * p["gain"] / 2.0 ** p["gain_shift"]) + p["bias"]
        before = executor.potential("lif")[:, :, 2, 2]
    (least, most), membrane = known["conv"].bounds, known.reached["lif"]["v"]
    for c in range(4):
        assert (np.array(sums)[:, c, c] == most[:, c]).all(), "what excites reaches the bound exactly"
        assert (np.array(sums)[:, 4 + c, c] == least[:, c]).all()
    low, high = (np.broadcast_to(side, (T, 4)) for side in membrane)
    assert (reached >= low[:, None]).all()
    assert (reached <= high[:, None]).all()
    for c in range(4):
        assert (reached[:, 4 + c, c] == low[:, c]).all(), "nothing fires on the way down: the bound is exact"
        assert reached[:, c, c].max() * 2 >= high[:, c].max(), "on the way up it is reached within a factor of 2"


@settings(max_examples=30)
@given(exact_graphs())
def test_what_the_kernels_may_rely_on(graph):
    """Widths of every number and product of an integer graph."""
    graph = quantize(graph)
    known = prove(graph)
    for layer in graph.layers:
        assert known[layer.name].largest.max() <= largest(ACCUMULATOR_BITS)
        if isinstance(layer, Neuron):
            p = layer.parameters
            reached = known.reached[layer.name]
            assert magnitude(reached["product"]).max() <= largest(ACCUMULATOR_BITS)
            assert magnitude(reached["v"]).max() <= largest(STATE_BITS)
            assert np.abs(p["leak"].values).max() <= largest(LEAK_BITS)
            assert p["gain_shift"].shape == ()
            assert p["gain_shift"].values.min() >= 0
            assert p["gain_shift"].values.max() <= 30
            assert p["threshold"].values.min() > 0
            assert all(table.dtype == np.int32 for table in p.values())


def changed(graph, name, **fields):
    return replace(graph, layers=tuple(replace(x, **fields) if x.name == name else x for x in graph.layers))


@pytest.mark.parametrize(
    ("name", "what", "message"),
    [
        (
            "fc1",
            "weight",
            "layer 'fc1' (linear): a sum can reach 2.147e+10 at step 2, beyond the 2147483647 of 32 bits",
        ),
        ("lif1", "gain", "layer 'lif1' (neuron): its input times its gain can reach"),
        ("lif1", "leak", "layer 'lif1' (neuron): its membrane potential can reach"),
        ("readout", "scale", "layer 'readout' (readout): a sum can reach"),
    ],
)
def test_what_passes_a_register_is_refused_by_layer_step_and_bound(name, what, message):
    """Integer graphs by others: widened by hand at step 2."""
    graph = quantize(small_lenet())
    tables = graph.by_name[name].tables()
    values = tables[what].expanded().astype(np.int64)
    inputs = graph.by_name["fc1"].weight.shape[1]
    values[2] = {"weight": 10 * 2**31 // inputs, "leak": 2**30}.get(what, 2**31)
    table = StepTable.per_step(values)
    fields = {what: table} if name != "lif1" else {"parameters": {**tables, what: table}}
    with pytest.raises(GraphError) as found:
        prove(changed(graph, name, **fields))
    assert message in str(found.value)
    assert "at step 2" in str(found.value) or what == "leak"


def test_random_inputs_stay_inside_the_running_answer():
    graph = quantize(small_lenet())
    executor, images = Executor(graph), random_inputs(graph, 32)
    executor.reset(32)
    total, (low, high) = 0, flow(graph).reached["readout"]["sum"]
    for t in range(graph.time_steps):
        total = total + executor.step(t, {"input": graph.code.frame(images, t).astype(np.int64)})["readout"]
        assert (total >= low[t]).all()
        assert (total <= high[t]).all()
