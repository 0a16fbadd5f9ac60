"""The compiled kernels: event-driven synapses, LIF neurons, pooling; one sample at a time, while its state is cached.

Only spikes cost: each input that is there adds its weights to the outputs that it reaches, up to eight inputs of a
pixel in one pass. Additions are exact (integers, or floats on an order-free grid), so their order is free. What is
computed here is defined elsewhere and tested equal to it: synapses and pooling in `dense.py`, neurons in
`neurons/lif.py`. `g` is always a `Geometry` as a tuple; other arguments are flat arrays or `[steps, samples, :]`.

All kernels stand in one file because a compiled kernel on disk is renewed when its own file changes, not when one
that it calls does; and a call that takes arrays counts references, so kernels call others once for a whole sample.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir

from asnn_deploy.engine.compiler import compiled, intrinsic, overload, types
from asnn_deploy.ir.fixed_point import LEAK_SHIFT, STATE_BITS, largest

_i = np.int32
_u = np.uint64
_LEAK_MASK = np.int32((1 << LEAK_SHIFT) - 1)
_LEAK_SHIFT = np.int32(LEAK_SHIFT)
_TOP = np.int32(largest(STATE_BITS))


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
    height, width, channels, groups, kernel_height, kernel_width, taps, run = g[:8]
    size = kernel_height * (kernel_width // taps) * run
    members = channels // groups // 8
    n = 0
    for i in range(height * width * groups):
        begins[i] = n
        at = table + (i % groups * members * 8 * size if groups > 1 else 0)
        for k in range(members):
            word = words[_u(start + i * members + k)]
            while word:
                inputs[n] = at + np.int64(trailing_zeros(word) >> _u(3)) * size  # type: ignore[call-arg]
                n += 1
                word &= word - _u(1)
            at += 8 * size
    begins[height * width * groups] = n


@compiled
def gather(x: Any, start: Any, table: Any, g: Any, begins: Any, inputs: Any, values: Any) -> None:
    """List one sample's inputs at one step, pixel by pixel and group by group.

    x: flat, channels-last; the sample's begin at `start`. table: where the weights in force begin.
    inputs, values: where each input's weights begin, and what it is worth; `begins[i]`: where the i-th list begins.
    """
    height, width, channels, groups, kernel_height, kernel_width, taps, run = g[:8]
    size = kernel_height * (kernel_width // taps) * run
    members = channels // groups
    n = 0
    for i in range(height * width * groups):
        begins[i] = n
        first = i % groups * members if groups > 1 else 0
        place = _u(start + i * members)
        at = table + first * size
        for c in range(members):
            value = x[place + _u(c)]
            inputs[n] = at + c * size
            values[n] = value
            n += value != 0
    begins[height * width * groups] = n


@compiled
def reached(place: Any, tap: Any, stride: Any, padding: Any, dilation: Any, count: Any) -> int:
    """Which output an input at `place` reaches through a tap, along one axis; -1 for none."""
    at = place + padding - tap * dilation
    if stride > 1:
        if at % stride:
            return -1
        at //= stride
    return at if at < count else -1


@compiled
def list_inputs(x: Any, start: Any, graded: Any, table: Any, g: Any, begins: Any, inputs: Any, values: Any) -> None:
    """List one sample's inputs at one step, in whichever way is quicker. x: flat; a sample's begin at `start`."""
    if not graded and g[2] // g[3] % 8 == 0:
        gather_spikes(x.view(np.uint64), start // 8, table, g, begins, inputs)
    else:
        gather(x, start, table, g, begins, inputs, values)


@compiled
def add(w: Any, graded: Any, g: Any, begins: Any, inputs: Any, values: Any, acc: Any) -> None:
    """Add the runs of all listed inputs to the accumulators: each once, or each times its value (`graded`)."""
    (height, width, _, groups, kernel_height, kernel_width, taps, run, outputs, out_height, out_width) = g[:11]
    left, pitch, stride_y, stride_x, padding_y, padding_x, dilation_y, dilation_x = g[11:]
    length = _u(run)
    for i in range(height * width * groups):
        n, end = begins[i], begins[i + 1]
        if n == end:
            continue
        pixel, group = (i, 0) if groups == 1 else (i // groups, i % groups)
        y, column = pixel // width, pixel % width
        for segment in range(kernel_height * (kernel_width // taps)):
            ky, kx = (segment, 0) if taps == kernel_width else (segment // kernel_width, segment % kernel_width)
            row = reached(y, ky, stride_y, padding_y, dilation_y, out_height)
            if taps > 1:
                at = column + padding_x - (kernel_width - 1) + left
            else:
                at = reached(column, kx, stride_x, padding_x, dilation_x, out_width)
            if row < 0 or at < 0:
                continue
            o, offset, n = _u(row * pitch + at * outputs + group * (outputs // groups)), segment * run, begins[i]
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
def pool(spikes: Any, start: Any, height: Any, width: Any, channels: Any, g: Any, out: Any, out_start: Any) -> None:
    """Pool one sample's spikes `[height, width, channels]` into counts (`sums`) or their OR. Both flat.

    g: (sums, kernel y, x, stride y, x, padding y, x, height and width of the result).
    """
    sums, kernel_y, kernel_x, stride_y, stride_x, padding_y, padding_x, out_height, out_width = g
    length = _u(channels)
    squares = kernel_y == kernel_x == 2 and padding_y == padding_x == 0
    for y in range(out_height):
        for x in range(out_width):
            o = _u(out_start + (y * out_width + x) * channels)
            if squares:
                a = _u(start + (y * stride_y * width + x * stride_x) * channels)
                b, c, d = a + length, a + _u(width * channels), a + _u((width + 1) * channels)
                if sums:
                    for j in range(length):
                        out[o + j] = (spikes[a + j] + spikes[b + j]) + (spikes[c + j] + spikes[d + j])
                else:
                    for j in range(length):
                        out[o + j] = (spikes[a + j] | spikes[b + j]) | (spikes[c + j] | spikes[d + j])
                continue
            for j in range(length):
                out[o + j] = 0
            for ky in range(kernel_y):
                row = y * stride_y - padding_y + ky
                for kx in range(kernel_x):
                    column = x * stride_x - padding_x + kx
                    if row < 0 or row >= height or column < 0 or column >= width:
                        continue
                    a = _u(start + (row * width + column) * channels)
                    if sums:
                        for j in range(length):
                            out[o + j] += spikes[a + j]
                    else:
                        for j in range(length):
                            out[o + j] |= spikes[a + j]


def update(acc: Any, v: Any, v0: Any, spikes: Any, g: Any, rows: Any, pitch: Any, shift: Any, to_zero: Any) -> None:
    """One step of one sample's LIF neurons: accumulators to potentials `v[v0:]` and `spikes`.

    rows: leak, gain, threshold and bias, flat; each row of neurons reads `pitch` further. shift: of the gain, in
    integers. Compiled code only; the type of `v` decides between integers and floats.
    """
    raise NotImplementedError


@overload(update)
def _update(acc: Any, v: Any, v0: Any, spikes: Any, g: Any, rows: Any, pitch: Any, shift: Any, to_zero: Any) -> Any:
    def whole(acc: Any, v: Any, v0: Any, spikes: Any, g: Any, rows: Any, pitch: Any, shift: Any, to_zero: Any) -> None:
        leak, gain, threshold, bias = rows
        below, width = _i((1 << shift) - 1), g[10] * g[8]
        for row in range(g[9]):
            x, s, p = _u(row * g[12] + g[11] * g[8]), _u(row * width), _u(row * pitch)
            m = _u(v0) + s
            for j in range(_u(width)):
                # |v| * |leak| has up to 38 bits: its two 12-bit halves have not, and truncate together as one would.
                v_sign, leak_sign = _i(v[m + j] >> 31), _i(leak[p + j] >> 31)
                size, factor = _i((v[m + j] ^ v_sign) - v_sign), _i((leak[p + j] ^ leak_sign) - leak_sign)
                high, low = _i(_i(size >> _LEAK_SHIFT) * factor), _i(_i(size & _LEAK_MASK) * factor)
                decayed, sign = _i(high + _i(low >> _LEAK_SHIFT)), _i(v_sign ^ leak_sign)
                product = _i(_i(acc[x + j]) * gain[p + j])
                driven = _i(_i(product + _i(_i(product >> 31) & below)) >> shift)
                total = _i(_i(_i(_i(decayed ^ sign) - sign) + driven) + bias[p + j])
                total = min(max(total, _i(-_TOP)), _TOP)
                fires = total > threshold[p + j]
                rest = _i(0) if to_zero else _i(total - threshold[p + j])
                v[m + j] = rest if fires else total
                spikes[s + j] = fires

    def real(acc: Any, v: Any, v0: Any, spikes: Any, g: Any, rows: Any, pitch: Any, shift: Any, to_zero: Any) -> None:
        leak, gain, threshold, bias = rows
        width = g[10] * g[8]
        for row in range(g[9]):
            x, s, p = _u(row * g[12] + g[11] * g[8]), _u(row * width), _u(row * pitch)
            m = _u(v0) + s
            for j in range(_u(width)):
                total = (leak[p + j] * v[m + j] + gain[p + j] * acc[x + j]) + bias[p + j]
                fires = total > threshold[p + j]
                rest = np.float32(0) if to_zero else total - threshold[p + j]
                v[m + j] = rest if fires else total
                spikes[s + j] = fires

    return whole if isinstance(v.dtype, types.Integer) else real


@compiled
def integrate(x: Any, graded: Any, w: Any, tables: Any, g: Any, bias: Any, acc: Any, currents: Any) -> None:
    """Synapses alone: inputs `x[steps, samples, :]` to `currents[steps, samples, out_height, out_width * outputs]`.

    graded: whether values other than 0 and 1 may arrive; tables `[steps]`: where the weights in force begin; bias: the
    accumulators as each step begins with them, `[steps, accumulators]`, or of length 0; acc: room for one sample's.
    """
    width = g[10] * g[8]
    room = g[0] * g[1] * g[2] + 1
    begins, inputs, values = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, acc.dtype)
    flat = x.reshape(-1)
    for t in range(x.shape[0]):
        for b in range(x.shape[1]):
            acc[:] = 0
            if len(bias):
                acc[:] = bias[t]
            list_inputs(flat, (t * x.shape[1] + b) * x.shape[2], graded, tables[t], g, begins, inputs, values)
            add(w, graded, g, begins, inputs, values, acc)
            for row in range(g[9]):
                first = row * g[12] + g[11] * g[8]
                currents[t, b, row] = acc[first : first + width]


@compiled
def advance(
    x: Any,
    graded: Any,
    w: Any,
    tables: Any,
    g: Any,
    bias: Any,
    acc: Any,
    sums: Any,
    v: Any,
    parameters: Any,
    pitch: Any,
    shifts: Any,
    to_zero: Any,
    spikes: Any,
    potentials: Any,
    pooled: Any,
    pooling: Any,
    emitted: Any,
) -> None:
    """Synapses, neurons and pooling: inputs `x[steps, samples, :]` (see `integrate`) to spikes.

    sums: the finished accumulators `[steps, samples, accumulators]` where others have added up, or of length 0.
    v `[samples, neurons]`; parameters: leak, gain, threshold, bias `[steps, neurons]`, or `[steps, a row]` with pitch
    0. Written where they have room: spikes and potentials `[steps, samples, neurons]`, pooled `[steps, samples, :]`,
    and how many neurons fired, emitted `[steps, samples]`.
    """
    neurons = v.shape[1]
    room = g[0] * g[1] * g[2] + 1
    begins, inputs, values = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, acc.dtype)
    fired = np.empty(neurons, np.uint8)
    flat, flat_v, flat_pooled = x.reshape(-1), v.reshape(-1), pooled.reshape(-1)
    leak, gain, threshold, offset = parameters
    for b in range(x.shape[1]):
        for t in range(x.shape[0]):
            if len(sums):
                acc[:] = sums[t, b]
            else:
                acc[:] = 0
                if len(bias):
                    acc[:] = bias[t]
                list_inputs(flat, (t * x.shape[1] + b) * x.shape[2], graded, tables[t], g, begins, inputs, values)
                add(w, graded, g, begins, inputs, values, acc)
            rows = (leak[t], gain[t], threshold[t], offset[t])
            update(acc, flat_v, b * neurons, fired, g, rows, pitch, shifts[t], to_zero)
            if len(spikes):
                spikes[t, b] = fired
            if len(potentials):
                potentials[t, b] = v[b]
            if len(pooled):
                start = (t * x.shape[1] + b) * pooled.shape[2]
                pool(fired, 0, g[9], g[10], g[8], pooling, flat_pooled, start)
            if len(emitted):
                ones = np.int32(0)
                for j in range(neurons):
                    ones = np.int32(ones + fired[j])
                emitted[t, b] = ones
