"""The integer arithmetic of Loihi's synapses, as Lava 0.10 has it (`lava.proc.dense`, `lava.proc.conv`).

A weight is stored in `bits` bits below a scale that its population shares:

    weight = k * 2**(8 - bits)       0 <= k < 2**bits              all weights >= 0 (excitatory), or all <= 0, negated
    weight = k * 2**(8 - bits + 1)   -2**(bits-1) <= k < 2**(bits-1)         both signs (mixed)

What lies between is truncated downwards (towards zero for inhibitory weights). The sums are then shifted by the weight
exponent, downwards again where it is negative. Lava's Dense does all of that. Its Conv takes its weights as they are,
ignores the exponent, and wraps its sums into 24 bits; given weights that Loihi can store, the two agree.

Source: lava-nc 0.10.0, `lava/utils/weightutils.py`, `lava/proc/dense/models.py`, `lava/proc/conv/models.py`.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from asnn_deploy.ir.fixed_point import STATE_BITS
from asnn_deploy.util.arrays import Array

WEIGHT_BITS = 8
MESSAGE_BITS = 8
"""Of a graded spike that carries a pixel or a count: 0..255."""
SignMode = Literal["mixed", "excitatory", "inhibitory"]


def sign_mode(weight: Array) -> SignMode:
    """The sign mode that Lava finds for weights where none is given."""
    if weight.min() >= 0:
        return "excitatory"
    return "inhibitory" if weight.max() <= 0 else "mixed"


def granularity(bits: int, mode: SignMode) -> int:
    """The step between two weights that can be stored."""
    return 1 << (WEIGHT_BITS - bits + (mode == "mixed"))


def stored(weight: Array, bits: int = WEIGHT_BITS, mode: SignMode | None = None) -> Array:
    """The weights that Loihi computes with, given those asked for: clipped to their range and truncated; int64.

    weight: integers `[...]`; bits: 1 to 8; mode: found from the weights where it is None.
    """
    mode = mode or sign_mode(weight)
    step = granularity(bits, mode)
    signed = -weight.astype(np.int64) if mode == "inhibitory" else weight.astype(np.int64)
    low = -(1 << WEIGHT_BITS) if mode == "mixed" else 0
    kept = np.clip(signed, low, (1 << WEIGHT_BITS) - 1) // step * step
    return -kept if mode == "inhibitory" else kept


def arriving(sums: Array, exponent: int = 0) -> Array:
    """What a Dense sends: sums `[...]` of stored weights times `2**exponent`, rounded downwards."""
    return sums << exponent if exponent > 0 else sums >> -exponent


def wrapped(sums: Array) -> Array:
    """What a Conv sends: sums `[...]` modulo 2**24, in -2**23 .. 2**23 - 1."""
    half = 1 << (STATE_BITS - 1)
    return (sums + half) % (2 * half) - half


def received(values: Array, message_bits: int) -> Array:
    """What synapses read of a message: its value, or whether there is one where spikes carry no bits."""
    return values if message_bits else (values != 0).astype(np.int64)


def exponent_of(weight: Array) -> int | None:
    """The weight exponent, 0 or -1, with which 8 bits and a sign hold effective weights; None where neither does.

    With -1, every integer from -128 to 127 can be held, with 0 the even ones from -256 to 254.
    """
    for exponent in (0, -1):
        asked = weight.astype(np.int64) << -exponent
        if np.array_equal(stored(asked, mode="mixed"), asked):
            return exponent
    return None
