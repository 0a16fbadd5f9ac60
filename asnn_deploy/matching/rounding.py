"""Numbers with a bound on what float32 can have made of them, and neurons computed in them.

A running error analysis (Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., section 3.3): every operation
hands on the errors of its operands and adds its own rounding, `2**-24` of the result's magnitude (IEEE 754-2019, table
3.5). A sum of n terms in any order errs by at most `n u / (1 - n u)` of the sum of their magnitudes (there, section
4.2). Parameters may be off by one rounding: exporters computed them, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from asnn_deploy.ir.neurons.firing import Firing
from asnn_deploy.ir.neurons.operations import Membranes
from asnn_deploy.ir.signals import FLOAT32_BITS
from asnn_deploy.util.arrays import Array

UNIT = 2.0**-24
"""The largest relative error of a float32 rounding."""
PLAIN = 2.0**12
"""Parameters on this grid, such as 1, 0.5 or 0.75, are taken for what was meant; others may be off by one rounding."""


@dataclass(frozen=True, eq=False)
class Rounded:
    """Values in float64, and how far two float32 computations of them can lie apart from them, each."""

    value: Array
    error: Array


def sum_error(terms: int, magnitudes: Array, grid: int | None) -> Array:
    """Return the bound on the error of float32 sums, in any order of their terms.

    terms: how many each adds up; magnitudes: the sum of their magnitudes. grid: all terms are multiples of `2**grid`;
    sums below `2**24` of them are exact.
    """
    share = terms * UNIT
    errors = magnitudes * (share / (1 - share))
    return errors if grid is None else np.where(magnitudes < 2.0 ** (FLOAT32_BITS + grid), 0.0, errors)


class Bounded(Membranes):
    """The operations on Rounded numbers; parameters are arrays."""

    def add(self, a: Any, b: Any) -> Rounded:
        """See Operations."""
        a, b = self._read(a), self._read(b)
        return self._made(a.value + b.value, a.error + b.error)

    def sub(self, a: Any, b: Any) -> Any:
        """See Operations. Spikes are whole numbers without errors."""
        if not (isinstance(a, Rounded) or isinstance(b, Rounded)):
            return a - b
        a, b = self._read(a), self._read(b)
        return self._made(a.value - b.value, a.error + b.error)

    def mul(self, factor: Any, x: Rounded) -> Rounded:
        """See Operations."""
        factor, x = self._read(factor), self._read(x)
        spread = np.abs(factor.value) * x.error + factor.error * (np.abs(x.value) + x.error)
        return self._made(factor.value * x.value, spread)

    def div(self, x: Rounded, divisor: Any) -> Rounded:
        """See Operations."""
        d = self._read(divisor)
        value = x.value / d.value
        return self._made(value, (x.error + d.error * np.abs(value)) / np.abs(d.value))

    def compare(self, v: Rounded, threshold: Array, firing: Firing) -> Array:
        """See Membranes."""
        if firing.many:
            return np.where(v.value > 0, np.trunc(v.value / threshold), 0.0)
        return (v.value >= threshold if firing.at else v.value > threshold).astype(np.float64)

    def drop(self, v: Rounded, threshold: Array, spikes: Array) -> Rounded:
        """See Membranes."""
        return self._made(v.value - spikes * threshold, v.error + 2 * UNIT * np.abs(spikes * threshold))

    def put(self, v: Rounded, value: Array | None, spikes: Array) -> Rounded:
        """See Membranes."""
        fired = spikes > 0
        return Rounded(np.where(fired, 0.0 if value is None else value, v.value), np.where(fired, 0.0, v.error))

    def hold(self, v: Rounded, minimum: Array) -> Rounded:
        """See Membranes."""
        return self._made(np.maximum(v.value, minimum), v.error + UNIT * np.abs(v.value - minimum))

    @staticmethod
    def _read(x: Any) -> Rounded:
        """A value; a parameter with one rounding."""
        if isinstance(x, Rounded):
            return x
        value = np.asarray(x, np.float64)
        plain = np.rint(value * PLAIN) == value * PLAIN
        return Rounded(value, np.where(plain, 0.0, UNIT * np.abs(value)))

    @staticmethod
    def _made(value: Array, error: Array) -> Rounded:
        """A result with its own rounding; what float32 holds is not rounded."""
        held = (value.astype(np.float32) == value) & (error == 0)
        return Rounded(value, np.where(held, 0.0, error + UNIT * (np.abs(value) + error)))
