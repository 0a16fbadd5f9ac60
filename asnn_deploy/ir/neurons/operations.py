"""The operations that neurons are written in, and their two executable readings: NumPy float32 and NumPy integers.

    both        add, fire
    floats      mul
    integers    decay, scale, saturate, wrap, align

Other readings: intervals (`bounds.py`), a program, whose instructions the energy report counts (`program.py`); NIR and
ONNX nodes (in their exporters); torch (`models/cells.py`).
"""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

import numpy as np

from asnn_deploy.ir.fixed_point import LEAK_SHIFT, STATE_BITS, saturate, truncating_shift
from asnn_deploy.util.arrays import Array

V = TypeVar("V")


class Operations(Protocol[V]):
    """What a backend must be able to do. Operands are its own values; parameters are passed as they stand in `p`."""

    def add(self, a: V, b: V) -> V:
        """`a + b`, rounded once."""

    def mul(self, factor: V, x: V) -> V:
        """A parameter times a value, rounded once. Floats only."""

    def decay(self, leak: V, x: V) -> V:
        """What a leak of `leak / 2**12` leaves of a state, truncated towards zero. Integers only."""

    def scale(self, gain: V, shift: V, x: V) -> V:
        """`gain * x / 2**shift`, truncated towards zero. Integers only."""

    def align(self, x: V, bits: int) -> V:
        """`x * 2**bits`. Integers only."""

    def saturate(self, state: str, x: V) -> V:
        """The value as the state of that name holds it: at most `STATE_BITS`. Integers only."""

    def wrap(self, state: str, x: V) -> V:
        """The same, but what leaves its register comes in again at the other end. Integers only."""

    def fire(self, v: V, threshold: V, reset: str) -> tuple[V, V]:
        """Spikes where `v > threshold`, strictly; and what is left: v, less the threshold or 0 where it fired."""


class Floats:
    """Float32 arrays: products and sums as NumPy rounds them, one by one."""

    def add(self, a: Array, b: Array) -> Array:
        """See Operations."""
        return a + b  # type: ignore[no-any-return]

    def mul(self, factor: Array, x: Array) -> Array:
        """See Operations."""
        return factor * x  # type: ignore[no-any-return]

    def fire(self, v: Array, threshold: Array, reset: str) -> tuple[Array, Array]:
        """See Operations."""
        spikes = v > threshold
        return spikes, np.where(spikes, v.dtype.type(0), v) if reset == "zero" else v - spikes * threshold


class Integers(Floats):
    """Int64 arrays: the arithmetic of `fixed_point.py`."""

    def decay(self, leak: Array, x: Array) -> Array:
        """See Operations."""
        return truncating_shift(x * leak, LEAK_SHIFT)

    def scale(self, gain: Array, shift: Array, x: Array) -> Array:
        """See Operations."""
        return truncating_shift(x * gain, shift)

    def align(self, x: Array, bits: int) -> Array:
        """See Operations."""
        return x << bits

    def saturate(self, state: str, x: Array) -> Array:
        """See Operations."""
        return saturate(x, STATE_BITS)

    def wrap(self, state: str, x: Array) -> Array:
        """See Operations. 2**24 nearer to zero if it left (-2**23, 2**23]."""
        half = 1 << (STATE_BITS - 1)
        return x - 2 * half * ((x > half).astype(np.int64) - (x <= -half))  # type: ignore[no-any-return]


FLOATS: Any = Floats()
INTEGERS: Any = Integers()
