"""How large signals can get: bounds by interval arithmetic over the graph, step by step.

What rests on them: the order-free grids, the choice of integer carriers, and the proof that fixed point never
overflows. Only event signals are bounded here (input frames, spikes, and what pooling, adding, multiplying and
flattening make of them); currents get their bound from the weights (`synapse_bounds`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from asnn_deploy.ir.graph import INPUT, DeployGraph, remembered
from asnn_deploy.ir.layers import Add, Conv, Flatten, Layer, Linear, Neuron, Pool, Product, Readout, Reshape, Scale
from asnn_deploy.util.arrays import Array


def row_sums(weight: Array) -> Array:
    """The sum of magnitudes that reaches each output channel, `[out]`, float64."""
    return np.abs(weight.astype(np.float64)).reshape(len(weight), -1).sum(axis=1)  # type: ignore[no-any-return]


@remembered
def largest_values(graph: DeployGraph) -> dict[str, Array]:
    """The largest magnitude that can leave each layer (and "input") at each step, `[T]` float64."""
    steps = graph.time_steps
    bounds: dict[str, Array] = {INPUT: graph.code.largest.astype(np.float64)}
    bounds |= {layer.name: np.zeros(steps) for layer in graph.layers}
    # Around a loop of delayed edges, step t rests on earlier steps only: T passes settle them all.
    for _ in range(steps + 1):
        before = dict(bounds)
        for layer in graph.layers:
            bounds[layer.name] = largest_leaving(layer, graph, arriving(graph, layer, bounds))
        if not loops(graph) or all(np.array_equal(before[name], bounds[name]) for name in bounds):
            break
    return bounds


def loops(graph: DeployGraph) -> bool:
    """Whether any edge leads back to its own or an earlier layer."""
    position = {INPUT: -1} | {layer.name: i for i, layer in enumerate(graph.layers)}
    return any(position[edge.source] >= position[edge.target] for edge in graph.edges)


def arriving(graph: DeployGraph, layer: Layer, bounds: Mapping[str, Array]) -> list[Array]:
    """The bounds of what arrives at a layer, one for each input, `[T]`: delays counted, 0 before anything arrives."""
    return [delayed(bounds[e.source], e.delay) for e in graph.inputs_of[layer.name]]


def delayed(values: Array, delay: int, before: float = 0.0) -> Array:
    """Per-step values `[T, ...]` that many steps later; `before` until the first one arrives."""
    if not delay:
        return values
    return np.concatenate([np.full((delay, *values.shape[1:]), before), values])[: len(values)]


def largest_leaving(layer: Layer, graph: DeployGraph, x: list[Array]) -> Array:
    """The largest magnitude that can leave a layer at each step, given those that enter, `[T]` each."""
    steps = range(graph.time_steps)
    if isinstance(layer, (Flatten, Reshape)):
        return x[0]
    if isinstance(layer, Neuron):
        return np.ones(graph.time_steps)
    if isinstance(layer, (Conv, Linear)):
        return np.array([bound.max(initial=0) for bound in synapse_bounds(layer, x[0])])
    if isinstance(layer, Pool):
        return x[0] * (math.prod(layer.kernel) if layer.mode == "sum" else 1)
    if isinstance(layer, Scale):
        return np.array([x[0][t] * np.abs(layer.factor.at(t)).max() for t in steps])
    if isinstance(layer, Add):
        return np.sum(x, axis=0)  # type: ignore[no-any-return]
    if isinstance(layer, Product):
        return x[0] * x[1] * summands(layer, graph)
    if isinstance(layer, Readout):
        return np.array([x[0][t] * np.abs(layer.scale.at(t)).max() for t in steps])
    return np.full(graph.time_steps, math.inf)


def synapse_bounds(layer: Conv | Linear, largest_inputs: Array) -> list[Array]:
    """The largest magnitude that each output channel's sum, bias included, can reach at each step, `[out]` each."""
    sums = [row_sums(weight) for weight in layer.weight.values]
    bounds = [sums[k] * largest for k, largest in zip(layer.weight.index, largest_inputs)]
    if layer.bias is None:
        return bounds
    return [bound + np.abs(layer.bias.at(t).astype(np.float64)) for t, bound in enumerate(bounds)]


def summands(layer: Product, graph: DeployGraph) -> int:
    """How many products each output element of an einsum adds up."""
    left, right = layer.equation.replace(" ", "").split("->")
    sizes = {
        axis: n
        for term, edge in zip(left.split(","), graph.inputs_of[layer.name])
        for axis, n in zip(term, graph.shapes[edge.source])
    }
    return math.prod(n for axis, n in sizes.items() if axis not in right)
