"""Weighing signals by fan-out: the counting of synaptic operations, compiled.

A signal is `[rows, elements]`, one row for each sample; a fan-out map is `[elements]` in the same order.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from asnn_deploy.engine.compiler import compiled
from asnn_deploy.util.arrays import Array

BLOCK = 1024
"""Elements whose weighed sum is kept in 32 bits, twice as fast as in 64: `fits_narrow` says where that is exact."""


@compiled
def _weigh_spikes(x: Any, fan: Any, found: Any) -> None:
    for row in range(x.shape[0]):
        synapses = spikes = np.int64(0)
        for start in range(0, x.shape[1], BLOCK):
            weighed = ones = np.int32(0)
            for i in range(start, min(start + BLOCK, x.shape[1])):
                # Numba widens every sum and product to 64 bits; the casts let it compute in 32.
                weighed = np.int32(weighed + np.int32(np.int32(x[row, i]) * fan[i]))
                ones = np.int32(ones + np.int32(x[row, i]))
            synapses += weighed
            spikes += ones
        found[row, 0], found[row, 1] = synapses, spikes


@compiled
def _weigh_values(x: Any, fan: Any, found: Any) -> None:
    for row in range(x.shape[0]):
        for i in range(x.shape[1]):
            value = x[row, i]
            if value != 0:
                found[row, 0] += value * fan[i]
                found[row, 1] += fan[i]
                found[row, 2] += fan[i] if value == 1 else 0
                found[row, 3] += value
                found[row, 4] += 1


@compiled
def _add_up(words: Any, bytes_left: Any, found: Any) -> None:
    """Eight bytes at a time: up to 255 words of ones and zeros add up byte by byte without a carry."""
    even = np.uint64(0x00FF00FF00FF00FF)
    for row in range(words.shape[0]):
        total = np.uint64(0)
        for start in range(0, words.shape[1], 255):
            sums = np.uint64(0)
            for i in range(start, min(start + 255, words.shape[1])):
                sums += words[row, i]
            pairs = (sums & even) + ((sums >> np.uint64(8)) & even)
            total += (pairs * np.uint64(0x0001000100010001)) >> np.uint64(48)
        for i in range(bytes_left.shape[1]):
            total += np.uint64(bytes_left[row, i])
        found[row] = total


def fits_narrow(fan: Array) -> bool:
    """Whether no block of ones, weighed by the fan-out map, leaves 32 bits."""
    return bool(fan.max(initial=0) < 2**31 // BLOCK)


def weigh_spikes(x: Array, fan: Array) -> tuple[Array, Array]:
    """Synapses reached and spikes of each row, `[rows]` int64 each; x: zeros and ones, uint8; fan: int32 where
    it fits, else int64."""
    if fan.dtype == np.int64:
        return x.astype(np.int64) @ fan, add_up(x)
    found = np.empty((len(x), 2), np.int64)
    _weigh_spikes(x, fan, found)
    return found[:, 0], found[:, 1]


def weigh_values(x: Array, fan: Array) -> tuple[Array, Array, Array, Array, Array]:
    """For rows of any numbers: sum of x * fan; fan-out of the non-zero; of the ones; sum of x; number of non-zero.

    float64 `[rows]` each, exact where x are integers and the sums stay below 2**53.
    """
    found = np.zeros((len(x), 5))
    _weigh_values(x, fan, found)
    return found[:, 0], found[:, 1], found[:, 2], found[:, 3], found[:, 4]


def add_up(x: Array) -> Array:
    """How many ones each row holds, `[rows]` int64; x: zeros and ones, uint8, each row contiguous."""
    found = np.empty(len(x), np.int64)
    whole = x.shape[1] // 8 * 8
    _add_up(x[:, :whole].view(np.uint64) if whole else np.empty((len(x), 0), np.uint64), x[:, whole:], found)
    return found
