"""Signals: what travels from layer to layer at one time step, and what can be said of it without running anything.

Every layer answers what leaves it, given what enters (`Layer.output_signal`); `analysis/flow.py` asks them all, step by
step. What rests on the answers: the types that carry signals, order-free grids, the proof that no integer overflows,
the quantiser's scales, what counts as a spike, and what a format can hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import reduce
from typing import Any

import numpy as np

from asnn_deploy.ir.granularity import Shape
from asnn_deploy.util.arrays import Array

FLOAT32_BITS = 24
"""Significant bits of float32: IEEE 754-2019, table 3.5 (binary32, p = 24)."""
NO_LIMIT = 1 << 20
"""The grid exponent of a signal that is zero: it lies on every grid."""


class Kind(IntEnum):
    """What a signal is made of. What is joined of several kinds is of the largest."""

    SPIKES = 0
    """0 or 1."""
    COUNTS = 1
    """Whole numbers that count spikes: sums and products of spikes."""
    VALUES = 2
    """Other numbers that are read as events: pixels, means and scaled counts, potentials."""
    CURRENTS = 3
    """Sums of weights: what synapses send."""


@dataclass(frozen=True, eq=False)
class Signal:
    """One step of a signal.

    low, high: bounds of its elements, float64 `[C]`, or `[1]` if all channels share them, in the graph's own numbers
        (integers in integer graphs). 0 lies between them, and so does every partial sum in any order.
    grid: every element is a whole multiple of `2**grid` and below `2**24` of them; None if that is not known.
    """

    kind: Kind
    low: Array
    high: Array
    grid: int | None = None

    @property
    def magnitude(self) -> Array:
        """The largest magnitude, `[C]` or `[1]`."""
        return np.maximum(-self.low, self.high)  # type: ignore[no-any-return]

    @property
    def largest(self) -> float:
        """The largest magnitude of any element."""
        return float(self.magnitude.max(initial=0))

    @property
    def events(self) -> bool:
        """Whether it is made of spikes, one or several at a time."""
        return self.kind <= Kind.COUNTS

    @property
    def whole(self) -> bool:
        """Whether its elements are whole numbers."""
        return self.grid is not None and self.grid >= 0

    def over_all(self) -> Signal:
        """The same with one interval for all channels."""
        return Signal(self.kind, self.low.min(keepdims=True), self.high.max(keepdims=True), self.grid)

    def times(self, least: Array, most: Array) -> tuple[Array, Array]:
        """The bounds of products with factors between `least` and `most`, `[C]` or `[1]` each."""
        ends = [np.zeros(1), self.low * least, self.low * most, self.high * least, self.high * most]
        return reduce(np.minimum, ends), reduce(np.maximum, ends)


def spikes(most: float = 1.0) -> Signal:
    """What neurons send that fire at most so often in a step."""
    return Signal(Kind.SPIKES if most <= 1 else Kind.COUNTS, np.zeros(1), np.full(1, float(most)), 0)


SILENCE = Signal(Kind.SPIKES, np.zeros(1), np.zeros(1), NO_LIMIT)
"""What arrives over a delayed edge before its first signal: spikes that did not come."""


def on_grid(grid: int | None, largest: float) -> int | None:
    """Return the grid if numbers up to `largest` on it are exact in float32, else None."""
    if grid is None or grid > NO_LIMIT // 2:
        return None if grid is None else NO_LIMIT
    return grid if largest < 2.0 ** (FLOAT32_BITS + grid) else None


def grid_exponent(values: Array) -> int | None:
    """Return the largest e such that all values are multiples of 2**e; None if they are all zero."""
    nonzero = values[values != 0].astype(np.float64)
    if nonzero.size == 0:
        return None
    mantissas, exponents = np.frexp(nonzero)
    whole = (np.abs(mantissas) * 2.0**53).astype(np.int64)
    trailing = np.log2((whole & -whole).astype(np.float64)).astype(np.int64)
    return int((exponents.astype(np.int64) - 53 + trailing).min())


def common_grid(signals: Sequence[Signal]) -> int | None:
    """Return the finest grid of several signals, on which their sums lie; None if one has none."""
    grids = [x.grid for x in signals]
    return None if None in grids else min(grids)  # type: ignore[type-var]


@dataclass(eq=False)
class Tracker:
    """One layer, while its signals are followed from step to step.

    shapes: what enters, for one sample and step; shape: what leaves. fixed: whether the graph is in integers.
    state: what the layer keeps between steps. reached: register to the bounds at each step, `(low, high)` by channel.
    """

    shapes: tuple[Shape, ...]
    shape: Shape
    fixed: bool
    state: Any = None
    reached: dict[str, list[tuple[Array, Array]]] = field(default_factory=dict)
    step: int = -1

    def reach(self, register: str, low: Array, high: Array) -> None:
        """Note bounds of a register, `[C, ...]` or what broadcasts to the layer's shape, at the step under way."""
        low, high = (end.reshape(len(end), -1) if end.ndim else end.reshape(1, 1) for end in (low, high))
        found = low.min(axis=1), high.max(axis=1)
        steps = self.reached.setdefault(register, [])
        if len(steps) > self.step:  # the same register again in one step
            before = steps.pop()
            found = np.minimum(before[0], found[0]), np.maximum(before[1], found[1])
        steps.append(found)
