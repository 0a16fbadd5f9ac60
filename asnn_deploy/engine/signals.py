"""What type the signals of a graph travel in, and where they lie in memory.

A signal is `[steps, B, C, H, W]` by its indices, whatever its memory order: compiled layers write channels-last.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from asnn_deploy.analysis.ranges import largest_values
from asnn_deploy.ir.graph import INPUT, DeployGraph, remembered
from asnn_deploy.ir.layers import Add, Flatten, Neuron, Pool, Product, Reshape
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
    """The type of each layer's signal and of "input": a byte where it holds counts up to 255, else `signal_type`."""
    largest = largest_values(graph)
    counts = {INPUT}
    for layer in graph.layers:
        sums_up = isinstance(layer, (Flatten, Reshape, Add, Product)) or (
            isinstance(layer, Pool) and layer.mode != "average"
        )
        if isinstance(layer, Neuron) or (sums_up and all(e.source in counts for e in graph.inputs_of[layer.name])):
            counts.add(layer.name)
    native = np.dtype(signal_type(graph))
    return {
        name: np.dtype(np.uint8) if name in counts and largest[name].max() <= BYTE else native for name in graph.shapes
    }


def channels_last(x: Array) -> Array:
    """A signal `[steps, B, C, ...]` as contiguous `[steps, B, positions times channels]`; no copy where it lies so."""
    moved = np.moveaxis(x, 2, -1) if x.ndim > 3 else x
    return np.ascontiguousarray(moved).reshape(*x.shape[:2], math.prod(x.shape[2:]))


def channels_first(x: Array, shape: tuple[int, ...]) -> Array:
    """The inverse: a view `[steps, B, *shape]` of `[steps, B, positions times channels]`."""
    return np.moveaxis(x.reshape(*x.shape[:2], *shape[1:], *shape[:1]), -1, 2) if shape else x.reshape(x.shape[:2])
