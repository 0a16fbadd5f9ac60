"""Layers that join signals: sums, products, and channels put together."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import ClassVar

import numpy as np

from asnn_deploy.ir.granularity import Shape
from asnn_deploy.ir.layers.base import Layer
from asnn_deploy.ir.signals import Kind, Signal, Tracker, common_grid, on_grid
from asnn_deploy.ir.worth import Choices, Worth
from asnn_deploy.util.arrays import Array


@dataclass(frozen=True)
class Add(Layer):
    """The sum of two or more signals of one shape (residual connections, recurrent currents), from the first on."""

    kind: ClassVar[str] = "add"
    inputs: ClassVar[int | None] = None
    carries: ClassVar[bool] = True
    passes: ClassVar[bool] = True
    adds: ClassVar[bool] = True
    keeps_channels: ClassVar[bool] = True

    def output_shape(self, *shapes: Shape) -> Shape:
        if len(set(shapes)) != 1:
            raise self.refuse(f"adds signals of different shapes: {', '.join(map(str, shapes))}")
        return shapes[0]

    def output_signal(self, t: int, x: Sequence[Signal], tracker: Tracker) -> Signal:
        low, high = reduce(np.add, [s.low for s in x]), reduce(np.add, [s.high for s in x])
        kind = max(Kind.COUNTS, *(s.kind for s in x))
        return Signal(kind, low, high, on_grid(common_grid(x), sum(s.largest for s in x)))

    def compute(self, t: int, *x: Array) -> Array:
        return reduce(np.add, x)

    def quantized(self, x: Sequence[Worth], choices: Choices) -> tuple[Layer, Worth]:
        """Signals of one unit; the quantiser gives synapses whose currents meet here a common one."""
        if not all(s.same_unit(x[0]) for s in x):
            raise self.refuse("joins signals of different scales, which no choice of weight units makes one")
        biases = [s.bias for s in x if s.bias is not None]
        unit = max((s.unit for s in x), key=np.size)
        return self, Worth(unit, reduce(np.add, biases) if biases else None)


@dataclass(frozen=True)
class Concat(Layer):
    """The channels of two or more signals, one after another: `(C1, H, W)` and `(C2, H, W)` to `(C1 + C2, H, W)`.

    Reading one signal over edges of delay 0, 1, .. D - 1, it holds the last D steps, and a convolution behind it is one
    over time and space, causal in time.
    """

    kind: ClassVar[str] = "concat"
    inputs: ClassVar[int | None] = None
    carries: ClassVar[bool] = True
    passes: ClassVar[bool] = True
    joins: ClassVar[bool] = True
    keeps_channels: ClassVar[bool] = True

    def output_shape(self, *shapes: Shape) -> Shape:
        if len({shape[1:] for shape in shapes}) != 1:
            raise self.refuse(f"joins the channels of signals of different sizes: {', '.join(map(str, shapes))}")
        return (sum(shape[0] for shape in shapes), *shapes[0][1:])

    def output_signal(self, t: int, x: Sequence[Signal], tracker: Tracker) -> Signal:
        low, high = (_side_by_side(ends, tracker.shapes) for ends in ([s.low for s in x], [s.high for s in x]))
        return Signal(max(s.kind for s in x), low, high, on_grid(common_grid(x), max(s.largest for s in x)))

    def compute(self, t: int, *x: Array) -> Array:
        last = np.concatenate([np.moveaxis(signal, 1, -1) for signal in x], axis=-1)  # as signals lie in memory
        return np.moveaxis(last, -1, 1)

    def quantized(self, x: Sequence[Worth], choices: Choices) -> tuple[Layer, Worth]:
        """Every channel keeps its unit; neurons and readouts can read several, synapses one."""
        alike = all(s.unit.shape[1] == 1 and s.same_unit(x[0]) for s in x)
        unit = x[0].unit if alike else _side_by_side([s.unit for s in x], choices.shapes)
        none = np.zeros((choices.time_steps, 1))
        biases = [none if s.bias is None else s.bias for s in x]
        return self, Worth(unit, None if all(s.bias is None for s in x) else _side_by_side(biases, choices.shapes))


def _side_by_side(values: Sequence[Array], shapes: Sequence[Shape]) -> Array:
    """Values of channels, `[..., C]` or `[..., 1]` along the last axis, of several signals as those of their channels
    together; one value for all if they share it."""
    if all(v.shape[-1] == 1 and np.array_equal(v, values[0]) for v in values):
        return values[0]
    wide = [v if v.shape[-1] > 1 else v.repeat(shape[0], axis=-1) for v, shape in zip(values, shapes)]
    return np.concatenate(wide, axis=-1)


@dataclass(frozen=True)
class Product(Layer):
    """The product of two signals by an einsum equation over their per-sample axes, such as `"hnd,hmd->hnm"`."""

    equation: str
    kind: ClassVar[str] = "product"
    inputs: ClassVar[int | None] = 2
    synaptic: ClassVar[bool] = True

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

    @property
    def terms(self) -> tuple[list[str], str]:
        """The axes of the operands, and those of the result."""
        left, _, result = self.equation.replace(" ", "").partition("->")
        return left.split(","), result

    def summands(self, shapes: Sequence[Shape]) -> int:
        """Return how many products each element of the result adds up."""
        operands, result = self.terms
        sizes = {axis: n for term, shape in zip(operands, shapes) for axis, n in zip(term, shape)}
        return math.prod(n for axis, n in sizes.items() if axis not in result)

    def output_signal(self, t: int, x: Sequence[Signal], tracker: Tracker) -> Signal:
        a, b = (s.over_all() for s in x)
        count = self.summands(tracker.shapes)
        low, high = (end * count for end in a.times(b.low, b.high))
        grid = None if a.grid is None or b.grid is None else a.grid + b.grid
        kind = max(Kind.COUNTS, a.kind, b.kind)
        return Signal(kind, low, high, on_grid(grid, a.largest * b.largest * count))

    def quantized(self, x: Sequence[Worth], choices: Choices) -> tuple[Layer, Worth]:
        a, b = x
        if a.bias is not None or b.bias is not None or a.unit.shape[1] > 1 or b.unit.shape[1] > 1:
            raise self.refuse("multiplies currents; only spikes and counts can be multiplied in integers")
        return self, Worth(a.unit * b.unit)

    def pairs(self, left: Array, right: Array) -> Array:
        """Return the sum over all scalar products that it forms, for each sample: `[B]` float64.

        left, right: `[B, ...]`. With spike counts it is the number of accumulates; with masks of the non-zero elements,
        the number of scalar products that are not zero; with ones, the number of all scalar products.
        """
        operands, _ = self.terms
        shared = [axis for axis in operands[0] if axis in operands[1]]
        reduced = []
        for term, x in zip(operands, (left, right)):
            alone = tuple(1 + i for i, axis in enumerate(term) if axis not in shared)
            summed = x.astype(np.float64).sum(axis=alone)
            kept = [axis for axis in term if axis in shared]
            reduced.append(summed.transpose(0, *(1 + kept.index(axis) for axis in shared)).reshape(len(x), -1))
        return np.einsum("bi,bi->b", *reduced)  # type: ignore[no-any-return]
