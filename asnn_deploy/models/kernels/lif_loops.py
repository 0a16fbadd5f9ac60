"""The compiled loops of the LIF kernel, over blocks of neurons, all steps of a block before the next.

x is `[T, rows, run]`; the parameters `[T, P, run or 1]`, where row r has those of r mod P; what is called a block's is
`[BLOCK]` or `[T, BLOCK]`. All loops stand in one file because a compiled function on disk is renewed when its own file
changes, not when one that it calls does.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
from llvmlite import ir

from asnn_deploy.engine.compiler import compiled, intrinsic, overload, types

BLOCK = 2048
"""Neurons at a time. With T = 7, their potentials and parameters fill a second-level cache by half."""
_LOG2_E, _LN_2_HIGH, _LN_2_LOW = np.float32(1.44269504), np.float32(0.693359375), np.float32(-2.12194440e-4)
_EXPONENT_BIAS, _MANTISSA_BITS = np.int32(127), np.int32(23)
_ONE, _FOUR, _HALF = np.float32(1), np.float32(4), np.float32(0.5)
_C2, _C3, _C4, _C5, _C6 = (np.float32(1 / math.factorial(k)) for k in range(2, 7))
_LARGEST = np.float32(80)
"""exp(-80) is above the smallest normal float32; beyond, a surrogate gradient is nothing anyway."""


@intrinsic
def _as_float(_context: Any, _bits: Any) -> Any:
    """The float32 whose bits an int32 holds."""

    def code(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.int32), code


def _surrogate(z: Any) -> Any:
    """Norse's "tanh" surrogate of slope 2 backward: `1 - tanh(2z)**2 = 4 e / (1 + e)**2`, `e = exp(-4 |z|)`."""
    raise NotImplementedError


@overload(_surrogate, inline="always")
def _surrogate_of_type(z: Any) -> Any:
    if z == types.float64:

        def exact(z: Any) -> Any:
            return 1 - math.tanh(2 * z) ** 2

        return exact

    def approximate(z: Any) -> Any:
        # exp(-y) = 2**-n exp(-r) with |r| <= ln(2) / 2: a Taylor polynomial there is good to 2e-7, and vectorised.
        y = min(_FOUR * abs(z), _LARGEST)
        n = np.int32(y * _LOG2_E + _HALF)
        r = np.float32(n) * _LN_2_HIGH - y + np.float32(n) * _LN_2_LOW
        p = _ONE + r * (_ONE + r * (_C2 + r * (_C3 + r * (_C4 + r * (_C5 + r * _C6)))))
        e = p * _as_float((_EXPONENT_BIAS - n) << _MANTISSA_BITS)  # type: ignore[call-arg]
        return _FOUR * e / ((_ONE + e) * (_ONE + e))

    return approximate


@compiled
def _parameters(a: Any, b: Any, c: Any, leak: Any, gain: Any, threshold: Any, row: Any, start: Any, loaded: Any) -> Any:
    """A block's leak, gain and threshold, one for each neuron, `[T, BLOCK]`, if they are not `loaded` already."""
    steps, kinds, run = leak.shape
    p = row % kinds
    which = p if run == 1 else start
    if which == loaded:
        return which
    for t in range(steps):
        if run == 1:
            a[t, :], b[t, :], c[t, :] = leak[t, p, 0], gain[t, p, 0], threshold[t, p, 0]
        else:
            for i in range(min(BLOCK, run - start)):
                a[t, i], b[t, i], c[t, i] = leak[t, p, start + i], gain[t, p, start + i], threshold[t, p, start + i]
    return which


# What follows is cut into short loops over few arrays: only those does the compiler turn into vector instructions.


@compiled
def _integrate(u: Any, v: Any, x: Any, a: Any, b: Any) -> None:
    for i in range(len(x)):
        u[i] = a[i] * v[i] + b[i] * x[i]


@compiled
def _reset(v: Any, u: Any, c: Any, to_zero: Any) -> None:
    if to_zero:
        for i in range(len(u)):
            v[i] = u[i] - u[i] if u[i] > c[i] else u[i]
    else:
        for i in range(len(u)):
            v[i] = u[i] - c[i] if u[i] > c[i] else u[i]


@compiled
def _fire(spikes: Any, u: Any, c: Any) -> None:
    for i in range(len(u)):
        spikes[i] = u[i] > c[i]


@compiled
def forward(
    x: Any,
    before: Any,
    spikes: Any,
    after: Any,
    leak: Any,
    gain: Any,
    threshold: Any,
    to_zero: Any,
    first: Any,
    last: Any,
) -> None:
    steps, _, run = x.shape
    a, b, c = np.empty((steps, BLOCK), x.dtype), np.empty((steps, BLOCK), x.dtype), np.empty((steps, BLOCK), x.dtype)
    u, loaded = np.empty(BLOCK, x.dtype), -1
    for row in range(first, last):
        for start in range(0, run, BLOCK):
            end = min(start + BLOCK, run)
            size = end - start
            loaded = _parameters(a, b, c, leak, gain, threshold, row, start, loaded)
            v = after[row, start:end]
            v[:] = before[row, start:end]
            for t in range(steps):
                _integrate(u, v, x[t, row, start:end], a[t], b[t])
                _fire(spikes[t, row, start:end], u[:size], c[t])
                _reset(v, u[:size], c[t], to_zero)


@compiled
def _through_spikes(h: Any, u: Any, c: Any, grad: Any, back: Any, to_zero: Any, attached: Any) -> None:
    """h: the gradient of u that goes through the spikes; back: the gradient of the potential after the reset."""
    for i in range(len(h)):
        h[i] = _surrogate(u[i] - c[i])
    if not attached:
        for i in range(len(h)):
            h[i] *= grad[i]
    elif to_zero:
        for i in range(len(h)):
            h[i] *= grad[i] - u[i] * back[i]
    else:
        for i in range(len(h)):
            h[i] *= grad[i] - c[i] * back[i]


@compiled
def _through_reset(g: Any, h: Any, u: Any, c: Any, back: Any, to_zero: Any) -> None:
    """g: the whole gradient of u."""
    if to_zero:
        for i in range(len(h)):
            g[i] = h[i] if u[i] > c[i] else h[i] + back[i]
    else:
        for i in range(len(h)):
            g[i] = h[i] + back[i]


@compiled
def _of_threshold(h: Any, u: Any, c: Any, back: Any, to_zero: Any) -> None:
    """h becomes the gradient of the threshold."""
    if to_zero:
        for i in range(len(h)):
            h[i] = -h[i]
    else:
        for i in range(len(h)):
            h[i] = -h[i] - back[i] if u[i] > c[i] else -h[i]


@compiled
def _onwards(given: Any, back: Any, g: Any, a: Any, b: Any) -> None:
    for i in range(len(given)):
        given[i] = b[i] * g[i]
        back[i] = a[i] * g[i]


@compiled
def backward(
    x: Any,
    before: Any,
    grad: Any,
    given: Any,
    backwards: Any,
    leak: Any,
    gain: Any,
    threshold: Any,
    to_zero: Any,
    attached: Any,
    learned: Any,
    sums: Any,
    first: Any,
    last: Any,
) -> None:
    """backwards: the gradient of the last potentials, which becomes that of the first ones.

    sums: of the gradients of leak, gain, threshold, `[3, T, P, run or 1]`, added to.
    """
    steps, _, run = x.shape
    a, b, c = np.empty((steps, BLOCK), x.dtype), np.empty((steps, BLOCK), x.dtype), np.empty((steps, BLOCK), x.dtype)
    potentials, kept = np.empty((steps, BLOCK), x.dtype), np.empty((steps + 1, BLOCK), x.dtype)
    g, h, loaded = np.empty(BLOCK, x.dtype), np.empty(BLOCK, x.dtype), -1
    for row in range(first, last):
        p = row % leak.shape[1]
        for start in range(0, run, BLOCK):
            end = min(start + BLOCK, run)
            size = end - start
            loaded = _parameters(a, b, c, leak, gain, threshold, row, start, loaded)
            kept[0, :size] = before[row, start:end]
            for t in range(steps):  # the potentials once more
                _integrate(potentials[t], kept[t], x[t, row, start:end], a[t], b[t])
                _reset(kept[t + 1], potentials[t, :size], c[t], to_zero)
            back = backwards[row, start:end]
            for t in range(steps - 1, -1, -1):
                u, arrived, v = potentials[t, :size], x[t, row, start:end], kept[t, :size]
                _through_spikes(h[:size], u, c[t], grad[t, row, start:end], back, to_zero, attached)
                _through_reset(g, h[:size], u, c[t], back, to_zero)
                if learned:
                    _of_threshold(h[:size], u, c[t], back, to_zero)
                    if leak.shape[2] == 1:
                        sums[0, t, p, 0] += _dot(g, v)
                        sums[1, t, p, 0] += _dot(g, arrived)
                        sums[2, t, p, 0] += _total(h[:size])
                    else:
                        for i in range(size):
                            sums[0, t, p, start + i] += g[i] * v[i]
                            sums[1, t, p, start + i] += g[i] * arrived[i]
                            sums[2, t, p, start + i] += h[i]
                _onwards(given[t, row, start:end], back, g, a[t], b[t])


# The order of these sums is the compiler's, so that they are vectorised; it is the same in every call.
@partial(compiled, fastmath={"reassoc"})
def _dot(left: Any, right: Any) -> Any:
    total = left.dtype.type(0)
    for i in range(len(right)):
        total += left[i] * right[i]
    return total


@partial(compiled, fastmath={"reassoc"})
def _total(values: Any) -> Any:
    total = values.dtype.type(0)
    for i in range(len(values)):
        total += values[i]
    return total
