import itertools
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from networks.attention import transformer_block
from networks.features import residual
from networks.lenet import small_lenet
from networks.making import constant, linked, static_neuron

from asnn_deploy.analysis.flow import flow
from asnn_deploy.analysis.order_free import analyse, snap, snap_arrays
from asnn_deploy.engine.dense import ConvKernel
from asnn_deploy.ir.graph import INPUT, DeployGraph
from asnn_deploy.ir.layers import Add, Conv, Flatten, Linear, Pool, Readout
from asnn_deploy.ir.signals import grid_exponent
from asnn_deploy.ir.step_table import StepTable


@given(st.lists(st.integers(-1000, 1000), min_size=1, max_size=8), st.integers(-30, 10))
def test_grid_exponent(integers, exponent):
    values = np.array(integers, dtype=np.float64) * 2.0**exponent
    found = grid_exponent(values)
    if not any(integers):
        assert found is None
    else:
        assert all(v / 2.0**found == round(v / 2.0**found) for v in values)
        assert any(round(v / 2.0**found) % 2 for v in values)


@given(st.integers(0, 2**32 - 1), st.sampled_from([1.0, 2.0, 255.0]))
def test_snapped_sums_are_exact_in_every_order(seed, largest):
    rng = np.random.default_rng(seed)
    weight = rng.normal(0, rng.uniform(1e-3, 3), (2, 5)).astype(np.float32)
    bias = rng.normal(size=2).astype(np.float32)
    snapped, snapped_bias = snap_arrays(weight, bias, largest)
    x = rng.integers(0, int(largest) + 1, 5).astype(np.float32)
    for row, b in zip(snapped, snapped_bias):
        exact = float(np.sum(row.astype(np.float64) * x)) + float(b)
        for order in itertools.islice(itertools.permutations(range(5)), 0, 120, 7):
            total = np.float32(b)
            for i in order:
                total = np.float32(total + np.float32(row[i] * x[i]))
            assert float(total) == exact
    top = (np.abs(weight).sum(axis=1, dtype=float) * largest + np.abs(bias)).max()  # the grid is at most 2^-22 of this
    assert np.abs(snapped - weight).max() <= top * 2.0**-23


def unlike_orders(weight, bias, x):
    """How many outputs of torch's convolution and of the matrix product in NumPy differ."""
    layer = Conv("c", StepTable.constant(weight, 1), None, padding=(1, 1))
    mine = ConvKernel(layer, weight, 1.0)(x) + bias[:, None, None]
    with torch.backends.nnpack.flags(enabled=False):
        theirs = torch.nn.functional.conv2d(
            torch.from_numpy(x), torch.from_numpy(weight), torch.from_numpy(bias), padding=1
        )
    return int(np.count_nonzero(mine != theirs.numpy())), mine.size


def test_unsnapped_convolutions_differ_and_snapped_ones_do_not():
    rng = np.random.default_rng(0)
    weight = rng.normal(0, 0.1, (16, 24, 3, 3)).astype(np.float32)
    bias = rng.normal(size=16).astype(np.float32)
    x = (rng.random((4, 24, 12, 12)) < 0.2).astype(np.float32)
    differing, size = unlike_orders(weight, bias, x)
    assert differing > size / 20, "raw weights should have made these two libraries disagree"
    assert unlike_orders(*snap_arrays(weight, bias, 1.0), x) == (0, size)


@pytest.mark.parametrize("coding", ["direct", "hybrid-latency"])
def test_analyse_accepts_what_snap_makes(coding):
    graph = small_lenet(coding=coding)
    rough = noisy(graph)
    before = [e for entries in analyse(rough).values() for e in entries]
    after = [e for entries in analyse(snap(rough)).values() for e in entries]
    assert not all(e.exact for e in before)
    assert all(e.exact and e.bits <= 24 for e in after)
    assert snap(snap(rough)) == snap(rough)


def noisy(graph):
    from dataclasses import replace

    rng = np.random.default_rng(1)
    change = lambda w: (w + rng.normal(0, 1e-3, w.shape) * np.abs(w).mean()).astype(np.float32)
    layers = [
        replace(layer, weight=layer.weight.map(change)) if isinstance(layer, (Conv, Linear)) else layer
        for layer in graph.layers
    ]
    return replace(graph, layers=tuple(layers))


def test_a_layer_that_cannot_be_snapped_is_named():
    code = small_lenet().code
    one = partial(constant, steps=4)
    graph = DeployGraph.chain(
        (1, 6, 6),
        code,
        [
            Conv("conv", constant(np.full((2, 1, 3, 3), 0.1), 4), padding=(1, 1)),
            static_neuron("lif", 4),
            Pool("mean", "average", (3, 3), (3, 3)),
            Flatten("flat"),
            Linear("fc", constant(np.full((3, 8), 0.1), 4)),
            Readout("readout", one(0.25)),
        ],
    )
    (entry,) = analyse(snap(graph))["fc"]
    assert not entry.exact
    assert "'flat' is not made of spikes or small integers" in entry.reason


def late_input(bias=None):
    """A linear layer that reads the hybrid-coded image one step late, with other weights at each step."""
    rng = np.random.default_rng(2)
    code = small_lenet(time_steps=3).code
    weight = StepTable.per_step(rng.normal(size=(3, 4, 16)).astype(np.float32))
    one = partial(constant, steps=3)
    layers = (
        Flatten("flat"),
        Linear("fc", weight, bias),
        static_neuron("lif", 3),
        Linear("out", constant(rng.normal(size=(2, 4)), 3)),
        Readout("readout", one(1 / 3)),
    )
    return linked((1, 4, 4), code, layers, {"fc": [("flat", 1)]})


def test_a_delay_moves_the_analog_step():
    graph = snap(late_input())
    entries = analyse(graph)["fc"]
    assert all(e.exact for e in entries)
    pixels = np.random.default_rng(0).integers(0, 256, (50, 16)).astype(np.float32)
    weight = graph.by_name["fc"].weight.at(1)  # in force when the pixels arrive
    exact = pixels.astype(np.float64) @ weight.T.astype(np.float64)
    assert np.array_equal((pixels @ weight.T).astype(np.float64), exact)
    assert np.array_equal((pixels[:, ::-1] @ weight[:, ::-1].T).astype(np.float64), exact)
    rough = late_input().by_name["fc"].weight.at(1)
    assert not np.array_equal(
        (pixels @ rough.T).astype(np.float64), pixels.astype(np.float64) @ rough.T.astype(np.float64)
    )


def test_delayed_currents_are_no_events():
    graph = late_input()
    side = (
        Conv("side", constant(np.full((1, 1, 1, 1), 0.3), 3)),
        Flatten("side_flat"),
        Add("mixed"),
        Linear("fc3", constant(np.random.default_rng(0).normal(size=(4, 16)), 3)),
    )
    layers = (graph.layers[0], *side, *graph.layers[2:])
    links = {"side": [INPUT], "mixed": ["flat", ("side_flat", 1)]}
    (entry,) = analyse(snap(linked((1, 4, 4), graph.code, layers, links)))["fc3"]
    assert not entry.exact


def real_weights(graph, seed=0):
    """The graph with weights and biases of any float32 values."""
    rng = np.random.default_rng(seed)

    def real(table):
        return table.map(lambda values: rng.normal(0, 0.3, values.shape).astype(np.float32))

    layers = [
        replace(layer, weight=real(layer.weight), bias=layer.bias and real(layer.bias))
        if isinstance(layer, (Conv, Linear))
        else layer
        for layer in graph.layers
    ]
    return replace(graph, layers=tuple(layers))


def averaged():
    """Synapses that read quarters."""
    graph = small_lenet(coding="latency")
    layers = [replace(layer, mode="average") if isinstance(layer, Pool) else layer for layer in graph.layers]
    return replace(graph, layers=tuple(layers))


@pytest.mark.parametrize("network", [transformer_block, residual, averaged], ids=lambda network: network.__name__)
def test_counts_and_quarters_enter_the_grid(network):
    """What a layer can receive: the largest count of a residual addition, or fractions of an average."""
    graph = snap(real_weights(network()))
    for name, entries in analyse(graph).items():
        assert all(entry.exact for entry in entries), name
    for layer in (layer for layer in graph.layers if isinstance(layer, (Conv, Linear))):
        (arriving,) = flow(graph).arriving(layer.name)
        unit = 2.0**arriving.grid
        top = round(arriving.largest.max() / unit)
        weight, bias = layer.weight.at(0).reshape(len(layer.weight.at(0)), -1), layer.bias.at(0)
        rng = np.random.default_rng(0)
        x = (rng.integers(0, top + 1, (200, weight.shape[1])) * unit).astype(np.float32)
        x[0] = top * unit
        total = np.tile(bias, (len(x), 1)).astype(np.float32)
        for i in rng.permutation(weight.shape[1]):
            total = total + x[:, i, None] * weight[:, i]
        assert np.array_equal(total, x.astype(np.float64) @ weight.T.astype(np.float64) + bias), layer.name


def test_a_count_above_one_takes_a_coarser_grid():
    weight = np.random.default_rng(0).normal(0, 1, (4, 50)).astype(np.float32)
    grids = [grid_exponent(snap_arrays(weight, None, largest)[0]) for largest in (1.0, 3.0, 10.0)]
    assert grids[0] < grids[1] < grids[2]
