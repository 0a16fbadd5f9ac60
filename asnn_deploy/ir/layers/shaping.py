"""Layers that change one signal without synapses: scaling, pooling, flattening, reshaping."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from asnn_deploy.ir.granularity import Shape, by_channel
from asnn_deploy.ir.layers.base import Layer, Sliding
from asnn_deploy.ir.signals import Kind, Signal, Tracker, grid_exponent, on_grid
from asnn_deploy.ir.step_table import StepTable
from asnn_deploy.ir.worth import Choices, Worth
from asnn_deploy.util.arrays import Array


@dataclass(frozen=True)
class Scale(Layer):
    """Pointwise multiplication by `factor [K, ...]` (a scalar, per channel or per element)."""

    factor: StepTable
    kind: ClassVar[str] = "scale"
    carries: ClassVar[bool] = True
    keeps_channels: ClassVar[bool] = True

    def output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        self.check_granularity("factor", self.factor, shape)
        return shape

    def output_signal(self, t: int, x: Sequence[Signal], tracker: Tracker) -> Signal:
        factor = self.factor.at(t).astype(np.float64)
        low, high = x[0].times(*by_channel(factor, tracker.shape))
        own = grid_exponent(factor)
        grid = None if x[0].grid is None else x[0].grid + (own or 0)
        return Signal(max(x[0].kind, Kind.VALUES), low, high, on_grid(grid, float(np.maximum(-low, high).max())))

    def compute(self, t: int, *x: Array) -> Array:
        return x[0] * self.factor.at(t, over=x[0].shape[1:])  # type: ignore[no-any-return]

    def factors(self) -> Array:
        values = self.factor.expanded().astype(np.float64)
        return values.reshape(len(values), -1)  # type: ignore[no-any-return]

    def quantized(self, x: Sequence[Worth], choices: Choices) -> tuple[Layer, Worth]:
        """The factor goes into the unit; what passes is what arrived."""
        factor = self.factors()
        if factor.shape[1] not in (1, choices.shape[0]):
            raise self.refuse(f"its factor has shape {self.factor.shape}; integers take one, or one for each channel")
        passing = replace(self, factor=StepTable.constant(np.int32(1), choices.time_steps))
        bias = None if x[0].bias is None else x[0].bias * factor
        return passing, Worth(x[0].unit * factor, bias)


@dataclass(frozen=True)
class Pool(Layer):
    """Pooling over the spatial axes. `mode`: "max" (of spikes: OR), "sum" or "average" (zero padding counts)."""

    mode: str = "max"
    kernel: tuple[int, ...] = (2, 2)
    stride: tuple[int, ...] = (2, 2)
    padding: tuple[int, ...] = (0, 0)
    kind: ClassVar[str] = "pool"
    carries: ClassVar[bool] = True
    passes: ClassVar[bool] = True
    keeps_channels: ClassVar[bool] = True

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

    @property
    def takes_largest(self) -> bool:
        return self.mode == "max"

    @property
    def sliding(self) -> Sliding:
        return Sliding(self.kernel, self.stride, self.padding, (1,) * len(self.kernel))

    @property
    def window(self) -> int:
        """How many positions are pooled into one."""
        return math.prod(self.kernel)

    def output_signal(self, t: int, x: Sequence[Signal], tracker: Tracker) -> Signal:
        (signal,) = x
        if self.mode == "max":
            return signal
        if self.mode == "sum":
            low, high = signal.low * self.window, signal.high * self.window
            grid = on_grid(signal.grid, float(np.maximum(-low, high).max(initial=0)))
            return Signal(max(signal.kind, Kind.COUNTS), low, high, grid)
        halvings = self.window.bit_length() - 1
        exact = signal.grid is not None and self.window == 1 << halvings
        total = on_grid(signal.grid, signal.largest * self.window)  # the mean is made from the sum
        grid = total - halvings if exact and total is not None else None
        return Signal(max(signal.kind, Kind.VALUES), signal.low, signal.high, grid)

    def factors(self) -> Array:
        return np.full((1, 1), 1 / self.window if self.mode == "average" else 1.0)

    def quantized(self, x: Sequence[Worth], choices: Choices) -> tuple[Layer, Worth]:
        """A mean becomes a sum of smaller unit."""
        (arriving,) = x
        if arriving.bias is not None and any(self.padding):
            raise self.refuse("pools a current with a bias over its padding, which has none")
        if self.mode == "average":
            return replace(self, mode="sum"), Worth(arriving.unit / self.window, arriving.bias)
        if self.mode == "max" or arriving.bias is None:
            return self, arriving
        return self, Worth(arriving.unit, arriving.bias * self.window)


@dataclass(frozen=True)
class Flatten(Layer):
    """All axes into one, in C order."""

    kind: ClassVar[str] = "flatten"
    carries: ClassVar[bool] = True
    passes: ClassVar[bool] = True
    keeps_channels: ClassVar[bool] = True

    def output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        return (int(np.prod(shape)),)

    def output_signal(self, t: int, x: Sequence[Signal], tracker: Tracker) -> Signal:
        each = math.prod(tracker.shapes[0][1:])
        return Signal(x[0].kind, _repeated(x[0].low, each), _repeated(x[0].high, each), x[0].grid)

    def compute(self, t: int, *x: Array) -> Array:
        return x[0].reshape(len(x[0]), math.prod(x[0].shape[1:]))

    def quantized(self, x: Sequence[Worth], choices: Choices) -> tuple[Layer, Worth]:
        each = math.prod(choices.shapes[0][1:])
        bias = None if x[0].bias is None else x[0].bias.repeat(each, axis=1)
        return self, Worth(_repeated(x[0].unit, each), bias)


@dataclass(frozen=True)
class Reshape(Layer):
    """The same elements, in C order, under other axes: `shape`, such as `(heads, C // heads, H * W)` of `(C, H, W)`."""

    shape: Shape
    kind: ClassVar[str] = "reshape"
    carries: ClassVar[bool] = True
    passes: ClassVar[bool] = True

    def output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        if not self.shape or min(self.shape) < 1 or math.prod(self.shape) != math.prod(shape):
            raise self.refuse(f"shape {self.shape} does not hold the {math.prod(shape)} elements of an input {shape}")
        return self.shape

    def output_signal(self, t: int, x: Sequence[Signal], tracker: Tracker) -> Signal:
        return x[0] if tracker.shapes[0][0] == self.shape[0] else x[0].over_all()

    def compute(self, t: int, *x: Array) -> Array:
        return x[0].reshape(len(x[0]), *self.shape)

    def quantized(self, x: Sequence[Worth], choices: Choices) -> tuple[Layer, Worth]:
        if x[0].bias is not None or x[0].unit.shape[1] > 1:
            raise self.refuse("reshapes a current; only spikes and counts can be reshaped in integers")
        return self, x[0]


def _repeated(values: Array, each: int) -> Array:
    """Values of channels, along the last axis, as those of the elements that they are flattened into."""
    return values.repeat(each, axis=-1) if values.shape[-1] > 1 else values
