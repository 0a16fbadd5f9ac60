"""The kinds of layers that a DeployGraph is made of.

Adding a kind of layer means: one class here with its `output_shape`, one class in `engine/steppers.py`, one line in
each exporter that can carry it.

Shapes are those of one sample (no batch, no time): `(C, H, W)`, `(C, L)` or `(N,)`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from asnn_deploy.errors import GraphError
from asnn_deploy.ir.step_table import StepTable

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Layer:
    """Base of all layers. `name` is unique in its graph; letters, digits, `_`, `-` and `.` only."""

    name: str
    kind: ClassVar[str] = "layer"
    inputs: ClassVar[int | None] = 1
    """How many signals the layer takes; None means two or more."""

    def tables(self) -> dict[str, StepTable]:
        """The layer's step tables by name."""
        return {key: value for key, value in vars(self).items() if isinstance(value, StepTable)}

    def output_shape(self, *shapes: Shape) -> Shape:
        """The shape that leaves, given those that enter. Raises GraphError naming the layer and the shapes."""
        raise NotImplementedError

    def check_window(self, **sizes: tuple[int, ...]) -> None:
        """Kernel, stride and dilation are at least 1, padding at least 0. Raises GraphError."""
        for what, values in sizes.items():
            least = 0 if what == "padding" else 1
            if min(values) < least:
                raise self.refuse(f"{what} {values} must be at least {least}")

    def refuse(self, problem: str) -> GraphError:
        """A GraphError that names this layer."""
        return GraphError(f"layer {self.name!r} ({self.kind}): {problem}")


@dataclass(frozen=True)
class Conv(Layer):
    """1-D or 2-D convolution (cross-correlation, as in torch).

    weight `[K, C_out, C_in/groups, *kernel]`, bias `[K, C_out]`;
    stride, padding and dilation have one entry per spatial axis; padding is with zeros on both sides.
    """

    weight: StepTable
    bias: StepTable | None = None
    stride: tuple[int, ...] = (1, 1)
    padding: tuple[int, ...] = (0, 0)
    dilation: tuple[int, ...] = (1, 1)
    groups: int = 1
    kind: ClassVar[str] = "conv"

    def output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        if len(self.weight.shape) - 2 not in (1, 2):
            raise self.refuse(f"weight shape {self.weight.shape} is neither a 1-D nor a 2-D convolution's")
        c_out, c_in, *kernel = self.weight.shape
        if len(shape) != 1 + len(kernel):
            raise self.refuse(f"a {len(kernel)}-D convolution cannot read an input of shape {shape}")
        for what in ("stride", "padding", "dilation"):
            if len(getattr(self, what)) != len(kernel):
                raise self.refuse(f"{what} {getattr(self, what)} needs {len(kernel)} entries")
        self.check_window(kernel=tuple(kernel), stride=self.stride, padding=self.padding, dilation=self.dilation)
        if self.groups < 1 or shape[0] != c_in * self.groups or c_out % self.groups:
            raise self.refuse(f"weight {self.weight.shape} with groups={self.groups} cannot read {shape[0]} channels")
        if self.bias is not None and self.bias.shape != (c_out,):
            raise self.refuse(f"bias shape {self.bias.shape}, expected ({c_out},)")
        spatial = tuple(
            (n + 2 * p - d * (k - 1) - 1) // s + 1
            for n, k, s, p, d in zip(shape[1:], kernel, self.stride, self.padding, self.dilation)
        )
        if min(spatial) < 1:
            raise self.refuse(f"kernel {tuple(kernel)} does not fit into input {shape}")
        return (c_out, *spatial)


@dataclass(frozen=True)
class Linear(Layer):
    """Fully connected: `weight [K, out, in]`, `bias [K, out]`."""

    weight: StepTable
    bias: StepTable | None = None
    kind: ClassVar[str] = "linear"

    def output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        if len(self.weight.shape) != 2 or shape != self.weight.shape[1:]:
            raise self.refuse(f"weight {self.weight.shape} cannot read an input of shape {shape}")
        if self.bias is not None and self.bias.shape != self.weight.shape[:1]:
            raise self.refuse(f"bias shape {self.bias.shape}, expected {self.weight.shape[:1]}")
        return self.weight.shape[:1]


@dataclass(frozen=True)
class Scale(Layer):
    """Pointwise multiplication by `factor [K, ...]` (a scalar, per channel or per element)."""

    factor: StepTable
    kind: ClassVar[str] = "scale"

    def output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        check_granularity(self, "factor", self.factor, shape)
        return shape


@dataclass(frozen=True)
class Pool(Layer):
    """Pooling over the spatial axes. `mode`: "max" (of spikes: OR), "sum" or "average" (zero padding counts)."""

    mode: str = "max"
    kernel: tuple[int, ...] = (2, 2)
    stride: tuple[int, ...] = (2, 2)
    padding: tuple[int, ...] = (0, 0)
    kind: ClassVar[str] = "pool"

    def output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        if self.mode not in ("max", "sum", "average"):
            raise self.refuse(f"mode {self.mode!r}, allowed: max, sum, average")
        if not len(self.kernel) == len(self.stride) == len(self.padding) == len(shape) - 1:
            raise self.refuse(f"kernel {self.kernel} cannot pool an input of shape {shape}")
        self.check_window(kernel=self.kernel, stride=self.stride, padding=self.padding)
        spatial = tuple(
            (n + 2 * p - k) // s + 1 for n, k, s, p in zip(shape[1:], self.kernel, self.stride, self.padding)
        )
        if min(spatial) < 1:
            raise self.refuse(f"kernel {self.kernel} does not fit into input {shape}")
        return (shape[0], *spatial)


@dataclass(frozen=True)
class Flatten(Layer):
    """All axes into one, in C order."""

    kind: ClassVar[str] = "flatten"

    def output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        return (int(np.prod(shape)),)


@dataclass(frozen=True)
class Reshape(Layer):
    """The same elements, in C order, under other axes: `shape`, such as `(heads, C // heads, H * W)` of `(C, H, W)`."""

    shape: Shape
    kind: ClassVar[str] = "reshape"

    def output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        if not self.shape or min(self.shape) < 1 or math.prod(self.shape) != math.prod(shape):
            raise self.refuse(f"shape {self.shape} does not hold the {math.prod(shape)} elements of an input {shape}")
        return self.shape


@dataclass(frozen=True)
class Neuron(Layer):
    """A population of spiking neurons of one model (see `asnn_deploy.ir.neurons`).

    model: the neuron model's name.
    parameters: that model's parameters as step tables, each per layer `[K]`, per channel `[K, C]` or per neuron.
    reset: "subtract" (soft: the threshold is subtracted) or "zero" (hard).
    """

    model: str
    parameters: Mapping[str, StepTable]
    reset: str = "subtract"
    kind: ClassVar[str] = "neuron"

    def __post_init__(self) -> None:
        object.__setattr__(self, "parameters", MappingProxyType(dict(self.parameters)))

    def __reduce__(self) -> tuple[type[Neuron], tuple[Any, ...]]:
        return type(self), (self.name, self.model, dict(self.parameters), self.reset)

    def __hash__(self) -> int:
        return hash((self.name, self.model, tuple(sorted(self.parameters)), self.reset))

    def tables(self) -> dict[str, StepTable]:
        return dict(self.parameters)

    def output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        if self.reset not in ("subtract", "zero"):
            raise self.refuse(f"reset {self.reset!r}, allowed: subtract, zero")
        for key, table in self.parameters.items():
            check_granularity(self, key, table, shape)
        return shape


@dataclass(frozen=True)
class Add(Layer):
    """The sum of two or more signals of one shape (residual connections)."""

    kind: ClassVar[str] = "add"
    inputs: ClassVar[int | None] = None

    def output_shape(self, *shapes: Shape) -> Shape:
        if len(set(shapes)) != 1:
            raise self.refuse(f"adds signals of different shapes: {', '.join(map(str, shapes))}")
        return shapes[0]


@dataclass(frozen=True)
class Product(Layer):
    """The product of two signals by an einsum equation over their per-sample axes, such as `"hnd,hmd->hnm"`."""

    equation: str
    kind: ClassVar[str] = "product"
    inputs: ClassVar[int | None] = 2

    def output_shape(self, *shapes: Shape) -> Shape:
        if "->" not in self.equation or "." in self.equation:
            raise self.refuse(f"equation {self.equation!r} must name every axis and its result, as in 'ij,jk->ik'")
        if any(len(set(term)) < len(term) for term in re.split(",|->", self.equation.replace(" ", ""))):
            raise self.refuse(f"equation {self.equation!r} names an axis twice in one operand or in the result")
        try:
            return tuple(np.einsum(self.equation, *(np.broadcast_to(np.int8(0), s) for s in shapes)).shape)
        except ValueError as error:
            raise self.refuse(
                f"equation {self.equation!r} does not fit {', '.join(map(str, shapes))}: {error}"
            ) from None


@dataclass(frozen=True)
class Readout(Layer):
    """The network's answer: `sum over t of scale[t] * x[t] (+ bias[t])`, added up from step 0 on.

    scale: `[K]` or `[K, classes]`; a mean over time has its 1/T in here.
    bias: `[K, classes]`, only in integer graphs (elsewhere the layer before carries it).
    unit: what one integer of an integer graph's answer is worth; 1 in float graphs.
    """

    scale: StepTable
    bias: StepTable | None = None
    unit: float = 1.0
    kind: ClassVar[str] = "readout"

    def output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        check_granularity(self, "scale", self.scale, shape)
        if self.bias is not None:
            check_granularity(self, "bias", self.bias, shape)
        return shape


SYNAPTIC = (Conv, Linear, Product)
"""Kinds of layers whose work is counted in synaptic operations."""

LAYERS: dict[str, type[Layer]] = {
    cls.kind: cls for cls in (Conv, Linear, Scale, Pool, Flatten, Reshape, Neuron, Add, Product, Readout)
}


def check_granularity(layer: Layer, key: str, table: StepTable, shape: Shape) -> None:
    """A table's values are a scalar, one per channel, or one per element (axes of length 1 broadcast)."""
    given = table.shape
    per_channel = given == shape[:1]
    broadcasts = len(given) == len(shape) and all(g in (1, n) for g, n in zip(given, shape))
    if given and not per_channel and not broadcasts:
        raise layer.refuse(
            f"{key} has granularity {given}; allowed: () per layer, {shape[:1]} per channel, {shape} per neuron"
        )
