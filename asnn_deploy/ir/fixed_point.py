"""The integer arithmetic: the one definition that every integer implementation is held against.

All quantities are two's-complement integers in wide registers; the widths below are those that a chip needs, and
`analysis/overflow.py` proves that no value leaves them. Modelled on Loihi's LIF (Lava 0.10, `lava.proc.lif`): 24-bit
state, 12-bit decay fractions, 8-bit weights, truncation towards zero.

    decay      v * leak_q / 2**LEAK_SHIFT, leak_q = round(leak * 2**LEAK_SHIFT)
    scaling    a * gain_q / 2**gain_shift
    both truncated towards zero (sign-magnitude truncation), then saturated to STATE_BITS
"""

from __future__ import annotations

import math

import numpy as np

from asnn_deploy.util.arrays import Array

STATE_BITS = 24
"""Signed width of the membrane potential and of every other neuron state."""
ACCUMULATOR_BITS = 32
"""Signed width of a synaptic accumulator, of its product with a gain, and of a readout accumulator."""
LEAK_SHIFT = 12
"""Fraction bits of a leak: 1.0 is 4096."""
LEAK_BITS = 16
"""Signed width of a leak, so that leaks lie in (-8, 8)."""
GAIN_BITS = 16
"""Signed width of a gain mantissa."""


def largest(bits: int) -> int:
    """The largest integer of a signed width."""
    return int((1 << (bits - 1)) - 1)


def answer_unit(least: float) -> float:
    """The smallest unit of an answer from `least` on with so few significant bits that its products with integers of
    ACCUMULATOR_BITS, and hence logits summed in any way, are exact in float64."""
    digits = 53 - (ACCUMULATOR_BITS - 1)
    mantissa, exponent = math.frexp(least)
    return math.ldexp(math.ceil(mantissa * (1 << digits)), exponent - digits)


def truncating_shift(x: Array, shift: int | Array) -> Array:
    """`x / 2**shift` truncated towards zero, int64. Adding `2**shift - 1` to negative numbers makes the floor that."""
    wide = np.asarray(x, dtype=np.int64)
    return (wide + ((wide >> 63) & ((np.int64(1) << shift) - 1))) >> shift  # type: ignore[no-any-return]


def saturate(x: Array, bits: int) -> Array:
    """Clamp to the symmetric range of a signed width, `-(2**(bits-1)-1) .. 2**(bits-1)-1`."""
    return np.clip(x, -largest(bits), largest(bits))
