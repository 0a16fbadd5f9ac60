"""Neurons read in intervals: the least and the most that every register can hold, at every step.

Each value is a pair of arrays; parameters are known numbers. What fired was above the threshold, which `fire` knows, so
that a reset bounds the potential that is left.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from asnn_deploy.ir.fixed_point import LEAK_SHIFT, STATE_BITS, largest
from asnn_deploy.ir.neurons.base import Parameters
from asnn_deploy.ir.neurons.firing import IMMEDIATE, Firing
from asnn_deploy.ir.neurons.operations import immediate
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

    def div(self, x: Interval, divisor: Array) -> Interval:
        """See Operations."""
        return self.mul(1 / divisor, x)

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

    def sub(self, a: Array | Interval, b: Array | Interval) -> Interval:
        """See Operations."""
        b = Interval.at(b)
        return self.add(a, Interval(-b.high, -b.low))

    def fire(self, v: Interval, threshold: Array, reset: str) -> tuple[Interval, Interval]:
        """See Operations. Thresholds are positive."""
        immediate(reset)
        return self._at_once(v, Parameters({"threshold": threshold}, reset), Firing(reset))

    def membrane(
        self, v: Interval, integrate: Callable[[Interval], Interval], p: SimpleNamespace
    ) -> tuple[Interval, Interval]:
        """See Operations. What fired before and what did not are followed apart."""
        reset = p.reset if isinstance(p.reset, Firing) else Firing(p.reset)
        if reset in IMMEDIATE:
            spikes, left = self._at_once(integrate(v), p, reset)
        else:
            spikes, left = self._late(v, integrate, p, reset)
        if p.minimum is not None:
            left = Interval(np.maximum(left.low, p.minimum), np.maximum(left.high, p.minimum))
        return spikes, left

    def _spikes(self, v: Interval, threshold: Array, firing: Firing) -> Interval:
        """How many spikes a potential between bounds sends."""
        if firing.many:
            ends = (
                np.floor(np.maximum(end, 0) / threshold * (1 if self.whole else ROUNDED)) for end in (v.low, v.high)
            )
            return Interval(*ends)
        quiet = v.low < threshold if firing.at else v.low <= threshold
        loud = v.high >= threshold if firing.at else v.high > threshold
        return Interval(np.where(quiet, 0.0, 1.0), np.where(loud, 1.0, 0.0))

    def _at_once(self, v: Interval, p: SimpleNamespace, firing: Firing) -> tuple[Interval, Interval]:
        threshold = p.threshold
        spikes = self._spikes(v, threshold, firing)
        quiet, loud = spikes.low < 1, spikes.high > 0
        if firing == "zero":
            to = 0.0 if p.reset_potential is None else p.reset_potential
            least = np.where(quiet, np.minimum(v.low, to), to)
            most = np.where(quiet, np.maximum(np.minimum(v.high, threshold), to), to)
        else:
            # An integer that fired above its threshold did so by at least 1.
            left = 1.0 if self.whole and firing.plain else 0.0
            last = v.low - spikes.low * threshold if not firing.many else np.minimum(v.low, 0.0)
            rest = threshold if firing.many else np.maximum(threshold, v.high - threshold)
            least = np.where(quiet, np.minimum(v.low, left), last)
            most = np.where(quiet, rest, rest if firing.many else v.high - threshold)
        return spikes, Interval(np.where(loud, least, v.low), np.where(loud, most, v.high))

    def _late(
        self, v: Interval, integrate: Callable[[Interval], Interval], p: SimpleNamespace, firing: Firing
    ) -> tuple[Interval, Interval]:
        threshold = p.threshold
        if firing == "none":
            v = integrate(v)
            return self._spikes(v, threshold, firing), v
        before = self._spikes(v, threshold, firing)
        rested = integrate(Interval(np.minimum(v.low, threshold), np.minimum(v.high, threshold)))
        fired = integrate(Interval(np.maximum(v.low, threshold), np.maximum(v.high, threshold)))
        if firing == "delayed-zero":
            fired = Interval.at(np.zeros(()) if p.reset_potential is None else p.reset_potential)
        else:
            least, most = (np.maximum(n, 1.0) * threshold for n in (before.low, before.high))
            fired = Interval(fired.low - most, fired.high - least)
        after = self._settled(_either(before, rested, fired))
        if firing == "early-subtract":
            return before, after
        spikes = self._spikes(after, threshold, firing)
        if firing == "leftover-subtract":  # what did not fire again gets its threshold back
            once = _either(self._spikes(rested, threshold, firing), rested, self.sub(rested, threshold))
            after = self._settled(_either(before, once, Interval(fired.low, np.maximum(fired.high, 2 * threshold))))
        return spikes, after

    def _settled(self, v: Interval) -> Interval:
        return self.saturate("v", v) if self.whole else v


def _either(spikes: Interval, quiet: Interval, loud: Interval) -> Interval:
    """What is true of a potential that did not fire, one that did, or both if it may have."""
    low = np.where(spikes.high < 1, quiet.low, np.where(spikes.low > 0, loud.low, np.minimum(quiet.low, loud.low)))
    high = np.where(spikes.high < 1, quiet.high, np.where(spikes.low > 0, loud.high, np.maximum(quiet.high, loud.high)))
    return Interval(low, high)


ROUNDED = 1 + 2.0**-22
"""What float32 quotients may be larger than exact ones, relatively; so a bound never lies below a rounded quotient."""

_TOP = float(largest(STATE_BITS))
_HALF = _TOP + 1
