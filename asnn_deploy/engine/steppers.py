"""Steppers: each layer as something that is fed one time step after another.

`build(layer, graph)` gives an object with `reset(batch)` and `step(t, *inputs) -> output`. Signals are `[B, ...]`,
float32 in float graphs, int64 in fixed ones; spikes are 0 or 1 in that type. Adding a kind of layer means one class
here.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from asnn_deploy.analysis.ranges import arriving, largest_values
from asnn_deploy.engine.dense import ConvKernel, LinearKernel, ProductKernel, pool
from asnn_deploy.engine.signals import signal_type
from asnn_deploy.errors import GraphError
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.layers import Add, Conv, Flatten, Layer, Linear, Neuron, Pool, Product, Readout, Reshape, Scale
from asnn_deploy.ir.neurons import State, model_of
from asnn_deploy.ir.step_table import StepTable, over_axes
from asnn_deploy.util.arrays import Array


class Stepper(Protocol):
    """A layer, step by step."""

    def reset(self, batch: int) -> None:
        """Begin a new batch: state to zero."""

    def keep(self, samples: Array) -> None:
        """Go on with some of the batch's samples only, by their indices."""

    def step(self, t: int, *inputs: Array) -> Array:
        """What leaves the layer at step t."""


class Stateless:
    """A layer without memory."""

    def __init__(self, layer: Layer, graph: DeployGraph) -> None:
        self.layer, self.graph = layer, graph

    def reset(self, batch: int) -> None:
        """Nothing to do."""

    def keep(self, samples: Array) -> None:
        """Nothing to do."""

    def step(self, t: int, *inputs: Array) -> Array:
        """See Stepper."""
        raise NotImplementedError


class Synapses(Stateless):
    """Conv and Linear: one prepared kernel for each of the table's K weights."""

    def __init__(self, layer: Conv | Linear, graph: DeployGraph) -> None:
        super().__init__(layer, graph)
        kernel = ConvKernel if isinstance(layer, Conv) else LinearKernel
        self.index = layer.weight.index
        (largest,) = arriving(graph, layer, largest_values(graph))
        used = [
            max(largest[t] for t in range(graph.time_steps) if self.index[t] == k) if k in self.index else 0.0
            for k in range(len(layer.weight.values))
        ]
        self.kernels = [kernel(layer, w, bound) for w, bound in zip(layer.weight.values, used)]  # type: ignore[arg-type]
        self.bias = layer.bias
        self.dtype = signal_type(graph)
        self.shape = graph.shapes[layer.name]

    def step(self, t: int, *inputs: Array) -> Array:
        y = self.kernels[self.index[t]](inputs[0]).astype(self.dtype, copy=False)
        if self.bias is not None:
            y = y + over_axes(self.bias.at(t), self.shape)
        return y


class Scaling(Stateless):
    """Scale."""

    def step(self, t: int, *inputs: Array) -> Array:
        assert isinstance(self.layer, Scale)
        return inputs[0] * over_axes(self.layer.factor.at(t), self.graph.shapes[self.layer.name])


class Pooling(Stateless):
    """Pool."""

    def step(self, t: int, *inputs: Array) -> Array:
        assert isinstance(self.layer, Pool)
        return pool(self.layer, inputs[0])


class Reshaping(Stateless):
    """Flatten and Reshape."""

    def step(self, t: int, *inputs: Array) -> Array:
        return inputs[0].reshape(len(inputs[0]), *self.graph.shapes[self.layer.name])


class Adding(Stateless):
    """Add, from the first input on."""

    def step(self, t: int, *inputs: Array) -> Array:
        total = inputs[0]
        for x in inputs[1:]:
            total = total + x
        return total


class Multiplying(Stateless):
    """Product: the einsum over per-sample axes, for each sample."""

    def __init__(self, layer: Product, graph: DeployGraph) -> None:
        super().__init__(layer, graph)
        self.dtype = signal_type(graph)
        self.kernel = ProductKernel(layer, self.dtype, float(largest_values(graph)[layer.name].max(initial=0)))

    def step(self, t: int, *inputs: Array) -> Array:
        return self.kernel(*inputs).astype(self.dtype, copy=False)


class Firing:
    """Neuron: state and parameters of one population. `potential` is the membrane potential after the reset."""

    def __init__(self, layer: Neuron, graph: DeployGraph) -> None:
        self.model = model_of(layer)
        self.layer = layer
        self.shape = graph.shapes[layer.name]
        self.dtype = signal_type(graph)
        self.advance = self.model.step_fixed if graph.arithmetic == "fixed" else self.model.step_float
        # What is left out has its default; one of zero adds nothing, and the models skip it.
        known = self.model.fixed_parameters if graph.arithmetic == "fixed" else self.model.parameters
        defaults = {
            key: np.asarray(p.default, self.dtype)
            for key, p in known.items()
            if p.default and key not in layer.parameters
        }
        self.parameters = [
            {key: self._typed(table, t) for key, table in layer.parameters.items()} | defaults
            for t in range(graph.time_steps)
        ]
        self.state: State = ()

    def _typed(self, table: StepTable, t: int) -> Array:
        return over_axes(table.at(t).astype(self.dtype), self.shape)

    def reset(self, batch: int) -> None:
        """All states to zero."""
        self.state = tuple(np.zeros((batch, *self.shape), self.dtype) for _ in self.model.states)

    def keep(self, samples: Array) -> None:
        """The states of these samples."""
        self.state = tuple(state[samples] for state in self.state)

    def step(self, t: int, *inputs: Array) -> Array:
        """Spikes, 0 or 1."""
        spikes, self.state = self.advance(self.state, inputs[0], self.parameters[t], self.layer.reset)
        return spikes.astype(self.dtype)

    @property
    def potential(self) -> Array:
        """Membrane potential after the reset, `[B, ...]`."""
        return self.state[0]


class Answering(Stateless):
    """Readout: this step's summand; whoever runs the graph adds them up in order."""

    def step(self, t: int, *inputs: Array) -> Array:
        layer = self.layer
        assert isinstance(layer, Readout)
        shape = self.graph.shapes[layer.name]
        y = inputs[0] * over_axes(layer.scale.at(t), shape)
        if layer.bias is not None:
            y = y + over_axes(layer.bias.at(t), shape)
        return y


STEPPERS: dict[type[Layer], type] = {
    Conv: Synapses,
    Linear: Synapses,
    Scale: Scaling,
    Pool: Pooling,
    Flatten: Reshaping,
    Reshape: Reshaping,
    Neuron: Firing,
    Add: Adding,
    Product: Multiplying,
    Readout: Answering,
}


def build(layer: Layer, graph: DeployGraph) -> Stepper:
    """The stepper of a layer. Raises GraphError for a kind of layer that has none."""
    if type(layer) not in STEPPERS:
        raise GraphError(f"layer {layer.name!r} ({layer.kind}): no executor knows this kind of layer")
    stepper: Stepper = STEPPERS[type(layer)](layer, graph)
    return stepper
