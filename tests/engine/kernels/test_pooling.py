"""Pooling of spikes, in a unit and alone."""

import numpy as np
import pytest
from engine.agreement import assert_compiled_equals_numpy
from networks.lenet import small_lenet
from networks.making import constant, random_inputs

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
