"""Where a neuron stands in self-attention: its head, its token, and its channel within the head.

A layer of `(C, H, W)` is split into heads by a Reshape to `(heads, C // heads, H * W)` that a product reads, or comes
from a product through the reverse of one. Nothing but the graph's layers is asked, no names.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.layers import Product, Reshape, Scale, Shape


@dataclass(frozen=True)
class Place:
    """head, token and channel within the head, counted from 0; position: the token's rows and columns."""

    head: int
    token: int
    channel: int
    position: tuple[int, ...]


def place(graph: DeployGraph, name: str, index: tuple[int, ...]) -> Place | None:
    """Where element `index` of a layer's signal stands; None where the layer is no part of self-attention."""
    split = _split(graph, name)
    if split is None:
        return None
    token = int(np.ravel_multi_index(index[1:], graph.shapes[name][1:]))
    return Place(index[0] // split[1], token, index[0] % split[1], tuple(index[1:]))


def _split(graph: DeployGraph, name: str) -> Shape | None:
    """`(heads, channels of each, tokens)` as which a layer's signal is multiplied, or was."""
    whole = graph.shapes[name]
    for edge in graph.edges:
        reader = graph.by_name[edge.target]
        if edge.source == name and isinstance(reader, Reshape) and _multiplied(graph, reader.name):
            return reader.shape if _fits(whole, reader.shape) else None
    source = graph.inputs_of[name][0].source
    while isinstance(graph.by_name.get(source), Scale):
        source = graph.inputs_of[source][0].source
    if isinstance(graph.by_name.get(source), Reshape):
        before = graph.inputs_of[source][0].source
        if isinstance(graph.by_name.get(before), Product) and _fits(whole, graph.shapes[before]):
            return graph.shapes[before]
    return None


def _multiplied(graph: DeployGraph, name: str) -> bool:
    return any(e.source == name and isinstance(graph.by_name[e.target], Product) for e in graph.edges)


def _fits(whole: Shape, split: Shape) -> bool:
    """Whether channels are split into heads, and positions joined into tokens."""
    return len(split) == 3 and split[0] * split[1] == whole[0] and split[2] == math.prod(whole[1:])
