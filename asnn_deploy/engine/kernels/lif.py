"""LIF neurons. In integers every register has 32 bits, which `registers.covers` has proved to be enough."""

from __future__ import annotations

from typing import Any

import numpy as np

from asnn_deploy.ir.fixed_point import LEAK_SHIFT, STATE_BITS, largest

_i = np.int32
_u = np.uint64
_LEAK_MASK = np.int32((1 << LEAK_SHIFT) - 1)
_LEAK_SHIFT = np.int32(LEAK_SHIFT)
_TOP = np.int32(largest(STATE_BITS))


def integers(neurons: Any, t: Any, acc: Any, states: Any, at: Any, fired: Any, g: Any) -> None:
    """See `advance.update`."""
    leak, gain, threshold, bias = neurons.leak[t], neurons.gain[t], neurons.threshold[t], neurons.bias[t]
    shift, to_zero, width = neurons.shift[t], neurons.to_zero, g.out_width * g.outputs
    below = _i((1 << shift) - 1)
    for row in range(g.out_height):
        x, s, p = _u(row * g.pitch + g.left * g.outputs), _u(row * width), _u(row * neurons.pitch)
        m = _u(at) + s
        for j in range(_u(width)):
            # |v| * |leak| has up to 38 bits: its two 12-bit halves have not, and truncate together as one would.
            v_sign, leak_sign = _i(states[m + j] >> 31), _i(leak[p + j] >> 31)
            size, factor = _i((states[m + j] ^ v_sign) - v_sign), _i((leak[p + j] ^ leak_sign) - leak_sign)
            high, low = _i(_i(size >> _LEAK_SHIFT) * factor), _i(_i(size & _LEAK_MASK) * factor)
            decayed, sign = _i(high + _i(low >> _LEAK_SHIFT)), _i(v_sign ^ leak_sign)
            product = _i(_i(acc[x + j]) * gain[p + j])
            driven = _i(_i(product + _i(_i(product >> 31) & below)) >> shift)
            total = _i(_i(_i(_i(decayed ^ sign) - sign) + driven) + bias[p + j])
            total = min(max(total, _i(-_TOP)), _TOP)
            fires = total > threshold[p + j]
            rest = _i(0) if to_zero else _i(total - threshold[p + j])
            states[m + j] = rest if fires else total
            fired[s + j] = fires


def floats(neurons: Any, t: Any, acc: Any, states: Any, at: Any, fired: Any, g: Any) -> None:
    """See `advance.update`."""
    leak, gain, threshold, bias = neurons.leak[t], neurons.gain[t], neurons.threshold[t], neurons.bias[t]
    to_zero, width = neurons.to_zero, g.out_width * g.outputs
    for row in range(g.out_height):
        x, s, p = _u(row * g.pitch + g.left * g.outputs), _u(row * width), _u(row * neurons.pitch)
        m = _u(at) + s
        for j in range(_u(width)):
            total = (leak[p + j] * states[m + j] + gain[p + j] * acc[x + j]) + bias[p + j]
            fires = total > threshold[p + j]
            rest = np.float32(0) if to_zero else total - threshold[p + j]
            states[m + j] = rest if fires else total
            fired[s + j] = fires
