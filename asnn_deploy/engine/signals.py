"""What type the signals of a graph travel in, and where they lie in memory.

A signal is `[steps, B, C, H, W]` by its indices, whatever its memory order: compiled layers write channels-last.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from asnn_deploy.analysis.flow import Track, flow
from asnn_deploy.ir.graph import DeployGraph, remembered
from asnn_deploy.ir.signals import Kind
from asnn_deploy.util.arrays import Array

BYTE = 255


def signal_type(graph: DeployGraph) -> type[np.float32] | type[np.int64]:
    """The type in which the NumPy layers of a graph compute."""
    return np.int64 if graph.arithmetic == "fixed" else np.float32


def potential_type(graph: DeployGraph) -> type[np.float32] | type[np.int32]:
    """The type of recorded membrane potentials; in integers they have 24 bits."""
    return np.int32 if graph.arithmetic == "fixed" else np.float32


@remembered
def carried_types(graph: DeployGraph) -> dict[str, np.dtype[Any]]:
    """The type of each layer's signal and of "input": a byte if it holds counts up to 255, else `signal_type`."""
    native = np.dtype(signal_type(graph))
    return {name: np.dtype(np.uint8) if is_byte(track) else native for name, track in flow(graph).leaving.items()}


def is_byte(track: Track) -> bool:
    """Whether a byte holds a signal of events at every step."""
    small = all(x.whole and x.low.min() >= 0 and x.largest <= BYTE for x in track)
    return small and track.kind != Kind.CURRENTS


def channels_last(x: Array) -> Array:
    """A signal `[steps, B, C, ...]` as contiguous `[steps, B, positions times channels]`; no copy where it lies so."""
    moved = np.moveaxis(x, 2, -1) if x.ndim > 3 else x
    return np.ascontiguousarray(moved).reshape(*x.shape[:2], math.prod(x.shape[2:]))


def channels_first(x: Array, shape: tuple[int, ...]) -> Array:
    """The inverse: a view `[steps, B, *shape]` of `[steps, B, positions times channels]`."""
    return np.moveaxis(x.reshape(*x.shape[:2], *shape[1:], *shape[:1]), -1, 2) if shape else x.reshape(x.shape[:2])
