"""Cutting a network into a line of stages of about equal cost, by measuring what its layers cost on real images.

A stage is a run of layers that follow each other in the graph's order. Cuts are made behind a neuron layer and the
pooling that belongs to it, where signals are narrow (spikes), and never inside a recurrent loop.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations, pairwise

from asnn_deploy.graph import DeployGraph, Flatten, Neuron, Pool
from asnn_deploy.reference import Executor
from asnn_deploy.step_table import Array

HOP = 150e-6
"""Seconds that one more Process costs a time step, with its messages and its part of the barrier: measured on the
reference LeNet, on two cores of a current server, as the slope of a time step over the number of stages."""


def measure(graph: DeployGraph, images: Array) -> dict[str, float]:
    """Seconds that each layer takes for a step of these images, fused as it will be. The first run compiles."""
    executor = Executor(graph, wanted=[graph.readout.name], potentials=False)
    executor.profile(images)
    runs = [executor.profile(images) for _ in range(2)]
    return {name: min(run[name] for run in runs) for name in runs[0]}


def best_partition(graph: DeployGraph, costs: Mapping[str, float], cores: int) -> list[tuple[str, ...]]:
    """The partition with the shortest time step: that of its costliest stage, or of all work shared by the cores."""

    def time_step(parts: list[tuple[str, ...]]) -> float:
        work = [sum(costs[name] for name in part) + HOP for part in parts]
        return max(*work, sum(work) / cores)

    return min((partition(graph, costs, count) for count in range(1, 2 * cores + 1)), key=time_step)


def partition(graph: DeployGraph, costs: Mapping[str, float], count: int) -> list[tuple[str, ...]]:
    """The layers' names, stage by stage.

    The costliest stage is as cheap as `count` stages can make it, and there are no more stages than that takes.
    """
    seconds = [costs[layer.name] for layer in graph.layers]
    bounds = [0, *cut_positions(graph), len(seconds)]
    sums = {sum(seconds[a:b]) for a, b in combinations(bounds, 2)}
    fitting = (packed(seconds, bounds, limit) for limit in sorted(sums))
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
