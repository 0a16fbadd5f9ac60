"""How layers lie in memory for the compiled kernels. Synapses: each input's weights as runs over neighbouring outputs.

Signals are channels-last, so the weights that one input channel sends through one kernel row to neighbouring outputs
are contiguous.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from asnn_deploy.engine.kernels.records import BLOCK, PADDED_TO, SPACE, Geometry, Window
from asnn_deploy.engine.signals import BYTE
from asnn_deploy.ir import granularity
from asnn_deploy.ir.layers import Conv, Linear, Pool, Shape
from asnn_deploy.util.arrays import Array

_CACHE_LINE = 64


def geometry(layer: Conv | Linear, shape_in: Shape, shape_out: Shape) -> Geometry:
    """How a layer reads inputs of one shape and writes outputs of another."""
    groups = 1 if isinstance(layer, Linear) else layer.groups
    kernel: tuple[int, ...] = tuple(layer.weight.shape[2:])
    windows = (
        [kernel, (), (), ()] if isinstance(layer, Linear) else [kernel, layer.stride, layer.padding, layer.dilation]
    )
    # A linear map is a convolution of an image of one pixel, and a 1-D signal one row of an image.
    kernel, stride, padding, dilation = (
        (*(fill,) * (2 - len(window)), *window) for window, fill in zip(windows, (1, 1, 0, 1))
    )
    shape_in, shape_out = ((s[0], *(1,) * (3 - len(s)), *s[1:]) for s in (shape_in, shape_out))
    (channels, height, width), (outputs, out_height, out_width) = shape_in, shape_out
    rows = stride[1] == dilation[1] == groups == 1
    taps = kernel[1] if rows else 1
    run = -(-taps * outputs // groups // PADDED_TO) * PADDED_TO
    left = max(0, kernel[1] - 1 - padding[1]) if rows else 0
    reach = width + padding[1] + left if rows else out_width
    pitch = max(reach, left + out_width) * outputs
    return Geometry(
        *(height, width, channels, groups, *kernel, taps, run, outputs, out_height, out_width),
        *(left, pitch, *stride, *padding, *dilation),
    )


def side_by_side(shape: Shape) -> Geometry:
    """Neurons `(C, H, W)`, `(C, L)` or `(N,)` whose currents lie as their spikes will, with no synapses before them."""
    channels, height, width = (shape[0], *(1,) * (3 - len(shape)), *shape[1:])
    one_each = (1, 1, 1, 1, 1, channels)
    return Geometry(height, width, channels, *one_each, height, width, 0, width * channels, 1, 1, 0, 0, 1, 1)


def arrange(weight: Array, g: Geometry, dtype: Any) -> Array:
    """A weight `[out, in/groups, *kernel]` as `[channels, kernel_height, kernel_width/taps, run]`, flat.

    Within a run of several taps the kernel is mirrored: an input reaches outputs further left through taps further
    right.
    """
    per_group_out, per_group_in = g.outputs // g.groups, g.channels // g.groups
    w = weight.reshape(g.groups, per_group_out, per_group_in, g.kernel_height, g.kernel_width)
    w = w.transpose(0, 2, 3, 4, 1)  # groups, in, kernel height, kernel width, out
    if g.taps > 1:
        w = w[:, :, :, ::-1]
    w = w.reshape(g.channels, g.kernel_height, g.kernel_width // g.taps, g.taps * per_group_out)
    runs = np.zeros((*w.shape[:3], g.run), dtype)
    runs[..., : w.shape[3]] = w
    return runs.reshape(-1)


def aligned(length: int, dtype: Any) -> Array:
    """Zeros that begin on a cache line, as vector loads and stores like it."""
    raw = np.zeros(length * np.dtype(dtype).itemsize + _CACHE_LINE, np.uint8)
    start = -raw.ctypes.data % _CACHE_LINE
    return raw[start : start + length * np.dtype(dtype).itemsize].view(dtype)


def spread(tables: Sequence[Sequence[Array]], shape: Shape) -> tuple[int, list[Array]]:
    """Parameters `[T]` as the neurons of a sample read them, channels-last: `[T, a row]`, or `[T, neurons]` if need be.

    Returns how far apart the rows' parameters are (0 if all rows share them), and the tables.
    """
    height = shape[1] if len(shape) > 2 else 1
    width = math.prod(shape) // height

    def rows(value: Array) -> Array:
        return np.moveaxis(granularity.spread(value, shape), 0, -1).reshape(height, width)

    whole = [np.stack([rows(value) for value in table]) for table in tables]
    if all((r == r[:, :1]).all() for r in whole):
        return 0, [np.ascontiguousarray(r[:, 0]) for r in whole]
    return width, [r.reshape(len(r), -1) for r in whole]


def in_blocks(rows: Array, channels: int) -> tuple[int, int, Array]:
    """Return how many neurons a block has, how far (0 or 1) parameters move with a neuron, and the parameters.

    rows `[T, parameters, a row]` become those of one block if all are alike: if the layer or its positions share them.
    """
    for period in (1, channels):
        first, length = rows[..., :period], BLOCK // period * period
        alike = rows.reshape(*rows.shape[:2], rows.shape[2] // period, period) == first[:, :, None]
        if length and alike.all():
            return length, 0, np.tile(first, -(-SPACE // period))[..., :SPACE]
    return BLOCK, 1, rows


def window(pool: Pool | None, shape: Shape) -> Window:
    """A pooling as the kernels take it, and the shape of its result; without one, nothing."""
    if pool is None:
        return Window(False, *(0,) * 8)
    flat = len(shape) == 2
    kernel, stride, padding, out = (
        (first, *rest) if flat else tuple(rest)
        for first, rest in ((1, pool.kernel), (1, pool.stride), (0, pool.padding), (1, shape[1:]))
    )
    return Window(pool.mode == "sum", *kernel, *stride, *padding, *out)


def poolable(pool: Pool) -> bool:
    """Whether the compiled pooling knows a layer: sums or maxima of spikes, within a byte."""
    return pool.mode == "max" or (pool.mode == "sum" and int(np.prod(pool.kernel)) <= BYTE)
