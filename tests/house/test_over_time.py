"""Channels put together, and with delayed edges a convolution over time and space."""

from functools import partial

import naive
import numpy as np
import pytest
import torch
from networks.making import constant, grid_weights, linked, random_inputs, static_neuron
from torch.nn import functional

from asnn_deploy.engine.executor import Executor
from asnn_deploy.engine.runner import run
from asnn_deploy.errors import GraphError
from asnn_deploy.input.coding import input_code
from asnn_deploy.ir.graph import INPUT
from asnn_deploy.ir.inputs import SequenceInput
from asnn_deploy.ir.layers import Add, Concat, Conv, Flatten, Linear, Pool, Readout, Scale
from asnn_deploy.ir.trace import Record
from asnn_deploy.quantizing import quantize

STEPS, ALL = 5, Record(spikes=True, potentials=True, step_logits=True)


table = partial(constant, steps=STEPS)


def neuron(name):
    return static_neuron(name, STEPS, gain=0.75)


def graph_of(layers, shape=(2, 4, 4), code=None, **reads):
    return linked(shape, code or input_code("latency", STEPS), layers, reads)


def over_time(weight):
    """A convolution that reads the last steps of a sequence: weight `[out, in, D, KH, KW]`, the newest step first."""
    out, channels, depth, *kernel = weight.shape
    joined = weight.transpose(0, 2, 1, 3, 4).reshape(out, depth * channels, *kernel)
    layers = [
        Concat("recent"),
        Conv("conv", table(joined), None, padding=(1, 1)),
        neuron("lif"),
        Flatten("flat"),
        Linear("fc", table(grid_weights(np.random.default_rng(1), (3, out * 16)))),
        Readout("readout", table(1.0)),
    ]
    recent = [(INPUT, delay) for delay in range(depth)]
    return graph_of(layers, (channels, 4, 4), SequenceInput(STEPS, "counts", 3), recent=recent)


def test_it_is_the_causal_convolution_over_time_and_space_of_torch():
    rng = np.random.default_rng(0)
    weight = grid_weights(rng, (4, 2, 3, 3, 3))
    graph = over_time(weight)
    x = rng.integers(0, 4, (6, STEPS, 2, 4, 4)).astype(np.uint8)
    # In torch's order the oldest step comes first, and what lies before the sequence is zero.
    video = functional.pad(torch.tensor(x).float().permute(0, 2, 1, 3, 4), (1, 1, 1, 1, 2, 0))
    expected = functional.conv3d(video, torch.tensor(weight).flip(2)).permute(2, 0, 1, 3, 4).numpy()
    executor = Executor(graph, ["recent", "conv"])
    executor.reset(len(x))
    found = executor.advance(range(STEPS), {INPUT: x.swapaxes(0, 1)})["conv"]
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("fixed", [False, True])
def test_a_convolution_over_time_is_that_of_plain_numbers(fixed):
    graph = over_time(grid_weights(np.random.default_rng(0), (2, 1, 3, 3, 3)))
    graph = quantize(graph) if fixed else graph
    x = np.random.default_rng(2).integers(0, 4, (1, STEPS, 1, 4, 4)).astype(np.uint8)
    trace = run(graph, x, ALL)
    spikes, potentials, logits = naive.run(graph, x[0])
    assert spikes["lif"].any()
    assert np.array_equal(trace.spikes["lif"][:, 0], spikes["lif"])
    assert np.array_equal(trace.potentials["lif"][:, 0].astype(object), potentials["lif"])
    assert trace.logits[0].tolist() == [float(v) for v in logits]


def test_steps_run_together_where_nothing_comes_back():
    graph = over_time(grid_weights(np.random.default_rng(0), (2, 1, 3, 3, 3)))
    x = np.random.default_rng(2).integers(0, 4, (3, STEPS, 1, 4, 4)).astype(np.uint8)
    whole, by_step = Executor(graph), Executor(graph)
    assert whole.blocks() == [range(STEPS)]
    by_step.reset(len(x))
    frames = x.swapaxes(0, 1)
    for first, end in ((0, 1), (1, 3), (3, 5)):
        part = by_step.advance(range(first, end), {INPUT: frames[first:end]})
        assert np.array_equal(part["lif"], whole.run(x, ALL).spikes["lif"][first:end])


def two_currents(behind=()):
    """Two convolutions of different scales, side by side, then neurons."""
    rng = np.random.default_rng(0)
    layers = [
        Conv("a", table(grid_weights(rng, (2, 2, 3, 3))), table([0.5, -0.25]), padding=(1, 1)),
        Conv("b", table(grid_weights(rng, (1, 2, 1, 1)) * np.float32(3))),
        Concat("both"),
        *behind,
        neuron("lif"),
        Flatten("flat"),
        Linear("fc", table(grid_weights(rng, (3, 48)))),
        Readout("readout", table(1.0)),
    ]
    return graph_of(layers, b=[INPUT], both=["a", "b"])


@pytest.mark.parametrize("behind", [(), (Scale("factor", table([1.0, 0.5, 2.0])),)], ids=["plain", "scaled"])
def test_currents_put_together_keep_their_own_units(behind):
    graph = two_currents(behind)
    image = random_inputs(graph, 1)
    for version in (graph, quantize(graph)):
        trace, (spikes, _, logits) = run(version, image, ALL), naive.run(version, image[0])
        assert spikes["lif"].any()
        assert np.array_equal(trace.spikes["lif"][:, 0], spikes["lif"])
        assert trace.logits[0].tolist() == [float(v) for v in logits]


def test_synapses_read_channels_of_different_units():
    """A mean and a sum side by side: their integers are alike, and what these are worth is in the weights."""
    rng = np.random.default_rng(0)
    layers = [
        Conv("in", table(grid_weights(rng, (2, 2, 1, 1)))),
        neuron("lif"),
        Pool("mean", "average", (2, 2), (1, 1), (1, 1)),
        Pool("sum", "sum", (2, 2), (1, 1), (1, 1)),
        Concat("both"),
        Conv("odd", table(grid_weights(rng, (2, 4, 1, 1)))),
        neuron("last"),
        Flatten("flat"),
        Linear("fc", table(grid_weights(rng, (3, 50)))),
        Readout("readout", table(1.0)),
    ]
    graph = graph_of(layers, sum=["lif"], both=["mean", "sum"])
    fixed, images = quantize(graph), random_inputs(graph, 40)
    weight, whole = graph.by_name["odd"].weight.at(0), fixed.by_name["odd"].weight.at(0)
    ratio = np.abs(whole[:, 2:]).max() / np.abs(whole[:, :2]).max()  # sums count 4 times as much as means
    assert ratio == pytest.approx(4 * np.abs(weight[:, 2:]).max() / np.abs(weight[:, :2]).max(), rel=0.2)
    expected, got = (run(version, images, ALL) for version in (graph, fixed))
    assert np.mean(expected.spikes["last"] != got.spikes["last"]) < 0.05
    spikes, _, logits = naive.run(fixed, images[0])
    assert np.array_equal(got.spikes["last"][:, 0], spikes["last"])
    assert got.logits[0].tolist() == [float(v) for v in logits]


def test_a_factor_by_channel_behind_mixed_channels_has_no_common_unit():
    """Flattened currents whose elements are scaled one by one, added to others: said by name, not computed wrongly."""
    rng = np.random.default_rng(0)
    layers = [
        Flatten("pixels"),
        Conv("a", table(grid_weights(rng, (2, 2, 1, 1)))),
        Flatten("flat"),
        Scale("odd", table(rng.uniform(0.5, 1.5, 32))),
        Linear("b", table(grid_weights(rng, (32, 32)))),
        Add("sum"),
        neuron("lif"),
        Linear("fc", table(grid_weights(rng, (3, 32)))),
        Readout("readout", table(1.0)),
    ]
    graph = graph_of(layers, a=[INPUT], b=["pixels"], sum=["odd", "b"])
    run(graph, random_inputs(graph, 1))
    with pytest.raises(GraphError, match="layer 'odd'"):
        quantize(graph)


def test_sizes_must_agree():
    rng = np.random.default_rng(0)
    layers = [
        Conv("a", table(grid_weights(rng, (2, 2, 3, 3)))),
        Concat("both"),
        neuron("lif"),
        Flatten("flat"),
        Linear("fc", table(np.ones((3, 8)))),
        Readout("readout", table(1.0)),
    ]
    with pytest.raises(GraphError, match=r"layer 'both' \(concat\).*\(2, 2, 2\), \(2, 4, 4\)"):
        graph_of(layers, both=["a", INPUT])
