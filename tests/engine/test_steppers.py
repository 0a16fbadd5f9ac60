"""Layers stepped by hand, in plain loops with a list of what was sent, against whole executors."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
from networks.features import NETWORKS, recurrent, weights_at_each_step
from networks.making import random_inputs

from asnn_deploy.engine.executor import Executor
from asnn_deploy.engine.steppers import Firing, build
from asnn_deploy.errors import GraphError
from asnn_deploy.ir.layers import Layer
from asnn_deploy.ir.step_table import StepTable


def stepped(graph, samples):
    """All signals `[T, B, ...]` by name: each layer's stepper reads what its edges' sources sent so many steps ago."""
    steppers = {layer.name: build(layer, graph) for layer in graph.layers}
    for stepper in steppers.values():
        stepper.reset(len(samples))
    sent = {"input": list(graph.code.frames(samples).astype(np.float32)), **{name: [] for name in steppers}}
    for t in range(graph.time_steps):
        for name, stepper in steppers.items():
            inputs = [
                sent[edge.source][t - edge.delay]
                if t >= edge.delay
                else np.zeros((len(samples), *graph.shapes[edge.source]), np.float32)
                for edge in graph.inputs_of[name]
            ]
            sent[name].append(stepper.step(t, *inputs))
    return {name: np.stack(signals) for name, signals in sent.items()}


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.__name__)
def test_steps_by_hand_are_those_of_the_executor(network):
    """With loops, delays and tables of every kind, and compiled units."""
    graph = network()
    samples = random_inputs(graph, 2)
    by_hand = stepped(graph, samples)
    executor = Executor(graph)
    executor.reset(2)
    for t in range(graph.time_steps):
        found = executor.step(t, {"input": graph.code.frame(samples, t).astype(np.uint8)})
        for name, signals in by_hand.items():
            assert np.array_equal(found[name], signals[t]), (name, t)


def test_synapses_step_by_the_table_in_force():
    graph = weights_at_each_step()
    layer = graph.by_name["a"]
    stepper = build(layer, graph)
    x = np.ones((1, *graph.input_shape), np.float32)
    for t in range(graph.time_steps):
        tables = {key: StepTable.constant(table.at(t), graph.time_steps) for key, table in layer.tables().items()}
        one = build(replace(layer, **tables), graph)
        assert np.array_equal(stepper.step(t, x), one.step(0, x))
    assert not np.array_equal(stepper.step(0, x), stepper.step(1, x))


def test_neurons_start_at_0_and_keep_the_samples_asked_for():
    graph = recurrent()
    neurons = build(graph.by_name["lif1"], graph)
    assert isinstance(neurons, Firing)
    x = np.random.default_rng(0).uniform(-1, 8, (3, *graph.shapes["lif1"])).astype(np.float32)
    neurons.reset(3)
    first = neurons.step(0, x)
    second = neurons.step(1, x)
    assert set(np.unique(first)) == {0, 1}
    neurons.reset(3)
    assert not neurons.potential.any()
    assert np.array_equal(neurons.step(0, x), first)
    neurons.keep(np.array([2, 0]))
    assert np.array_equal(neurons.step(1, x[[2, 0]]), second[[2, 0]])


@dataclass(frozen=True)
class Unknown(Layer):
    """A kind of layer that says nothing of itself."""

    kind: ClassVar[str] = "unknown"


def test_a_kind_that_is_not_defined_in_numpy_is_refused_by_name():
    with pytest.raises(GraphError, match="layer 'odd' \\(unknown\\): has no definition in NumPy"):
        build(Unknown("odd"), recurrent())
