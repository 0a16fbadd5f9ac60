"""Layers with memory: what runs step by step, inside a Scan.

A neuron layer alone is a Scan of its own. Layers that feed each other through delayed edges share one, whose body
holds all of them; a delayed edge inside is a row of states, one for each step of its delay.
"""

from __future__ import annotations

from collections.abc import Callable
from graphlib import TopologicalSorter

import numpy as np
from onnx import TensorProto

from asnn_deploy.errors import UnsupportedError
from asnn_deploy.ir.graph import INPUT, DeployGraph
from asnn_deploy.ir.layers import Layer, Neuron, Shape
from asnn_deploy.ir.neurons import model_of
from asnn_deploy.ir.step_table import StepTable
from asnn_exporters.onnx.layers import emit
from asnn_exporters.onnx.scope import Body, Scope, Signal


def groups(graph: DeployGraph) -> list[list[Layer]]:
    """The layers in an order in which each group needs only groups before it; a group of several is a loop."""
    feeds: dict[str, list[str]] = {layer.name: [] for layer in graph.layers}
    for edge in graph.edges:
        if edge.source != INPUT:
            feeds[edge.source].append(edge.target)
    reach = {name: _reachable(name, feeds) for name in feeds}
    leader = {a: next(b for b in feeds if b == a or (b in reach[a] and a in reach[b])) for a in feeds}
    order: TopologicalSorter[str] = TopologicalSorter(dict.fromkeys(leader.values(), ()))
    for source, targets in feeds.items():
        for target in (t for t in targets if leader[t] != leader[source]):
            order.add(leader[target], leader[source])
    return [[layer for layer in graph.layers if leader[layer.name] == name] for name in order.static_order()]


def _reachable(start: str, feeds: dict[str, list[str]]) -> set[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        new = set(feeds[waiting.pop()]) - found
        found |= new
        waiting += new
    return found


def scan(
    outer: Scope, graph: DeployGraph, group: list[Layer], outside: dict[tuple[str, int], Signal]
) -> dict[str, Signal]:
    """Write a group's Scan. outside: the signals that enter it, by (source, delay). Returns those that leave it.

    The spikes of every neuron layer leave, as `spikes/<layer>`.
    """
    body = Body(outer)
    inside = {layer.name for layer in group}
    signals = {key: body.signal(signal) for key, signal in outside.items()}
    rows = _delay_rows(body, graph, inside, signals)
    for layer in group:
        inputs = [signals[e.source, e.delay] for e in graph.inputs_of[layer.name]]
        shape = graph.shapes[layer.name]
        if isinstance(layer, Neuron):
            signals[layer.name, 0] = neuron(body, layer, shape, inputs)
        else:
            signals[layer.name, 0] = emit(body, layer, shape, inputs)
    for name, row in rows.items():
        value = body.flat(signals[name, 0])
        for state in row:
            body.keep(state, body.op("Identity", [value], f"{state}/next"), graph.shapes[name])
            value = state
    left = {}
    for layer in group:
        if isinstance(layer, Neuron) or any(e.source == layer.name and e.target not in inside for e in graph.edges):
            signal = signals[layer.name, 0]
            steps = spikes_of(layer.name) if isinstance(layer, Neuron) else outer.names.new(f"{layer.name}/out")
            body.collect(body.flat(signal), signal.shape, steps)
            left[layer.name] = Signal(layer.name, signal.shape, steps=steps)
    body.close()
    return left


def spikes_of(neuron: str) -> str:
    """The name of a neuron layer's spikes, `[T, B, ...]`."""
    return f"spikes/{neuron}"


def _delay_rows(
    body: Body, graph: DeployGraph, inside: set[str], signals: dict[tuple[str, int], Signal]
) -> dict[str, list[str]]:
    """Make the states of delayed edges inside a loop, newest first, and put them among the signals."""
    rows: dict[str, list[str]] = {}
    for edge in graph.edges:
        if edge.delay and edge.source in inside and edge.target in inside:
            row, shape = rows.setdefault(edge.source, []), graph.shapes[edge.source]
            delay = min(edge.delay, graph.time_steps)  # a longer one never arrives either
            while len(row) < delay:
                row.append(body.state(f"{edge.source}/past{len(row) + 1}", shape))
            state = row[delay - 1]
            signals[edge.source, edge.delay] = Signal(state, shape, flat=state)
    return rows


def neuron(body: Body, layer: Neuron, shape: Shape, inputs: list[Signal]) -> Signal:
    """One step of a neuron layer. Every product and sum is a node of its own, so each is rounded on its own."""
    if layer.model not in UPDATES:
        raise UnsupportedError(
            f"layer {layer.name!r} ({layer.kind}): ONNX export knows the neuron models "
            f"{', '.join(sorted(UPDATES))}, not {layer.model!r}"
        )
    x = UPDATES[layer.model](body, layer, shape, body.flat(inputs[0]))
    v = body.state(f"{layer.name}/v", shape)
    kept = body.op("Mul", [parameter(body, layer, "leak", shape), v], f"{layer.name}/leaked")
    gained = body.op("Mul", [parameter(body, layer, "gain", shape), x], f"{layer.name}/gained")
    u = body.op("Add", [kept, gained], f"{layer.name}/sum")
    if "bias" in layer.parameters:
        u = body.op("Add", [u, parameter(body, layer, "bias", shape)], f"{layer.name}/biased")
    threshold = parameter(body, layer, "threshold", shape)
    fired = body.op("Greater", [u, threshold], f"{layer.name}/fired")
    spikes = body.op("Cast", [fired], f"{layer.name}/spikes", to=TensorProto.FLOAT)
    after = f"{layer.name}/v/next"
    if layer.reset == "zero":
        zero = body.initializer("const.zero", np.float32(0))
        body.keep(v, body.op("Where", [fired, zero, u], after), shape)
    else:
        drop = spikes  # a threshold of 1 needs no product: at batch size 1 each node counts
        if (table_of(layer, "threshold", body.outer.steps).values != 1).any():
            drop = body.op("Mul", [spikes, threshold], f"{layer.name}/drop")
        body.keep(v, body.op("Sub", [u, drop], after), shape)
    return Signal(layer.name, shape, flat=spikes)


def table_of(layer: Neuron, key: str, steps: int) -> StepTable:
    """A neuron layer's parameter, or its model's default."""
    if key in layer.parameters:
        return layer.parameters[key]
    return StepTable.constant(np.float32(model_of(layer).parameters[key].default), steps)


def parameter(body: Body, layer: Neuron, key: str, shape: Shape) -> str:
    """A neuron parameter's value at this step."""
    return body.per_step(layer, key, table_of(layer, key, body.outer.steps), shape)


def direct_current(_body: Body, _layer: Neuron, _shape: Shape, x: str) -> str:
    """LIF: the input is the current."""
    return x


def leaky_current(body: Body, layer: Neuron, shape: Shape, x: str) -> str:
    """CubaLIF: the input charges a current that leaks."""
    i = body.state(f"{layer.name}/i", shape)
    kept = body.op("Mul", [parameter(body, layer, "current_leak", shape), i], f"{layer.name}/i/leaked")
    current = body.op("Add", [kept, x], f"{layer.name}/i/next")
    body.keep(i, current, shape)
    return current


UPDATES: dict[str, Callable[[Body, Neuron, Shape, str], str]] = {"lif": direct_current, "cuba-lif": leaky_current}
"""How each neuron model makes the current that its membrane integrates."""
