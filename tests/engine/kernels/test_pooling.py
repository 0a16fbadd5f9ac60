"""Pooling of spikes, in a unit and alone."""

import numpy as np
import pytest
from engine.agreement import assert_compiled_equals_numpy
from hypothesis import given, settings
from hypothesis import strategies as st
from networks.lenet import small_lenet
from networks.making import constant, random_inputs

from asnn_deploy.engine import dense
from asnn_deploy.engine.kernels.pooling import pool
from asnn_deploy.engine.layout import poolable, window
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.layers import Flatten, Linear, Pool, Readout


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


@settings(max_examples=60)
@given(
    st.sampled_from(["max", "sum"]),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.tuples(st.integers(0, 1), st.integers(0, 1)),
    st.integers(1, 5),
    st.integers(0, 999),
)
def test_any_window_of_spikes(mode, kernel, stride, padding, channels, seed):
    """Written where it is told to, and nowhere else."""
    layer = Pool("p", mode, kernel, stride, padding)
    shape = (channels, 4, 5)
    spikes = np.random.default_rng(seed).integers(0, 2, shape).astype(np.uint8)
    expected = dense.pool(layer, spikes[None].astype(np.float32))[0]
    flat = np.moveaxis(expected, 0, -1).ravel()
    out = np.full(flat.size + 7, 99, np.uint8)
    last = np.ascontiguousarray(np.moveaxis(spikes, 0, -1)).ravel()
    pool(last, 4, 5, channels, window(layer, layer.output_shape(shape)), out, 3)
    assert out[3:-4].tolist() == flat.tolist()
    assert set(out[:3]) | set(out[-4:]) == {99}


@pytest.mark.parametrize("kernel", [(15, 17), (5, 51)])
def test_a_byte_holds_the_largest_sum_of_spikes(kernel):
    layer = Pool("p", "sum", kernel, (1, 1))
    out = np.zeros(1, np.uint8)
    pool(np.ones(255, np.uint8), *kernel, 1, window(layer, (1, 1, 1)), out, 0)
    assert poolable(layer)
    assert out.tolist() == [255]
