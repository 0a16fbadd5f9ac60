"""Steppers: each layer as something that is fed one time step after another, in NumPy.

`build(layer, graph)` gives an object with `reset(batch)` and `step(t, *inputs) -> output`. Signals are `[B, ...]`,
float32 in float graphs, int64 in fixed ones; spikes are 0 or 1 in that type. A layer is computed by its own definition
(`Layer.compute`); those that are worth preparing have a stepper here.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Protocol

import numpy as np

from asnn_deploy.analysis.flow import flow
from asnn_deploy.engine.dense import ConvKernel, LinearKernel, ProductKernel, pool
from asnn_deploy.engine.signals import signal_type
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.layers import Conv, Layer, Linear, Neuron, Pool, Product, Synapses
from asnn_deploy.ir.neurons import State
from asnn_deploy.ir.neurons.operations import FLOATS, INTEGERS
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
    """A layer without memory, by its own definition."""

    def __init__(self, layer: Any, graph: DeployGraph) -> None:
        self.layer, self.graph = layer, graph

    def reset(self, batch: int) -> None:
        """Nothing to do."""

    def keep(self, samples: Array) -> None:
        """Nothing to do."""

    def step(self, t: int, *inputs: Array) -> Array:
        """See Stepper."""
        y: Array = self.layer.compute(t, *inputs)
        return y


class Summing(Stateless):
    """Synapses: one prepared kernel for each of the table's K weights."""

    def __init__(self, layer: Synapses, graph: DeployGraph) -> None:
        super().__init__(layer, graph)
        self.index = layer.weight.index
        (arriving,) = flow(graph).arriving(layer.name)
        kernel: Any = KERNELS[type(layer)]
        used = [
            max((x.largest for x, i in zip(arriving, self.index) if i == k), default=0.0)
            for k in range(len(layer.weight.values))
        ]
        self.kernels = [kernel(layer, w, bound) for w, bound in zip(layer.weight.values, used)]
        self.dtype = signal_type(graph)
        self.shape = graph.shapes[layer.name]

    def step(self, t: int, *inputs: Array) -> Array:
        y = self.kernels[self.index[t]](inputs[0]).astype(self.dtype, copy=False)
        return self.layer.biased(y, t, self.shape)  # type: ignore[no-any-return]


class Pooling(Stateless):
    """Pool."""

    def step(self, t: int, *inputs: Array) -> Array:
        return pool(self.layer, inputs[0])


class Multiplying(Stateless):
    """Product: the einsum over per-sample axes, for each sample."""

    def __init__(self, layer: Product, graph: DeployGraph) -> None:
        super().__init__(layer, graph)
        self.dtype = signal_type(graph)
        self.kernel = ProductKernel(layer, self.dtype, float(flow(graph)[layer.name].largest.max(initial=0)))

    def step(self, t: int, *inputs: Array) -> Array:
        return self.kernel(*inputs).astype(self.dtype, copy=False)


class Firing:
    """Neuron: state and parameters of one population. `potential` is the membrane potential after the reset."""

    def __init__(self, layer: Neuron, graph: DeployGraph) -> None:
        fixed = graph.arithmetic == "fixed"
        self.model, self.shape, self.dtype = layer.definition, graph.shapes[layer.name], signal_type(graph)
        self.operations: Any = INTEGERS if fixed else FLOATS
        self.advance = self.model.step_fixed if fixed else self.model.step
        self.parameters: list[SimpleNamespace] = [
            layer.parameters_at(t, self.shape, self.dtype, fixed) for t in range(graph.time_steps)
        ]
        self.state = State()

    def reset(self, batch: int) -> None:
        """All states to what they are before the first step."""
        shape = (batch, *self.shape)
        self.state = self.model.before(
            self.parameters[0], np.zeros(shape, self.dtype), lambda value: np.broadcast_to(value, shape)
        )

    def keep(self, samples: Array) -> None:
        """The states of these samples."""
        self.state = State(**{name: state[samples] for name, state in vars(self.state).items()})

    def step(self, t: int, *inputs: Array) -> Array:
        """What the neurons send: spikes, 0 or 1, or their potential."""
        sent, self.state = self.advance(self.operations, self.state, inputs[0], self.parameters[t])
        return sent.astype(self.dtype)  # type: ignore[no-any-return]

    @property
    def potential(self) -> Array:
        """Membrane potential after the reset, `[B, ...]`."""
        return getattr(self.state, self.model.states[0])  # type: ignore[no-any-return]


KERNELS: dict[type[Layer], type] = {Conv: ConvKernel, Linear: LinearKernel}
STEPPERS: dict[type[Layer], type] = {
    Conv: Summing,
    Linear: Summing,
    Pool: Pooling,
    Product: Multiplying,
    Neuron: Firing,
}
"""Kinds of layers that are prepared before they are stepped; all others are computed as they define themselves."""


def build(layer: Layer, graph: DeployGraph) -> Stepper:
    """Return the stepper of a layer. Raises GraphError for a kind of layer that is not defined in NumPy."""
    stepper: Stepper = STEPPERS.get(type(layer), Stateless)(layer, graph)
    if isinstance(stepper, Stateless) and type(stepper) is Stateless and type(layer).compute is Layer.compute:
        layer.compute(0)  # refuses, in its own words
    return stepper
