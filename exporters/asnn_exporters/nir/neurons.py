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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from asnn_deploy.analysis.flow import flow
from asnn_deploy.ir.granularity import spread
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.layers import Neuron
from asnn_deploy.ir.neurons import NeuronModel, Parameters
from asnn_deploy.ir.neurons.firing import IMMEDIATE, Firing
from asnn_deploy.ir.neurons.operations import Membranes, immediate
from asnn_deploy.ir.neurons.program import Op, recorded
from asnn_deploy.util.arrays import Array
from asnn_exporters.nir.extension import COUNT, DIVIDE
from asnn_exporters.nir.unrolling import Unrolling

ABSORBING = 2.0**100
MOST_COUNTED = 8
"""Spikes in a step up to which each count has a threshold; beyond, counting takes a node of the extended dialect."""
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


def most_spikes(graph: DeployGraph, layer: Neuron) -> int:
    """Return how many spikes one of a layer's neurons can send in a step at most."""
    return int(max(x.largest for x in flow(graph)[layer.name]))


def divides(layer: Neuron) -> bool:
    """Return whether a population's step divides by a parameter, which no node of NIR does."""
    if not layer.definition.real:
        return False
    code = recorded(layer.definition, tuple(layer.parameters), layer.firing, fixed=False)
    return any(i.op == Op.DIV for i in code.instructions)


def write_neuron(u: Unrolling, layer: Neuron, t: int, sources: Sequence[str]) -> str:
    """One time step of a population; returns the node of what it sends."""
    model = layer.definition
    ops: Any = Nodes(u, layer, t, sources[0])
    known = {
        key: Table(key, None if key in layer.parameters else parameter.default)
        for key, parameter in model.parameters.items()
        if key in layer.parameters or parameter.default
    }
    x, p = (sources[0],), Parameters(known, layer.firing)
    before = u.memory.get(layer.name) or model.before(p, (), ops.constant)
    sent, u.memory[layer.name] = model.step(ops, before, x, p)
    ops.hold_unread(known)
    if model.spikes:
        return ops.sent(sent)  # type: ignore[no-any-return]
    v = getattr(u.memory[layer.name], model.states[0])
    node = ops.joined(v, "potential")
    setattr(u.memory[layer.name], model.states[0], (node,))
    return node


@dataclass
class Nodes(Membranes):
    """The operations. x: the node that the layer reads."""

    u: Unrolling
    layer: Neuron
    t: int
    x: str
    used: Counter[str] = field(default_factory=Counter)

    def add(self, a: Any, b: Any) -> Summands:
        """See Operations."""
        left, right = (self.constant(v) if isinstance(v, Table) else v for v in (a, b))
        for i, value in enumerate((left, right)):
            if len(left) + len(right) > 2 and len(value) == 2:
                joined = (self.joined(value, self._role("sum")),)
                left, right = (joined, right) if i == 0 else (left, joined)
        return left + right

    def sub(self, a: Any, b: Any) -> Summands:
        """See Operations."""
        b = self.constant(b) if isinstance(b, Table) else b
        return self.add(a, self._times(-1.0, b, "negative"))

    def mul(self, factor: Table, x: Summands) -> Summands:
        """See Operations. Zero times anything is zero; the node is made all the same, since it holds a parameter."""
        name = self._node("Scale", factor, x)
        return (name,) if x else ()

    def div(self, x: Summands, divisor: Table) -> Summands:
        """See Operations. A node of the extended dialect."""
        name = self._node(DIVIDE, divisor, (self.joined(x, self._role("dividend")),) if x else ())
        return (name,) if x else ()

    def fire(self, v: Summands, threshold: Table, reset: str) -> tuple[Summands, Summands]:
        """See Operations. What is left is the sum of two nodes."""
        immediate(reset)
        v = (self.joined(v, "potential"),)
        spikes = self.compare(v, threshold, Firing(reset))
        return spikes, self.put(v, None, spikes) if reset == "zero" else self.drop(v, threshold, spikes)

    def compare(self, v: Summands, threshold: Table, firing: Firing) -> Summands:
        """See Membranes. A threshold is the largest number at which it does not fire: NIR fires above only."""
        first = not self.used["compared"] and firing not in (*IMMEDIATE, "none")
        self.used["compared"] += 1
        role = "before" if first else "potential"
        potential = self.joined(v, role) if v else self.u.scale(self.layer, self.t, role, [self.x], 0.0)
        if firing.usual:
            if threshold.default is None:
                return (
                    self.u.table("Threshold", self.layer, threshold.key, self.t, [potential], self._role("spikes")),
                )
            return (self.u.threshold(self.layer, self.t, self._role("spikes"), potential, threshold.default),)
        height = self._height(threshold)
        shape = self.u.graph.shapes[self.layer.name]
        most = most_spikes(self.u.graph, self.layer) if firing.many else 1
        if most > MOST_COUNTED:
            levels = spread(height, shape)
            role = self._role("fired")
            return (self.u.node(COUNT, self.layer.name, self.t, role, [potential], threshold=levels),)
        found = []
        for k in range(1, max(most, 1) + 1):  # a neuron that never fires has a node, too
            level = fits(height, k) if firing.many else height
            level = np.nextafter(level, np.float32(-np.inf)) if firing.at else level
            role = self._role("fired")
            found.append(
                self.u.node("Threshold", self.layer.name, self.t, role, [potential], threshold=spread(level, shape))
            )
        return (found[0] if len(found) == 1 else self.u.scale(self.layer, self.t, self._role("count"), found),)

    def drop(self, v: Summands, threshold: Table, spikes: Summands) -> Summands:
        """See Membranes."""
        negative = spread(-self._height(threshold), self.u.graph.shapes[self.layer.name])
        lost = self.u.node("Scale", self.layer.name, self.t, self._role("reset"), list(spikes), scale=negative)
        return (*self._one(v), lost) if spikes else self._one(v)

    def put(self, v: Summands, value: Table | None, spikes: Summands) -> Summands:
        """See Membranes. By absorption (see the module's text)."""
        u, layer, t = self.u, self.layer, self.t
        lift = u.scale(layer, t, self._role("lift"), list(spikes), ABSORBING)
        v = self._one(v)
        held = u.total(layer, t, self._role("held"), v[0], lift) if v else lift
        cleared = (held, u.scale(layer, t, self._role("reset"), list(spikes), -ABSORBING))
        if value is None:
            return cleared
        fired = u.threshold(layer, t, self._role("once"), self._one(spikes)[0], 0.5)
        return self.add(cleared, self.mul(value, (fired,)))

    def hold(self, v: Summands, minimum: Table) -> Summands:
        """See Membranes."""
        above = (self.joined(self.sub(v, minimum), self._role("above")),)
        below = self.u.threshold(self.layer, self.t, self._role("below"), self._times(-1.0, above, "depth")[0], 0.0)
        return self.add((self.joined(self.put(above, None, (below,)), self._role("bounded")),), minimum)

    def sent(self, spikes: Summands) -> str:
        """The node of what is sent, in the role of spikes."""
        if self.used["spikes"]:
            return spikes[0]
        return self.u.scale(self.layer, self.t, "spikes", list(spikes))

    def hold_unread(self, known: Mapping[str, Table]) -> None:
        """Write down the parameters of the layer that this step did not read."""
        for key, table in known.items():
            carried = key == "threshold" and self.layer.firing.usual and self.used["spikes"]
            if table.default is None and not self.used[key] and not carried:
                self.u.table("Scale", self.layer, key, self.t, [self.x], key)

    def _height(self, threshold: Table) -> Array:
        """A threshold's value at this step."""
        if threshold.default is not None:
            return np.asarray(threshold.default, np.float32)
        return self.layer.parameters[threshold.key].at(self.t).astype(np.float32)

    def _times(self, factor: float, x: Summands, role: str) -> Summands:
        return (self.u.scale(self.layer, self.t, self._role(role), list(x), factor),) if x else ()

    def _one(self, value: Summands) -> Summands:
        """A value as at most one node."""
        return value if len(value) < 2 else (self.joined(value, self._role("sum")),)

    def joined(self, value: Summands, role: str) -> str:
        """One node that is a value. A lone summand passes through a node too, so that every step has one."""
        if len(value) == 2:
            return self.u.total(self.layer, self.t, role, *value)
        return self.u.scale(self.layer, self.t, role, list(value))

    def constant(self, table: Table) -> Summands:
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


def fits(threshold: Array, times: int) -> Array:
    """Return the smallest float32 potentials that, divided in float32, hold a threshold `times` times."""
    found = (threshold.astype(np.float64) * times).astype(np.float32)
    down, up = np.float32(-np.inf), np.float32(np.inf)
    while True:
        lower = np.nextafter(found, down)
        found, before = np.where(lower / threshold >= times, lower, found), found
        found = np.where(found / threshold < times, np.nextafter(found, up), found)
        if np.array_equal(found, before):
            return found
