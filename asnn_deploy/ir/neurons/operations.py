"""The operations that neurons are written in, and their two executable readings: NumPy float32 and NumPy integers.

    both        add, fire, membrane (made of: compare, drop, put, hold)
    floats      mul, div, sub
    integers    decay, scale, saturate, wrap, align

Other readings: intervals (`bounds.py`), a program, whose instructions the energy report counts (`program.py`); NIR and
ONNX nodes (in their exporters); torch (`models/operations.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Protocol, TypeVar

import numpy as np

from asnn_deploy.errors import UnsupportedError
from asnn_deploy.ir.fixed_point import LEAK_SHIFT, STATE_BITS, saturate, truncating_shift
from asnn_deploy.ir.neurons.firing import IMMEDIATE, Firing
from asnn_deploy.util.arrays import Array

V = TypeVar("V")


class Operations(Protocol[V]):
    """What a backend must be able to do. Operands are its own values; parameters are passed as they stand in `p`."""

    def add(self, a: V, b: V) -> V:
        """`a + b`, rounded once."""

    def sub(self, a: V, b: V) -> V:
        """`a - b`, rounded once. Floats only."""

    def mul(self, factor: V, x: V) -> V:
        """A parameter times a value, rounded once. Floats only."""

    def div(self, x: V, divisor: V) -> V:
        """A value divided by a parameter, rounded once. Floats only."""

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

    def membrane(self, v: V, integrate: Callable[[V], V], p: SimpleNamespace) -> tuple[V, V]:
        """A whole membrane that starts the step at v: what it sends and what is left, however it resets (`p.reset`).

        integrate: makes the potential before the comparison of the one before the step. Parameters: `p.threshold`, and
        if they are not None `p.reset_potential`, to which a reset to zero leads, and `p.minimum`, its lower bound.
        """


class Membranes:
    """`membrane` for every backend that runs neurons, made of `fire` and of four smaller operations.

    compare   spikes where v lies above its threshold, or at it; or how many thresholds fit into v
    drop      v, less a threshold for each spike
    put       v, or a value where it fired; None for 0
    hold      v, or its lower bound if it lies below: `max(v - minimum, 0) + minimum`, as Sinabs rounds it
    """

    def membrane(self, v: Any, integrate: Callable[[Any], Any], p: SimpleNamespace) -> tuple[Any, Any]:
        """See Operations."""
        ops: Any = self
        reset = p.reset if isinstance(p.reset, Firing) else Firing(p.reset)
        if reset in IMMEDIATE:
            spikes, left = self._at_once(integrate(v), reset, p)
        else:
            spikes, left = self._late(v, integrate(v), reset, p)
        return spikes, left if p.minimum is None else ops.hold(left, p.minimum)

    def fire(self, v: Any, threshold: Any, reset: str) -> tuple[Any, Any]:
        """See Operations. Raises UnsupportedError for what a neuron model that calls it does not know."""
        immediate(reset)
        ops: Any = self
        spikes = ops.compare(v, threshold, Firing(reset))
        return spikes, ops.put(v, None, spikes) if reset == "zero" else ops.drop(v, threshold, spikes)

    def settled(self, v: Any) -> Any:
        """What is left of a potential that was reset after the input of the next step, as its state holds it."""
        return v

    def _at_once(self, v: Any, reset: Firing, p: SimpleNamespace) -> tuple[Any, Any]:
        ops: Any = self
        if reset.plain and (p.reset_potential is None or reset == "subtract"):
            return ops.fire(v, p.threshold, reset)  # type: ignore[no-any-return]
        spikes = ops.compare(v, p.threshold, reset)
        if reset == "zero":
            return spikes, ops.put(v, p.reset_potential, spikes)
        return spikes, ops.drop(v, p.threshold, spikes)

    def _late(self, v: Any, integrated: Any, reset: Firing, p: SimpleNamespace) -> tuple[Any, Any]:
        """The potential that fired stays until the next step: what is left of it tells that it did."""
        ops: Any = self
        if reset == "none":
            return ops.compare(integrated, p.threshold, reset), integrated
        before = ops.compare(v, p.threshold, reset)
        if reset == "delayed-zero":
            after = ops.put(integrated, p.reset_potential, before)
        else:
            after = ops.drop(integrated, p.threshold, before)
        after = self.settled(after)
        if reset == "early-subtract":
            return before, after
        spikes = ops.compare(after, p.threshold, reset)
        if reset == "leftover-subtract":
            after = self.settled(ops.drop(after, p.threshold, ops.sub(spikes, before)))
        return spikes, after


class Floats(Membranes):
    """Float32 arrays: products and sums as NumPy rounds them, one by one."""

    def add(self, a: Array, b: Array) -> Array:
        """See Operations."""
        return a + b  # type: ignore[no-any-return]

    def sub(self, a: Array, b: Array) -> Array:
        """See Operations."""
        return a - b  # type: ignore[no-any-return]

    def mul(self, factor: Array, x: Array) -> Array:
        """See Operations."""
        return factor * x  # type: ignore[no-any-return]

    def div(self, x: Array, divisor: Array) -> Array:
        """See Operations."""
        return x / divisor  # type: ignore[no-any-return]

    def fire(self, v: Array, threshold: Array, reset: str) -> tuple[Array, Array]:
        """See Operations. Raises UnsupportedError for what a neuron model that calls it does not know."""
        immediate(reset)
        spikes = v > threshold
        return spikes, np.where(spikes, v.dtype.type(0), v) if reset == "zero" else v - spikes * threshold

    def compare(self, v: Array, threshold: Array, firing: Firing) -> Array:
        """See Membranes. In the type of v."""
        if firing.many:
            return np.where(v > 0, np.trunc(v / threshold), 0).astype(v.dtype)  # type: ignore[no-any-return]
        return (v >= threshold if firing.at else v > threshold).astype(v.dtype)  # type: ignore[no-any-return]

    def drop(self, v: Array, threshold: Array, spikes: Array) -> Array:
        """See Membranes."""
        return v - spikes * threshold  # type: ignore[no-any-return]

    def put(self, v: Array, value: Array | None, spikes: Array) -> Array:
        """See Membranes."""
        return np.where(spikes > 0, v.dtype.type(0) if value is None else value, v)

    def hold(self, v: Array, minimum: Array) -> Array:
        """See Membranes."""
        return np.maximum(v - minimum, 0) + minimum  # type: ignore[no-any-return]


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

    def settled(self, v: Array) -> Array:
        """See Membranes."""
        return self.saturate("v", v)

    def compare(self, v: Array, threshold: Array, firing: Firing) -> Array:
        """See Membranes."""
        if firing.many:
            return np.where(v > 0, v // np.maximum(threshold, 1), 0)
        return super().compare(v, threshold, firing)


def immediate(reset: str) -> None:
    """Raise UnsupportedError unless `fire` can do it: it resets at once, and fires once, above its threshold."""
    if reset not in IMMEDIATE or not getattr(reset, "plain", True):
        raise UnsupportedError(
            f"a neuron model that only calls `fire` cannot reset by {str(reset)!r}, fire at its threshold or several "
            "times in a step; its step is to call `membrane`"
        )


FLOATS: Any = Floats()
INTEGERS: Any = Integers()
