"""How one step's value of a step table stands in a NIR node, and how it is taken out again.

NIR knows no broadcasting (a `Scale` has one factor per element), and its type check takes a convolution's input
channels for `weight.shape[1]` and its kernel for a square of `weight.shape[2]`. So values are spread over the shape,
grouped weights become block-diagonal, and kernels that are not square are framed with zeros; each exactly undone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from asnn_deploy.ir.granularity import collapse, spread
from asnn_deploy.ir.layers import LAYERS, Conv, Layer, Shape
from asnn_deploy.ir.neurons import MODELS, NeuronModel
from asnn_deploy.ir.neurons.firing import Firing
from asnn_deploy.ir.neurons.program import COMPARISONS, recorded
from asnn_deploy.util.arrays import Array


def carrier(kind: str, table: str, model: str = "", keys: Iterable[str] = (), usual: bool = True) -> tuple[str, str]:
    """Return which role's node holds a table of that kind of layer, and in which parameter: ("leak", "scale").

    model: that of a neuron layer; keys: its parameters; usual: whether its thresholds are those of NIR's nodes.
    """
    if LAYERS[kind].weighted:
        return "output", table
    if LAYERS[kind].fires:
        return ("spikes", "threshold") if usual and table in thresholds(MODELS[model], keys) else (table, "scale")
    return {"factor": "output", "scale": "summand"}.get(table, table), "scale"


def usual(fields: Mapping[str, Any]) -> bool:
    """Return whether a layer's fields say that its neurons fire as NIR's `Threshold` does, and reset at once."""
    at, many = fields.get("comparison", "above") == "at", fields.get("spiking", "one") == "many"
    return Firing(fields.get("reset", "subtract"), at, many).usual


def thresholds(model: NeuronModel, keys: Iterable[str]) -> set[str]:
    """Return which of a model's parameters it fires at; their nodes are thresholds, those of all others are scales."""
    program = recorded(model, tuple(keys), "subtract", fixed=False)
    fired_at = {i.b for i in program.instructions if i.op in COMPARISONS}
    return {key for key, register in program.parameter_registers.items() if register in fired_at}


def store(layer: Layer, table: str, value: Array, shape: Shape) -> Array:
    """The value as the node's parameter. shape: what leaves the layer, for one sample."""
    if not layer.weighted:
        return spread(value, shape)
    if isinstance(layer, Conv) and table == "weight":
        return framed(block_diagonal(value, layer.groups), margins(value.shape[2:]))
    return value


def restore(kind: str, table: str, parameter: Array, granularity: Shape, groups: int) -> Array:
    """The inverse of `store`. granularity: the value's shape. Raises ValueError where no such value fits."""
    if not LAYERS[kind].weighted:
        value = collapse(parameter, granularity)
    elif kind == Conv.kind and table == "weight":
        value = diagonal_blocks(unframed(parameter, margins(granularity[2:])), groups)
    else:
        value = parameter
    if value.shape != granularity:
        raise ValueError(f"has shape {value.shape}, expected {granularity}")
    return value


def block_diagonal(weight: Array, groups: int) -> Array:
    """A grouped weight `[C_out, C_in/groups, ...]` as an ungrouped one `[C_out, C_in, ...]`."""
    if groups == 1:
        return weight
    blocks = weight.reshape(groups, -1, *weight.shape[1:])
    dense = np.zeros((groups, blocks.shape[1], groups, *weight.shape[1:]), weight.dtype)
    for g, block in enumerate(blocks):
        dense[g, :, g] = block
    return dense.reshape(len(weight), groups * weight.shape[1], *weight.shape[2:])


def diagonal_blocks(dense: Array, groups: int) -> Array:
    """The inverse of `block_diagonal`."""
    if groups == 1:
        return dense
    blocks = dense.reshape(groups, len(dense) // groups, groups, -1, *dense.shape[2:])
    return np.concatenate([blocks[g, :, g] for g in range(groups)])


def margins(kernel: Shape) -> tuple[int, ...] | None:
    """How many rows and columns of zeros on each side make a kernel square; None where that cannot be."""
    missing = [max(kernel) - k for k in kernel]
    return None if any(m % 2 for m in missing) else tuple(m // 2 for m in missing)


def framed(weight: Array, margin: tuple[int, ...] | None) -> Array:
    """The weight with its kernel framed by zeros."""
    return np.pad(weight, ((0, 0), (0, 0), *((m, m) for m in margin or ()))) if any(margin or ()) else weight


def unframed(weight: Array, margin: tuple[int, ...] | None) -> Array:
    """The inverse of `framed`."""
    inner = tuple(slice(m, n - m) for m, n in zip(margin or (), weight.shape[2:]))
    cut = (slice(None), slice(None), *inner)
    return weight[cut]
