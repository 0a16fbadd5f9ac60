"""Which layers become one unit, and that every unit computes its layers: whole networks against NumPy."""

import numpy as np
import pytest
from engine.agreement import assert_compiled_equals_numpy
from hypothesis import given, settings
from networks.drawn import exact_graphs
from networks.features import NETWORKS, delayed_edges, scaled_currents, sums_and_averages
from networks.lenet import small_lenet
from networks.making import random_inputs

from asnn_deploy.engine.compiled import Synapses
from asnn_deploy.engine.executor import Executor
from asnn_deploy.engine.population import Population
from asnn_deploy.engine.units import Memoryless, Stepwise
from asnn_deploy.quantizing import quantize


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


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.__name__)
def test_units_stand_for_each_layer_once_and_give_what_is_wanted(network):
    """Whatever is read from outside: one signal, some, or all."""
    graph, steps = network(), range(network().time_steps)
    names = list(graph.by_name)
    frames = graph.code.frames(random_inputs(graph, 2)).astype(np.uint8)
    plain = Executor(graph, compiled=False)
    blocks = plain.blocks()

    def run(executor):
        executor.reset(2)
        parts = [executor.advance(block, {"input": frames[block.start : block.stop]}) for block in blocks]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    expected = run(plain)
    rng = np.random.default_rng(len(names))
    for wanted in ([], [names[-1]], names, *(list(rng.choice(names, 2, replace=False)) for _ in range(3))):
        executor = Executor(graph, wanted=wanted)
        stood_for = [name for unit in executor.units for name in unit.layers]
        assert sorted(stood_for) == sorted(names)
        found = run(executor)
        for name in (*wanted, graph.readout.name):
            assert found[name].dtype == expected[name].dtype
            assert len(found[name]) == len(steps)
            assert np.array_equal(found[name], expected[name]), name


def test_what_is_read_elsewhere_is_not_fused_away():
    """Two readers, a delay, a reader in another part of the network, or somebody outside: each keeps a signal."""
    graph = small_lenet()

    def fused(wanted=(), layers=None):
        return [unit.layers for unit in Executor(graph, layers, wanted, potentials=False).units]

    assert fused()[0] == ("conv1", "lif1", "pool1")
    assert fused(["conv1"])[:2] == [("conv1",), ("lif1", "pool1")]
    assert fused(["lif1"])[0] == ("conv1", "lif1", "pool1"), "neurons and what pools them are both given"
    assert fused(layers=["conv1"]) == [("conv1",)]
    assert fused(layers=["conv1", "lif1"]) == [("conv1", "lif1")]
    late = Executor(delayed_edges(), wanted=[])
    assert [unit.layers for unit in late.units][:2] == [("a", "lif1"), ("b", "lif2")]
    both = Executor(scaled_currents(), wanted=[])
    assert ("a",) in [unit.layers for unit in both.units], "a scale stands between"


def test_only_layers_that_are_the_same_at_all_steps_run_at_once():
    kinds = {unit.layers: type(unit) for unit in Executor(sums_and_averages()).units}
    assert kinds["average",] is Memoryless
    assert kinds["readout",] is Stepwise
    assert all(isinstance(unit, Stepwise) for unit in Executor(sums_and_averages(), compiled=False).units)
