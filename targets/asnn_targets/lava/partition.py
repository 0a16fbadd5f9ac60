"""Spreading a network over the cores: lanes side by side, stages in a line, by what its layers cost on real images.

A stage is a run of layers that follow each other in the graph's order. Cuts are made where signals are narrow: behind
neurons and the poolings and residual additions that belong to them, and never inside a recurrent loop. What goes round
a stage, as a residual does, passes through it with the message.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations, pairwise
from typing import NamedTuple

import numpy as np

from asnn_deploy.engine.executor import Executor
from asnn_deploy.engine.signals import carried_types
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.util.arrays import Array

HOP = 150e-6
"""Seconds that one more Process costs a time step, with its messages and its part of the barrier: an order of
magnitude, not a measurement of this machine. It only keeps small networks from being spread over many Processes."""
RUNTIME = 2 * HOP
"""Seconds of a core that a lane's own runtime takes at each time step, of the same kind."""


def measure(graph: DeployGraph, images: Array) -> dict[str, float]:
    """Seconds that each layer takes for a step of one of these images, fused as it will be. The first run compiles."""
    executor = Executor(graph, wanted=[graph.readout.name], potentials=False)
    executor.profile(images)
    runs = [executor.profile(images) for _ in range(2)]
    return {name: min(run[name] for run in runs) / len(images) for name in runs[0]}


class Form(NamedTuple):
    """How a network stands on the cores: `lanes` lines side by side, each cut into the same stages.

    Each lane has a Lava runtime of its own: Lava keeps the Processes of one runtime in step, which makes all of them
    wait for the slowest at every time step.
    """

    stages: list[tuple[str, ...]]
    lanes: int


def best_form(graph: DeployGraph, costs: Mapping[str, float], cores: int, batch: int, rows: int) -> Form:
    """The form that takes the least time for a sample.

    costs: seconds for a sample and step. A time step of the whole network takes as long as its costliest stage, or as
    all work shared by the cores. batch: samples at hand; rows: at most so many in a message.
    """

    def seconds(form: Form) -> float:
        samples = rows_of(form, batch, rows)
        work = [samples * sum(costs[name] for name in stage) + HOP for stage in form.stages]
        return max(*work, form.lanes * (sum(work) + RUNTIME) / cores) / (form.lanes * samples)

    forms = [
        Form(partition(graph, costs, count), lanes)
        for lanes in range(1, min(cores, batch) + 1)
        for count in range(1, 2 * cores // lanes + 1)
    ]
    return min(forms, key=seconds)


def rows_of(form: Form, batch: int, rows: int) -> int:
    """How many samples travel in one message, so that a batch fills all lanes."""
    return max(1, min(rows, -(-batch // form.lanes)))


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
    layers, narrow = graph.layers, carried_types(graph)
    position = graph.position
    loops = [
        (position[edge.target], position[edge.source])
        for edge in graph.edges
        if position[edge.source] >= position[edge.target]
    ]
    return [
        p
        for p in range(1, len(layers))
        if narrow[layers[p - 1].name] == np.uint8
        and not layers[p].passes
        and any(layer.fires for layer in layers[:p])
        and not any(first < p <= last for first, last in loops)
    ]
