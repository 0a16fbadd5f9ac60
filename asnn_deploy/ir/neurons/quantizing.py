"""What a neuron model needs to give its integer parameters: the units of what arrives and of its membrane, and the
roundings that the integer formats allow.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np

from asnn_deploy.ir.fixed_point import ACCUMULATOR_BITS, GAIN_BITS, LEAK_BITS, LEAK_SHIFT, STATE_BITS, largest
from asnn_deploy.util.arrays import Array

LARGEST_SHIFT = 30
"""Of a gain mantissa."""
INNER_BITS = 16
"""A state that is scaled into another one has this many bits, so that its product with a mantissa of as many fits."""


class OutOfRange(Exception):
    """A parameter has no integer of its format, whatever the units. The text says which, and what would fit."""


class TooFine(Exception):
    """A parameter has no integer of its format at this membrane unit; a coarser one may do."""


@dataclass
class Quantizing:
    """What arrives at a neuron layer, and the membrane unit to try.

    units: what one integer that arrives is worth; low, high: bounds of these integers; bias: what arrives on top of
        them, in real numbers. Each `[T, ...]`, broadcastable to the layer's shape.
    unit: what one integer of the membrane potential is worth.
    exact: False leaves all integers unrounded and unbounded, to see how far they would have to go; what does not fit is
        then in `rooms`: parameter to how many times larger it could be, at each step.
    """

    units: Array
    low: Array
    high: Array
    bias: Array
    unit: float = 1.0
    exact: bool = True
    rooms: dict[str, list[float]] = field(default_factory=dict)

    def fraction(self, key: str, value: Array) -> Array:
        """`round(value * 2**12)`, a leak. Raises OutOfRange naming value and step if it lies outside (-8, 8)."""
        found = np.rint(np.asarray(value) * 2**LEAK_SHIFT)
        top = largest(LEAK_BITS)
        for t, at in enumerate(np.atleast_1d(found)):
            if np.abs(at).max() > top:
                given = np.atleast_1d(np.asarray(value, dtype=np.float64))[t]
                worst = given.flat[np.abs(given).argmax()]
                raise OutOfRange(
                    f"{key} {worst:.4g} at step {t} lies outside the format's range (-8, 8); "
                    f"magnitudes up to {top / 2**LEAK_SHIFT:.4f} fit"
                )
        return found

    def mantissas(self, key: str, factors: Array, low: Array, high: Array) -> tuple[Array, Array]:
        """Factors `[T, ...]` as mantissas and, for each step, the largest shift that fits: `factor * 2**shift`.

        low, high: bounds of the integers that they multiply; where nothing arrives, a factor that does not fit is cut.
        Raises TooFine if even shift 0 is too much.
        """
        reach = np.maximum(-low, high)
        reach = np.broadcast_to(reach, (len(factors), *reach.shape[1:]))
        factors = np.stack([_needed(f, r) for f, r in zip(factors, reach)])
        steps = [_room(f, r) for f, r in zip(factors, reach)]
        if not self.exact:
            self.rooms[key] = steps
            return factors, np.zeros(len(factors))
        shifts, mantissas = [], []
        for t, (factor, room) in enumerate(zip(factors, steps)):
            shift = 0 if math.isinf(room) else min(LARGEST_SHIFT, math.floor(math.log2(room)))
            rounded = np.rint(factor * 2.0**shift)
            if shift >= 0 and _room(rounded, reach[t]) < 1:  # rounding pushed it over the edge
                shift -= 1
                rounded = np.rint(factor * 2.0**shift)
            if shift < 0:
                raise TooFine
            shifts.append(shift)
            mantissas.append(rounded)
        return np.stack(mantissas), np.array(shifts)

    def drive(self, gain: Array, bias: Array) -> dict[str, Array]:
        """`gain`, `gain_shift` and `bias` of a membrane that reads its input directly.

        What arrives on top of the integers goes through the gain into the bias. Raises TooFine if they do not fit.
        """
        mantissas, shifts = self.mantissas("gain", gain * self.units / self.unit, self.low, self.high)
        return {"gain": mantissas, "gain_shift": shifts, "bias": self.whole((gain * self.bias + bias) / self.unit)}

    def threshold(self, value: Array) -> Array:
        """A threshold in membrane units. Raises TooFine if the smallest would be 0."""
        found = self.whole(np.asarray(value) / self.unit)
        if self.exact and found.min() < 1:
            raise TooFine
        return found

    def membrane(self, p: SimpleNamespace) -> dict[str, Array]:
        """What a membrane has besides what drives it, in membrane units: threshold, reset potential, bounds.

        Raises TooFine if they do not fit.
        """
        found = {} if p.threshold is None else {"threshold": self.threshold(p.threshold)}
        for key in ("reset_potential", "initial", "minimum"):
            value = getattr(p, key)
            if value is not None and (key == "minimum" or np.any(value)):
                found[key] = self.whole(np.asarray(value) / self.unit)
        return found

    def whole(self, values: Array) -> Array:
        """Rounded to integers. Raises TooFine if they leave the width of a state."""
        if not self.exact:
            return np.asarray(values)
        if np.abs(values).max(initial=0) > largest(STATE_BITS):
            raise TooFine
        return np.rint(values)

    def unit_for(self, low: Array, high: Array) -> float:
        """The unit of a state between these bounds that is scaled into another one: see INNER_BITS."""
        return float(max(np.abs(low).max(), np.abs(high).max()) or 1.0) / largest(INNER_BITS)


def _needed(factors: Array, reach: Array) -> Array:
    """Factors; if they do not fit, with those of what never arrives no larger than the others."""
    if _room(factors, reach) >= 1:
        return factors
    magnitudes, reaching = np.broadcast_arrays(np.abs(factors), reach)
    most = magnitudes[reaching > 0].max(initial=0) or largest(GAIN_BITS)
    return np.clip(factors, -most, most)


def _room(factors: Array, reach: Array) -> float:
    """How many times larger mantissas could be for inputs up to `reach`; infinite if all are 0."""
    magnitudes = np.abs(factors)
    products = magnitudes * reach
    room = [
        largest(bits) / float(v.max())
        for bits, v in ((GAIN_BITS, magnitudes), (ACCUMULATOR_BITS, products))
        if v.max() > 0
    ]
    return min(room, default=math.inf)
