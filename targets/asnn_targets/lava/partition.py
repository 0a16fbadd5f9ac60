"""Cutting a network into a line of stages of about equal cost.

A stage is a run of layers that follow each other in the graph's order. Cuts are made behind a neuron layer and the
pooling that belongs to it, where signals are narrow (spikes), and never inside a recurrent loop.
"""

from __future__ import annotations

import math
from itertools import combinations, pairwise

from asnn_deploy.graph import Conv, DeployGraph, Flatten, Layer, Linear, Neuron, Pool

# Nanoseconds in NumPy on one core of a current server, from the layers of the reference LeNet; only ratios matter.
_PER_MULTIPLY_ADD = 0.035
_PER_PATCH_ELEMENT = 0.1
_PER_OUTPUT = 0.5
_PER_NEURON = {"float32": 1.3, "fixed": 6.0}
_PER_ELEMENT = 2.4
_PER_HOP = 300_000.0
"""Of one message between two Processes, with the barrier of its time step; whatever the message's size."""


def stage_count(graph: DeployGraph, rows: int, cores: int) -> int:
    """How many stages pay off: two per core, which evens them out, but none that works less long than a hop takes."""
    work = rows * sum(cost(layer, graph) for layer in graph.layers)
    return max(1, min(2 * cores, int(work / _PER_HOP)))


def partition(graph: DeployGraph, count: int) -> list[tuple[str, ...]]:
    """The layers' names, stage by stage.

    The costliest stage is as cheap as `count` stages can make it, and there are no more stages than that takes.
    """
    costs = [cost(layer, graph) for layer in graph.layers]
    bounds = [0, *cut_positions(graph), len(costs)]
    sums = {sum(costs[a:b]) for a, b in combinations(bounds, 2)}
    fitting = (packed(costs, bounds, limit) for limit in sorted(sums))
    edges = next(edges for edges in fitting if edges and len(edges) <= max(count, 1) + 1)
    return [tuple(layer.name for layer in graph.layers[a:b]) for a, b in pairwise(edges)]


def packed(costs: list[float], bounds: list[int], limit: float) -> list[int]:
    """Where stages begin and the last one ends, each taking all that fits under the limit; empty where one cannot."""
    edges = [0]
    for before, end in pairwise(bounds):
        if sum(costs[before:end]) > limit:
            return []
        if sum(costs[edges[-1] : end]) > limit:
            edges.append(before)
    return [*edges, bounds[-1]]


def cut_positions(graph: DeployGraph) -> list[int]:
    """Where the graph may be cut: before `layers[p]`, for each p returned, ascending."""
    layers = graph.layers
    position = {layer.name: i for i, layer in enumerate(layers)}
    loops = [
        (position[edge.target], position[edge.source])
        for edge in graph.edges
        if edge.source in position and position[edge.source] >= position[edge.target]
    ]
    return [
        p
        for p in range(1, len(layers))
        if isinstance(layers[p - 1], (Neuron, Pool, Flatten))
        and not isinstance(layers[p], (Pool, Flatten))
        and any(isinstance(layer, Neuron) for layer in layers[:p])
        and not any(first < p <= last for first, last in loops)
    ]


def cost(layer: Layer, graph: DeployGraph) -> float:
    """About how long a layer computes for one sample and step."""
    shape = graph.shapes[layer.name]
    elements = math.prod(shape)
    if isinstance(layer, Conv):
        patch = math.prod(layer.weight.shape[1:])
        patches = patch * layer.groups * math.prod(shape[1:])
        return elements * (patch * _PER_MULTIPLY_ADD + _PER_OUTPUT) + patches * _PER_PATCH_ELEMENT
    if isinstance(layer, Linear):
        return math.prod(layer.weight.shape) * _PER_MULTIPLY_ADD
    if isinstance(layer, Flatten):
        return 0.0
    return elements * (_PER_NEURON[graph.arithmetic] if isinstance(layer, Neuron) else _PER_ELEMENT)
