"""Layers with memory: what runs step by step, inside a Scan.

A neuron layer alone is a Scan of its own. Layers that feed each other through delayed edges share one, whose body
holds all of them; a delayed edge inside is a row of states, one for each step of its delay.
"""

from __future__ import annotations

from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Any

import numpy as np
from onnx import TensorProto

from asnn_deploy.ir.granularity import spread
from asnn_deploy.ir.graph import INPUT, DeployGraph
from asnn_deploy.ir.layers import Layer, Neuron, Shape
from asnn_deploy.ir.neurons import NeuronModel, Parameters, State
from asnn_deploy.ir.neurons.firing import Firing
from asnn_deploy.ir.neurons.operations import Membranes, immediate
from asnn_deploy.ir.step_table import StepTable
from asnn_exporters.onnx.layers import emit
from asnn_exporters.onnx.scope import Body, Scope, Signal


def groups(graph: DeployGraph) -> list[list[Layer]]:
    """The layers in an order in which each group needs only groups before it; a group of several is a loop."""
    leader = {name: cycle[0] for cycle in graph.cycles for name in cycle}
    leader = {layer.name: leader.get(layer.name, layer.name) for layer in graph.layers}
    order: TopologicalSorter[str] = TopologicalSorter(dict.fromkeys(leader.values(), ()))
    for edge in graph.edges:
        if edge.source != INPUT and leader[edge.source] != leader[edge.target]:
            order.add(leader[edge.target], leader[edge.source])
    return [[layer for layer in graph.layers if leader[layer.name] == name] for name in order.static_order()]


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
        if layer in graph.spiking or any(e.target not in inside for e in graph.readers_of[layer.name]):
            signal = signals[layer.name, 0]
            steps = spikes_of(layer.name) if layer in graph.spiking else outer.names.new(f"{layer.name}/out")
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
    """One step of a neuron layer, by its model's definition."""
    return Nodes(body, layer, shape).step(body.flat(inputs[0]))


@dataclass(frozen=True)
class Table:
    """A parameter of the layer: a step table, or its default at every step."""

    key: str
    values: StepTable


class Nodes(Membranes):
    """The operations: each is a node, so each is rounded on its own."""

    def __init__(self, body: Body, layer: Neuron, shape: Shape) -> None:
        self.body, self.layer, self.shape, self.model = body, layer, shape, layer.definition
        if type(self.model).step is NeuronModel.step:
            raise layer.unsupported(f"neuron model {layer.model!r} is defined in integers only; ONNX files hold floats")
        self.kept: set[str] = set()

    def step(self, x: str) -> Signal:
        """All nodes of the step; returns what the neurons send."""
        names = self.model.states
        ops: Any = self
        p = Parameters(self._tables(), self.layer.firing)
        begins = vars(self.model.before(p, None, self._begin))
        states = {key: self.body.state(f"{self.layer.name}/{key}", self.shape, begins[key]) for key in names}
        sent, after = self.model.step(ops, State(**states), x, p)
        for key in names:
            value = getattr(after, key)
            # Under this name the membrane potential can be asked for; and each value is kept only once.
            if (key == names[0] and value != self._after(key)) or value in (*states.values(), x, sent, *self.kept):
                value = self.body.op("Identity", [value], self._after(key))
            self.kept.add(value)
            self.body.keep(states[key], value, self.shape)
        return Signal(self.layer.name, self.shape, flat=sent)

    def add(self, a: Any, b: Any) -> str:
        """See Operations."""
        return self.body.op("Add", [self._operand(a), self._operand(b)], f"{self.layer.name}/sum")

    def mul(self, factor: Table, x: str) -> str:
        """See Operations."""
        return self.body.op("Mul", [self._operand(factor), x], f"{self.layer.name}/{factor.key}ed")

    def div(self, x: str, divisor: Table) -> str:
        """See Operations."""
        return self.body.op("Div", [x, self._operand(divisor)], f"{self.layer.name}/quotient")

    def sub(self, a: Any, b: Any) -> str:
        """See Operations."""
        return self.body.op("Sub", [self._operand(a), self._operand(b)], f"{self.layer.name}/difference")

    def compare(self, v: str, threshold: Table, firing: Firing) -> str:
        """See Membranes."""
        body, name, limit = self.body, self.layer.name, self._operand(threshold)
        if not firing.many:
            fired = body.op("GreaterOrEqual" if firing.at else "Greater", [v, limit], f"{name}/fired")
            return body.op("Cast", [fired], f"{name}/spikes", to=TensorProto.FLOAT)
        times = body.op("Floor", [self.div(v, threshold)], f"{name}/times")
        zero = body.initializer("const.zero", np.float32(0))
        return body.op("Where", [body.op("Greater", [v, zero], f"{name}/positive"), times, zero], f"{name}/spikes")

    def drop(self, v: str, threshold: Table, spikes: str) -> str:
        """See Membranes."""
        lost = self.body.op("Mul", [spikes, self._operand(threshold)], f"{self.layer.name}/drop")
        return self.body.op("Sub", [v, lost], f"{self.layer.name}/left")

    def put(self, v: str, value: Table | None, spikes: str) -> str:
        """See Membranes."""
        zero = self.body.initializer("const.zero", np.float32(0))
        fired = self.body.op("Greater", [spikes, zero], f"{self.layer.name}/cleared")
        to = zero if value is None else self._operand(value)
        return self.body.op("Where", [fired, to, v], f"{self.layer.name}/left")

    def hold(self, v: str, minimum: Table) -> str:
        """See Membranes."""
        above = self.body.op("Relu", [self.sub(v, minimum)], f"{self.layer.name}/above")
        return self.add(above, minimum)

    def _begin(self, table: Table) -> str:
        """A state's value before the first step, of the whole batch, in the outer scope."""
        values = spread(table.values.at(0).astype(np.float32), self.shape)
        outer, label = self.body.outer, f"{self.layer.name}/{table.key}"
        return outer.op("Add", [outer.zeros(self.shape), outer.initializer(f"{label}/values", values)], label)

    def fire(self, v: str, threshold: Table, reset: str) -> tuple[str, str]:
        """See Operations."""
        immediate(reset)
        body, name, limit = self.body, self.layer.name, self._operand(threshold)
        fired = body.op("Greater", [v, limit], f"{name}/fired")
        spikes = body.op("Cast", [fired], f"{name}/spikes", to=TensorProto.FLOAT)
        after = self._after(self.model.states[0])
        if reset == "zero":
            return spikes, body.op("Where", [fired, body.initializer("const.zero", np.float32(0)), v], after)
        drop = spikes  # a threshold of 1 needs no product: at batch size 1 each node counts
        if (threshold.values.values != 1).any():
            drop = body.op("Mul", [spikes, limit], f"{name}/drop")
        return spikes, body.op("Sub", [v, drop], after)

    def _tables(self) -> dict[str, Table]:
        steps, given = self.body.outer.steps, self.layer.parameters
        return {
            key: Table(key, given[key] if key in given else StepTable.constant(np.float32(parameter.default), steps))
            for key, parameter in self.model.parameters.items()
            if key in given or parameter.default
        }

    def _operand(self, value: Any) -> str:
        if isinstance(value, Table):
            return self.body.per_step(self.layer, value.key, value.values, self.shape)
        return str(value)

    def _after(self, state: str) -> str:
        return f"{self.layer.name}/{state}/next"
