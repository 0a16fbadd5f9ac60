"""Weight clips with the least error, in closed form from the layer's inputs: no network is run.

Rounding a channel's weights errs by d in weights; its currents then err by d.x. Over the inputs x that reach the layer
the mean square of that is `d' H d` with H their second moments, so the best of many clips is found by trying them all.
A ridge on H mixes in the plain weight error `d' d`, which guards against inputs that the calibration images lack.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from asnn_deploy.ir.layers import Shape, Synapses
from asnn_deploy.ir.layers.base import Sliding
from asnn_deploy.ir.quantization import integer_weight, weight_units
from asnn_deploy.util.arrays import Array

LARGEST, SMALLEST, SMALLEST_OF_MANY_BITS = 1.5, 0.25, 0.7
"""Clips to try. Above 1 the largest weight is not clipped: another rounding of all weights, which may err less."""
GRID_NUMBERS = 10_000_000
"""Small layers, whose errors average out least, get more clips to choose from: this many weights in all are rounded."""
GRID_WORK, FEWEST = 20_000_000_000, 12
"""Where weighing errors by second moments takes more multiplications than this, clips are fewer; seconds a layer."""
PATCH_NUMBERS = 10_000_000
"""At most this many numbers are gathered for second moments."""


def second_moments(layer: Synapses, x: Array) -> Array:
    """Mean of `x x'` over samples and positions, `[groups, n, n]` with n inputs to each output.

    x: what enters the layer, `[M, ...]`; where that is more than needed, a fixed random choice of samples.
    """
    patches = x.astype(np.float32)[None] if layer.sliding is None else _patches(layer.sliding, layer.weight.shape, x)
    moments = np.matmul(patches.transpose(0, 2, 1), patches)
    return moments.astype(np.float64) / max(patches.shape[1], 1)  # type: ignore[no-any-return]


def _patches(window: Sliding, weight: Shape, x: Array) -> Array:
    """What each output position reads, `[groups, samples * positions, n]` float32; weight: its shape."""
    kernel, stride, padding, dilation, groups = window
    axes = len(kernel)
    inputs = math.prod(weight[1:])
    kept = max(1, PATCH_NUMBERS // (inputs * groups * math.prod(x.shape[2:])))
    x = x[np.random.default_rng(0).permutation(len(x))[:kept]].astype(np.float32)
    padded = np.pad(x, ((0, 0), (0, 0), *((p, p) for p in padding)))
    reach = tuple(d * (k - 1) + 1 for d, k in zip(dilation, kernel))
    windows: Array = np.lib.stride_tricks.sliding_window_view(padded, reach, tuple(range(2, 2 + axes)))  # type: ignore[call-overload]
    cut = [slice(None), slice(None), *(slice(None, None, step) for step in (*stride, *dilation))]
    windows = np.moveaxis(windows[tuple(cut)], 1, 1 + axes)
    return windows.reshape(-1, groups, inputs).transpose(1, 0, 2)  # type: ignore[no-any-return]


def grid(weights: int, inputs: int, bits: int) -> Array:
    """The clips to try for a layer of that many weights, with so many inputs to each output."""
    low = SMALLEST if bits <= 4 else SMALLEST_OF_MANY_BITS
    count = min(1500, max(120, GRID_NUMBERS // weights), max(FEWEST, GRID_WORK // (weights * inputs)))
    return np.geomspace(LARGEST, low, count).round(4)  # type: ignore[no-any-return]


def least_error_clips(
    weight: Array, bits: int, per_channel: bool, moments: Array | None, ridges: Sequence[float]
) -> list[Array]:
    """For each ridge the clips, `[out]` or `[1]`, whose rounding of one weight errs least.

    weight: `[out, ...]`; moments: `[groups, n, n]`, None for the plain weight error; ridges: shares of the mean second
    moment that are added to each.
    """
    groups = 1 if moments is None else len(moments)
    flat = weight.astype(np.float64).reshape(groups, len(weight) // groups, -1)
    clips = grid(max(weight.size, 1), flat.shape[2], bits)
    of_weights, of_currents = [], []
    for clip in clips:
        units = weight_units(weight, bits, float(clip), per_channel)
        wide = units.reshape(-1, *(1,) * (weight.ndim - 1))
        error = (integer_weight(weight, units, bits) * wide).reshape(flat.shape) - flat
        of_weights.append(np.square(error).sum(axis=2))
        if moments is not None:
            of_currents.append((np.matmul(error, moments) * error).sum(axis=2))
    typical = 1.0 if moments is None else np.trace(moments, axis1=1, axis2=2).reshape(-1, 1) / flat.shape[2]
    chosen = []
    for ridge in ridges:
        squares = np.array(of_weights) * (ridge * typical + 1e-9) + (np.array(of_currents) if of_currents else 0.0)
        squares = squares.reshape(len(clips), -1)
        chosen.append(clips[(squares if per_channel else squares.sum(axis=1, keepdims=True)).argmin(axis=0)])
    return chosen
