"""Granularity: a parameter is one number for a layer, one for each channel, or one for each neuron.

A layer's signal has the shape `(C, H, W)`, `(C, L)` or `(N,)` for one sample and step. A value of shape `()` serves all
of it, `[C]` one channel each, and a value with as many axes as the signal broadcasts against it (axes of length 1
serve all positions along them). Whatever asks how a parameter meets a signal asks here.
"""

from __future__ import annotations

import numpy as np

from asnn_deploy.util.arrays import Array

Shape = tuple[int, ...]


def fits(given: Shape, shape: Shape) -> bool:
    """Return whether a value of shape `given` has a granularity for signals of `shape`."""
    broadcasts = len(given) == len(shape) and all(g in (1, n) for g, n in zip(given, shape))
    return not given or given == shape[:1] or broadcasts


def over(value: Array, shape: Shape) -> Array:
    """Return a value as it broadcasts against signals `[..., *shape]`."""
    if value.ndim == 1 and len(shape) > 1 and value.shape == shape[:1]:
        return value.reshape(-1, *(1,) * (len(shape) - 1))
    return value


def spread(value: Array, shape: Shape) -> Array:
    """Return a value with one number for each element: a view `[*shape]` that takes no memory."""
    return np.broadcast_to(over(value, shape), shape)


def collapse(full: Array, granularity: Shape) -> Array:
    """Return the value of that granularity from an array that repeats it: the inverse of `spread`."""
    first = full[tuple(slice(0, n) for n in granularity)]
    return first.reshape(*first.shape[: len(granularity)], -1)[..., 0] if full.ndim > len(granularity) else first


def by_channel(value: Array, shape: Shape) -> tuple[Array, Array]:
    """Return the smallest and the largest number that each channel meets, `[C]` or `[1]` each."""
    wide = over(value, shape)
    rows = wide.reshape(len(wide), -1) if wide.ndim else wide.reshape(1, 1)
    return rows.min(axis=1), rows.max(axis=1)


def coarsest(values: Array, shape: Shape) -> Array:
    """Return per-step values `[T, ...]`, as they broadcast against a signal, in the fewest numbers that hold them."""
    each = values[0].size
    if each == 1:
        return values.reshape(len(values))
    return values.reshape(len(values), -1) if values.shape[1] == each == shape[0] else values


def narrowed(value: Array, shape: Shape) -> Array:
    """Return a value in float32, in the fewest numbers that hold it: one for a layer, each channel or each element.

    It broadcasts against signals of `shape` as NumPy broadcasts: from the last axis on.
    """
    value = value.astype(np.float32)
    first = value.reshape(-1)[0]
    if (value == first).all():
        return np.asarray(first)
    wide = np.broadcast_to(value, shape)
    by_channel = wide.reshape(shape[0], -1)
    return by_channel[:, 0] if len(shape) > 1 and (by_channel == by_channel[:, :1]).all() else np.array(wide)
