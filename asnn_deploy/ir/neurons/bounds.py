"""Neurons read in intervals: the least and the most that every register can hold, at every step.

Each value is a pair of arrays; parameters are known numbers. What fired was above the threshold, which `fire` knows, so
that a reset bounds the potential that is left.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from asnn_deploy.ir.fixed_point import LEAK_SHIFT, STATE_BITS, largest
from asnn_deploy.util.arrays import Array

ENDLESS = 2.0**52
"""Where growth stops being followed; far beyond every register, and every whole number below is exact in float64."""


@dataclass(frozen=True, eq=False)
class Interval:
    """`low <= x <= high`, float64, broadcastable to the layer's shape."""

    low: Array
    high: Array

    @classmethod
    def at(cls, value: Array | Interval) -> Interval:
        """A known number as an interval."""
        return value if isinstance(value, Interval) else cls(value, value)


@dataclass(frozen=True)
class Intervals:
    """The operations. reach: takes note of a register and its bounds; whole: whether values are integers.

    proved: whether registers are to be proved; if not, they saturate or wrap.
    """

    reach: Callable[[str, Array, Array], None]
    whole: bool
    proved: bool = True

    def add(self, a: Array | Interval, b: Array | Interval) -> Interval:
        """See Operations."""
        a, b = Interval.at(a), Interval.at(b)
        return Interval(np.maximum(a.low + b.low, -ENDLESS), np.minimum(a.high + b.high, ENDLESS))

    def mul(self, factor: Array, x: Interval) -> Interval:
        """See Operations."""
        ends = factor * x.low, factor * x.high
        return Interval(np.minimum(*ends), np.maximum(*ends))

    def decay(self, leak: Array, x: Interval) -> Interval:
        """See Operations. Truncation keeps the order of numbers."""
        ends = [np.trunc(end * leak / 2**LEAK_SHIFT) for end in (x.low, x.high)]
        return Interval(np.minimum(*ends), np.maximum(*ends))

    def scale(self, gain: Array, shift: Array, x: Interval) -> Interval:
        """See Operations. The product is a register."""
        product = self.mul(gain, x)
        self.reach("product", product.low, product.high)
        return Interval(*(np.trunc(end / 2.0**shift) for end in (product.low, product.high)))

    def align(self, x: Interval, bits: int) -> Interval:
        """See Operations."""
        return Interval(x.low * 2**bits, x.high * 2**bits)

    def saturate(self, state: str, x: Interval) -> Interval:
        """See Operations."""
        self.reach(state, x.low, x.high)
        return x if self.proved else Interval(*(np.clip(end, -_TOP, _TOP) for end in (x.low, x.high)))

    def wrap(self, state: str, x: Interval) -> Interval:
        """See Operations. What may leave (-half, half] may then be anywhere in it, and outside if it went far."""
        self.reach(state, x.low, x.high)
        leaves = (x.low <= -_HALF) | (x.high > _HALF)
        low, high = np.minimum(1 - _HALF, x.low + 2 * _HALF), np.maximum(_HALF, x.high - 2 * _HALF)
        return Interval(np.where(leaves, low, x.low), np.where(leaves, high, x.high))

    def fire(self, v: Interval, threshold: Array, reset: str) -> tuple[Interval, Interval]:
        """See Operations. Thresholds are positive."""
        quiet, loud = v.low <= threshold, v.high > threshold
        spikes = Interval(np.where(quiet, 0.0, 1.0), np.where(loud, 1.0, 0.0))
        if reset == "zero":
            least, most = np.where(quiet, np.minimum(v.low, 0), 0.0), np.where(quiet, np.maximum(threshold, 0), 0.0)
        else:
            left = 1.0 if self.whole else 0.0  # of an integer that fired by as little as can be
            least = np.where(quiet, np.minimum(v.low, left), v.low - threshold)
            most = np.where(quiet, np.maximum(threshold, v.high - threshold), v.high - threshold)
        return spikes, Interval(np.where(loud, least, v.low), np.where(loud, most, v.high))


_TOP = float(largest(STATE_BITS))
_HALF = _TOP + 1
