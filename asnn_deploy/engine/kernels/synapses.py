"""Synapses: the inputs that are there are listed, and add their runs of weights to the accumulators.

Up to eight inputs of a pixel are added in one pass.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir

from asnn_deploy.engine.compiler import compiled, intrinsic, types

_u = np.uint64


@intrinsic
def trailing_zeros(_context: Any, _word: Any) -> Any:
    """The number of zero bits below a word's lowest one; the word must not be 0."""

    def code(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(types.uint64), code


@compiled
def gather_spikes(words: Any, start: Any, table: Any, g: Any, begins: Any, inputs: Any) -> None:
    """As `gather`, for spikes, eight channels to a word: what does not fire costs an eighth.

    words: the bytes 0 and 1 of `x`, flat, as uint64; the sample's begin at `start`.
    """
    groups = g.groups
    size = g.kernel_height * (g.kernel_width // g.taps) * g.run
    members = g.channels // groups // 8
    n = 0
    for i in range(g.height * g.width * groups):
        begins[i] = n
        at = table + (i % groups * members * 8 * size if groups > 1 else 0)
        for k in range(members):
            word = words[_u(start + i * members + k)]
            while word:
                inputs[n] = at + np.int64(trailing_zeros(word) >> _u(3)) * size  # type: ignore[call-arg]
                n += 1
                word &= word - _u(1)
            at += 8 * size
    begins[g.height * g.width * groups] = n


@compiled
def gather(x: Any, start: Any, table: Any, g: Any, begins: Any, inputs: Any, values: Any) -> None:
    """List one sample's inputs at one step, pixel by pixel and group by group.

    x: flat, channels-last; the sample's begin at `start`. table: where the weights in force begin.
    inputs, values: where each input's weights begin, and what it is worth; `begins[i]`: where the i-th list begins.
    """
    groups = g.groups
    size = g.kernel_height * (g.kernel_width // g.taps) * g.run
    members = g.channels // groups
    n = 0
    for i in range(g.height * g.width * groups):
        begins[i] = n
        first = i % groups * members if groups > 1 else 0
        place = _u(start + i * members)
        at = table + first * size
        for c in range(members):
            value = x[place + _u(c)]
            inputs[n] = at + c * size
            values[n] = value
            n += value != 0
    begins[g.height * g.width * groups] = n


@compiled
def reached(place: Any, tap: Any, stride: Any, padding: Any, dilation: Any, count: Any) -> int:
    """Which output an input at `place` reaches through a tap, along one axis; negative for none."""
    at = place + padding - tap * dilation
    if stride > 1:
        if at % stride:
            return -1
        at //= stride
    return at if at < count else -1


@compiled
def list_inputs(x: Any, start: Any, graded: Any, table: Any, g: Any, begins: Any, inputs: Any, values: Any) -> None:
    """List one sample's inputs at one step, in whichever way is quicker. x: flat; a sample's begin at `start`."""
    if not graded and g.channels // g.groups % 8 == 0:
        gather_spikes(x.view(np.uint64), start // 8, table, g, begins, inputs)
    else:
        gather(x, start, table, g, begins, inputs, values)


@compiled
def add(w: Any, graded: Any, g: Any, begins: Any, inputs: Any, values: Any, acc: Any) -> None:
    """Add the runs of all listed inputs to the accumulators: each once, or each times its value (`graded`)."""
    groups, taps, length = g.groups, g.taps, _u(g.run)
    for i in range(g.height * g.width * groups):
        n, end = begins[i], begins[i + 1]
        if n == end:
            continue
        pixel, group = (i, 0) if groups == 1 else (i // groups, i % groups)
        y, column = pixel // g.width, pixel % g.width
        for segment in range(g.kernel_height * (g.kernel_width // taps)):
            whole = taps == g.kernel_width
            ky, kx = (segment, 0) if whole else (segment // g.kernel_width, segment % g.kernel_width)
            row = reached(y, ky, g.stride_y, g.padding_y, g.dilation_y, g.out_height)
            if taps > 1:
                at = column + g.padding_x - (g.kernel_width - 1) + g.left
            else:
                at = reached(column, kx, g.stride_x, g.padding_x, g.dilation_x, g.out_width)
            if row < 0 or at < 0:
                continue
            o, offset = _u(row * g.pitch + at * g.outputs + group * (g.outputs // groups)), segment * g.run
            n = begins[i]
            if graded:
                for i_value in range(n, end):
                    a, value = _u(inputs[i_value] + offset), values[i_value]
                    for j in range(length):
                        acc[o + j] += w[a + j] * value
                continue
            while n + 8 <= end:
                a, b = _u(inputs[n] + offset), _u(inputs[n + 1] + offset)
                c, d = _u(inputs[n + 2] + offset), _u(inputs[n + 3] + offset)
                e, f = _u(inputs[n + 4] + offset), _u(inputs[n + 5] + offset)
                h, k = _u(inputs[n + 6] + offset), _u(inputs[n + 7] + offset)
                for j in range(length):
                    acc[o + j] += ((w[a + j] + w[b + j]) + (w[c + j] + w[d + j])) + (
                        (w[e + j] + w[f + j]) + (w[h + j] + w[k + j])
                    )
                n += 8
            if n + 4 <= end:
                a, b = _u(inputs[n] + offset), _u(inputs[n + 1] + offset)
                c, d = _u(inputs[n + 2] + offset), _u(inputs[n + 3] + offset)
                for j in range(length):
                    acc[o + j] += (w[a + j] + w[b + j]) + (w[c + j] + w[d + j])
                n += 4
            if n + 2 <= end:
                a, b = _u(inputs[n] + offset), _u(inputs[n + 1] + offset)
                for j in range(length):
                    acc[o + j] += w[a + j] + w[b + j]
                n += 2
            if n < end:
                a = _u(inputs[n] + offset)
                for j in range(length):
                    acc[o + j] += w[a + j]


@compiled
def integrate(x: Any, synapses: Any, currents: Any) -> None:
    """Synapses alone: inputs `x[steps, samples, :]` to `currents[steps, samples, out_height, out_width * outputs]`."""
    g, acc, bias = synapses.geometry, synapses.accumulators, synapses.bias
    width = g.out_width * g.outputs
    room = g.height * g.width * g.channels + 1
    begins, inputs, values = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, acc.dtype)
    flat, graded, weights = x.reshape(-1), synapses.graded, synapses.weights
    for t in range(x.shape[0]):
        for b in range(x.shape[1]):
            acc[:] = 0
            if len(bias):
                acc[:] = bias[t]
            start = (t * x.shape[1] + b) * x.shape[2]
            list_inputs(flat, start, graded, synapses.tables[t], g, begins, inputs, values)
            add(weights, graded, g, begins, inputs, values, acc)
            for row in range(g.out_height):
                first = row * g.pitch + g.left * g.outputs
                currents[t, b, row] = acc[first : first + width]
