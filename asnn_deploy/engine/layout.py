"""How layers lie in memory for the compiled kernels. Synapses: each input's weights as runs over neighbouring outputs.

Signals are channels-last, so the weights that one input channel sends through one kernel row to neighbouring outputs
are contiguous.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from asnn_deploy.engine.signals import BYTE
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.layers import Conv, Linear, Neuron, Pool, Shape
from asnn_deploy.util.arrays import Array

_CACHE_LINE = 64
PADDED_TO = 32
"""Runs of weights are padded with zeros to a multiple of so many: whole vector registers, at 8 or 16 bits each."""


class Geometry(NamedTuple):
    """A convolution (or, as one of a 1x1 image, a linear map) as runs of weights. All sizes in elements.

    A run goes through `taps` neighbouring outputs: with stride and dilation 1 and no groups a whole kernel row, else
    one tap. `left` columns stand before an accumulator row's first output, so that rows need no borders.
    """

    height: int
    width: int
    channels: int
    groups: int
    kernel_height: int
    kernel_width: int
    taps: int
    run: int
    outputs: int
    out_height: int
    out_width: int
    left: int
    pitch: int
    stride_y: int
    stride_x: int
    padding_y: int
    padding_x: int
    dilation_y: int
    dilation_x: int

    @property
    def accumulators(self) -> int:
        """Length of the accumulator of one sample, with room for a run's padding."""
        return self.out_height * self.pitch + PADDED_TO

    @property
    def weights(self) -> int:
        """Length of one weight table."""
        return self.channels * self.kernel_height * (self.kernel_width // self.taps) * self.run


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


def parameters(graph: DeployGraph, neuron: Neuron) -> dict[str, list[Array]]:
    """A neuron layer's parameters, each step's `[T]`, with the defaults of those left out."""
    known = neuron.definition.known(graph.arithmetic == "fixed")
    return {
        key: [
            neuron.parameters[key].at(t) if key in neuron.parameters else np.asarray(p.default)
            for t in range(graph.time_steps)
        ]
        for key, p in known.items()
    }


def spread(tables: list[list[Array]], shape: tuple[int, ...]) -> tuple[int, list[Array]]:
    """Parameters as the neurons of a sample read them, channels-last: `[T, a row]`, or `[T, neurons]` where need be.

    Returns how far apart the rows' parameters are (0 where all rows share them), and the tables.
    """
    width = shape[0] * (shape[-1] if len(shape) > 1 else 1)
    full = (shape[0], shape[1] if len(shape) > 2 else 1, shape[-1] if len(shape) > 1 else 1)

    def whole(value: Array) -> Array:
        if value.ndim == 1 and len(shape) > 1 and value.shape == shape[:1]:
            value = value.reshape(-1, 1, 1)
        elif value.ndim == 2:
            value = value[:, None]  # a 1-D signal is one row
        elif value.ndim == 1:
            value = value.reshape(-1, 1, 1)
        return np.broadcast_to(value, full).transpose(1, 2, 0).reshape(full[1], width)

    rows = [np.stack([whole(np.asarray(value)) for value in table]) for table in tables]
    if all((r == r[:, :1]).all() for r in rows):
        return 0, [np.ascontiguousarray(r[:, 0]) for r in rows]
    return width, [r.reshape(len(r), -1) for r in rows]


def pooling(pool: Pool | None, shape: tuple[int, ...]) -> tuple[Any, ...]:
    """A pooling as `kernels.pool` takes it."""
    if pool is None:
        return (False, *(0,) * 8)
    flat = len(shape) == 2
    kernel, stride, padding, out = (
        (first, *rest) if flat else tuple(rest)
        for first, rest in ((1, pool.kernel), (1, pool.stride), (0, pool.padding), (1, shape[1:]))
    )
    return (pool.mode == "sum", *kernel, *stride, *padding, *out)


def poolable(pool: Pool) -> bool:
    """Whether the compiled pooling knows a layer: sums or maxima of spikes, within a byte."""
    return pool.mode == "max" or (pool.mode == "sum" and int(np.prod(pool.kernel)) <= BYTE)
