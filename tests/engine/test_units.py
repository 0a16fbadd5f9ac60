"""Which layers become one unit, and that every unit computes its layers: whole networks against NumPy."""

import pytest
from engine.agreement import assert_compiled_equals_numpy
from hypothesis import given, settings
from networks.drawn import exact_graphs
from networks.features import NETWORKS
from networks.lenet import small_lenet
from networks.making import random_inputs

from asnn_deploy.engine.compiled import Synapses
from asnn_deploy.engine.executor import Executor
from asnn_deploy.engine.population import Population
from asnn_deploy.quantize import quantize


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
