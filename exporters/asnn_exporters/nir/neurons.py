"""Neurons in stateless NIR primitives, one time step at a time: a reading of their definitions (`ir/neurons/`).

    product with a parameter    Scale(parameter)(x), in a node called after the parameter
    sum                         the inputs of the node that reads it; at most two add up in one
    a parameter that is added   Scale(parameter)(on), on = 1 everywhere
    fire                        spikes = Threshold(threshold)(potential), with potential = Scale(1)(...)

so that for LIF

    gain[t]      = Scale(gain)(x[t])
    leak[t]      = Scale(leak)(potential[t-1] + reset[t-1])
    potential[t] = Scale(1)(leak[t] + gain[t])
    spikes[t]    = Threshold(threshold)(potential[t])
    reset[t]     = Scale(-threshold)(spikes[t])      so that potential + reset is what is left after the spike

Reset to zero needs `potential * (1 - spikes)`, and NIR has no product of signals. It is done by absorption: a float32
below 2**75 vanishes when 2**100 is added to it, so

    held[t]  = Scale(1)(potential[t] + Scale(2**100)(spikes[t]))     2**100 where it fired, else the potential
    reset[t] = Scale(-2**100)(spikes[t])                             held + reset: exactly 0 where it fired

This holds in IEEE float32 and float64 (for potentials below 2**46), in any order, but not under "fast math".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from asnn_deploy.ir.granularity import spread
from asnn_deploy.ir.layers import Neuron
from asnn_deploy.ir.neurons import NeuronModel, Parameters, State
from asnn_exporters.nir.unrolling import Unrolling

ABSORBING = 2.0**100
Summands = tuple[str, ...]
"""A value: the nodes whose sum it is, none for zero, at most two."""


@dataclass(frozen=True)
class Table:
    """A parameter of the layer: the step table of that name, or a number if the layer has none."""

    key: str
    default: float | None = None


def neuron_problem(layer: Neuron) -> str | None:
    """Return why a neuron has no counterpart; None if it has."""
    if type(layer.definition).step is NeuronModel.step:
        return f"neuron model {layer.model!r} is defined in integers only, NIR files hold float32"
    return None


def write_neuron(u: Unrolling, layer: Neuron, t: int, sources: Sequence[str]) -> str:
    """One time step of a population; returns the node of what it sends."""
    model = layer.definition
    ops: Any = Nodes(u, layer, t, sources[0])
    zero = State(**dict.fromkeys(model.states, ()))
    known = {
        key: Table(key, None if key in layer.parameters else parameter.default)
        for key, parameter in model.parameters.items()
        if key in layer.parameters or parameter.default
    }
    before, x, p = u.memory.get(layer.name, zero), (sources[0],), Parameters(known, layer.reset)
    sent, u.memory[layer.name] = model.step(ops, before, x, p)
    if model.spikes:
        return sent[0]  # type: ignore[no-any-return]
    v = getattr(u.memory[layer.name], model.states[0])
    node = ops.joined(v, "potential")
    setattr(u.memory[layer.name], model.states[0], (node,))
    return node


@dataclass
class Nodes:
    """The operations. x: the node that the layer reads."""

    u: Unrolling
    layer: Neuron
    t: int
    x: str
    used: Counter[str] = field(default_factory=Counter)

    def add(self, a: Any, b: Any) -> Summands:
        """See Operations."""
        left, right = (self._constant(v) if isinstance(v, Table) else v for v in (a, b))
        for i, value in enumerate((left, right)):
            if len(left) + len(right) > 2 and len(value) == 2:
                joined = (self.joined(value, self._role("sum")),)
                left, right = (joined, right) if i == 0 else (left, joined)
        return left + right

    def mul(self, factor: Table, x: Summands) -> Summands:
        """See Operations. Zero times anything is zero; the node is made all the same, since it holds a parameter."""
        name = self._node("Scale", factor, x)
        return (name,) if x else ()

    def fire(self, v: Summands, threshold: Table, reset: str) -> tuple[Summands, Summands]:
        """See Operations. What is left is the sum of two nodes."""
        u, layer, t = self.u, self.layer, self.t
        potential = self.joined(v, "potential")
        if threshold.default is None:
            spikes = u.table("Threshold", layer, threshold.key, t, [potential])
            height = layer.parameters[threshold.key].at(t)
        else:
            spikes = u.threshold(layer, t, "spikes", potential, threshold.default)
            height = np.asarray(threshold.default, np.float32)
        if reset == "zero":
            lift = u.scale(layer, t, "lift", [spikes], ABSORBING)
            held = u.total(layer, t, "held", potential, lift)
            return (spikes,), (held, u.scale(layer, t, "reset", [spikes], -ABSORBING))
        negative = spread(-np.asarray(height, np.float32), u.graph.shapes[layer.name])
        return (spikes,), (potential, u.node("Scale", layer.name, t, "reset", [spikes], scale=negative))

    def joined(self, value: Summands, role: str) -> str:
        """One node that is a value. A lone summand passes through a node too, so that every step has one."""
        if len(value) == 2:
            return self.u.total(self.layer, self.t, role, *value)
        return self.u.scale(self.layer, self.t, role, list(value))

    def _constant(self, table: Table) -> Summands:
        """A parameter that is added: a factor on what is 1 everywhere."""
        on = self.u.memory.setdefault(
            f"{self.layer.name} on", self.u.threshold(self.layer, 0, "on", self.x, -ABSORBING) if self.t == 0 else ""
        )
        return (self._node("Scale", table, (on,)),)

    def _node(self, kind: str, table: Table, x: Summands) -> str:
        role = self._role(table.key)
        if table.default is not None:
            return self.u.scale(self.layer, self.t, role, list(x), table.default)
        return self.u.table(kind, self.layer, table.key, self.t, list(x), role)

    def _role(self, wanted: str) -> str:
        """A role that is used once in a step."""
        self.used[wanted] += 1
        return wanted if self.used[wanted] == 1 else f"{wanted}.{self.used[wanted]}"
