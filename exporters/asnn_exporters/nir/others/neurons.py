"""Neurons of other tools' NIR files as neurons of ours, by the meaning of the file (`asnn_deploy/ir/meaning.py`).

With dt the time step, k = dt / tau and decay = 1 - k (Euler's method) or exp(-k) (exact integration):

    integrated    leak = decay   gain = r (1 - decay)   bias = v_leak (1 - decay)   currents: w_in (1 - decay_syn)
    added         leak = decay   gain = r               bias = v_leak (1 - decay)   currents: w_in
    decaying      leak = decay   gain = 1, of a current decay_syn                   currents: 1
    unit          leak = decay   gain = 1               bias = v_leak (1 - decay)   currents: 1
    relaxing      rate = 1 - decay   rest = v_leak   r = 1 inside, other r a gain   currents: w_in

A gain within float32 roundings of 1 is 1: exporters write r = tau / dt to say so. Computed in float64 with dt as
float32 holds it, which is how exporters made the numbers; then rounded once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from asnn_deploy.errors import GraphError
from asnn_deploy.ir.layers import Layer, Shape, constant_neuron
from asnn_deploy.ir.meaning import Meaning
from asnn_deploy.ir.neurons import MODELS
from asnn_deploy.util.arrays import Array
from asnn_exporters.nir.others.network import Node

RELAXING = ("relaxing", "dividing")
ONE = 2.0**-21
"""How far the float32 roundings of an exporter can take a gain from 1: a few times 2**-24."""


@dataclass(frozen=True)
class NeuronNode:
    """A node and what is needed to read it. name: of the layer that it becomes; fields: as in the file."""

    name: str
    kind: str
    fields: Mapping[str, Any]
    shape: Shape
    meaning: Meaning
    recurrent: bool

    def value(self, key: str, default: float | None = None) -> Array:
        """A parameter, float64. Raises GraphError if it is missing, holds NaN, or does not fit the node's shape."""
        found = self.fields.get(key, default)
        if found is None:
            raise self.refuse(f"lacks its field {key!r}")
        return np.asarray(found, np.float64)

    def refuse(self, problem: str) -> GraphError:
        """Return a GraphError that names the node."""
        return GraphError(f"node {self.name!r} ({self.kind}) {problem}")

    @property
    def dt(self) -> float:
        """The time step, as a float32 holds it."""
        return float(np.float32(self.meaning.dt))

    def decay(self, key: str) -> tuple[Array, Array]:
        """What a step leaves, and what it takes, for the time constant of that name."""
        tau = self.value(key)
        if not (tau > 0).all():
            raise self.refuse(f"has {key} {float(tau.min()):g}; a time constant must be positive")
        if self.meaning.taus == "times dt":
            taken = np.float64(np.float32(self.dt)) * (self.dt / tau).astype(np.float32)
        else:
            taken = self.dt / tau
        if self.meaning.integration == "exponential":
            return np.exp(-taken), -np.expm1(-taken)
        return 1 - taken, taken

    def layer(self, model: str, parameters: Mapping[str, Array], name: str = "") -> Layer:
        """The layer of a model with what its kind of reset needs; parameters that do nothing are left out."""
        spikes, meaning = MODELS[model].spikes, self.meaning
        found = dict(parameters)
        if spikes:
            found["threshold"] = self.value("v_threshold")
            found["reset_potential"] = self.value("v_reset", 0.0)
            if meaning.minimum is not None:
                found["minimum"] = np.asarray(meaning.minimum)
        if meaning.start != "zero":
            found["initial"] = self.value({"leak": "v_leak", "reset": "v_reset"}[meaning.start], 0.0)
        rules = (self.reset, meaning.fires, meaning.spikes) if spikes else ()
        return constant_neuron(name or self.name, model, found, self.shape, *rules)

    @property
    def reset(self) -> str:
        """How the node resets."""
        special = self.meaning.feedback_reset
        return special if special and (self.recurrent or self.kind == "CubaLIF") else self.meaning.reset


def neuron_layers(node: Node, shape: Shape, meaning: Meaning, recurrent: bool) -> list[Layer]:
    """Return the layers that a node becomes, one read by the next; the last one has the node's name.

    recurrent: whether it lies in a cycle. Raises GraphError naming the node and the field.
    """
    return READERS[node.kind](NeuronNode(node.name, node.kind, node.fields, shape, meaning.of(node.name), recurrent))


def unit(gain: Array) -> Array:
    """A gain; 1 if it is meant."""
    return np.where(np.abs(gain - 1) < ONE, 1.0, gain)


def _membrane(node: NeuronNode, tau: str, current: Array | float = 1.0) -> tuple[str, dict[str, Array]]:
    """The membrane of a node: "" or "relaxing-", and its parameters; current: the factor on what it reads."""
    leak, taken = node.decay(tau)
    r, v_leak = node.value("r", 1.0), node.value("v_leak", 0.0)
    if node.meaning.update in RELAXING:
        inside = (r * current == 1).all()
        apart = {} if inside else {"gain": unit(taken * r * current)}
        steps = 1 / taken
        exact = np.frexp(steps.astype(np.float32))[0] == 0.5  # multiplying by a power of two is dividing by one
        if node.meaning.update == "dividing" and not exact.all():
            apart["steps"] = steps
        return "relaxing-", {"rate": taken, "rest": v_leak, **apart}
    gain = {"integrated": r * taken, "added": r}.get(node.meaning.update, np.ones_like(r))
    return "", {"leak": leak, "gain": unit(unit(gain) * current), "bias": v_leak * taken}


def _current(node: NeuronNode) -> tuple[Array, Array, Array | float]:
    """A synaptic current: what a step leaves and takes, and the factor on it that its membrane reads."""
    leak, taken = node.decay("tau_syn")
    w_in = node.value("w_in", 1.0)
    integrated = unit(w_in * taken)
    jumps = np.where(integrated == 1, 1.0, w_in)  # Norse writes 1, SpikingJelly tau_syn / dt, for the same
    factor = {"integrated": integrated, "added": w_in, "unit": np.ones(()), "decaying": leak}
    return leak, taken, factor.get(node.meaning.update, jumps)


def _lif(node: NeuronNode) -> list[Layer]:
    form, parameters = _membrane(node, "tau")
    return [node.layer(f"{form}lif", parameters)]


def _li(node: NeuronNode) -> list[Layer]:
    form, parameters = _membrane(node, "tau")
    if node.meaning.update == "decaying":  # a current by itself: it decays after its input, too
        parameters["gain"] = parameters["leak"]
    return [node.layer(f"{form}li", parameters)]


def _cuba_lif(node: NeuronNode) -> list[Layer]:
    leak, taken, factor = _current(node)
    form, parameters = _membrane(node, "tau_mem", factor)
    # A current is not divided: no tool does.
    own = {"current_rate": taken} if form else {"current_leak": leak}
    return [node.layer(f"{form}cuba-lif", {**own, **parameters})]


def _cuba_li(node: NeuronNode) -> list[Layer]:
    leak, taken, factor = _current(node)
    form, parameters = _membrane(node, "tau_mem", factor)
    one = np.ones(())
    own = {"rate": taken, "gain": one} if form else {"leak": leak, "gain": one}
    current = constant_neuron(f"{node.name}_current", f"{form}li", own, node.shape)
    return [current, node.layer(f"{form}li", parameters)]


def _integrated(node: NeuronNode) -> Array:
    """The gain of a membrane without a leak."""
    r, update = node.value("r", 1.0), node.meaning.update
    if update in ("unit", "decaying"):
        return np.ones_like(r)
    return r if update == "added" or node.meaning.taus == "times dt" else unit(r * node.dt)


def _if(node: NeuronNode) -> list[Layer]:
    return [node.layer("if", {"gain": _integrated(node)})]


def _i(node: NeuronNode) -> list[Layer]:
    return [node.layer("li", {"leak": np.ones(()), "gain": _integrated(node)})]


def _threshold(node: NeuronNode) -> list[Layer]:
    """A neuron that forgets everything: NIR's Threshold is 1 above its threshold and has no state."""
    parameters = {"leak": np.zeros(()), "gain": np.ones(()), "threshold": node.value("threshold")}
    return [constant_neuron(node.name, "lif", parameters, node.shape, "zero")]


READERS: dict[str, Callable[[NeuronNode], list[Layer]]] = {
    "IF": _if,
    "LIF": _lif,
    "CubaLIF": _cuba_lif,
    "LI": _li,
    "CubaLI": _cuba_li,
    "I": _i,
    "Threshold": _threshold,
}
"""What each kind of node becomes."""


def time_step(kind: str, fields: Mapping[str, Any]) -> float | None:
    """Return the time step that a node of Rockpool's exporter was made with; None if it does not tell.

    It writes r = tau / dt * exp(-dt / tau), which is solved for dt by Newton's method and rounded to six digits, as
    many as float32 holds.
    """
    tau, r = (np.asarray(fields.get(key, 0.0), np.float64).reshape(-1) for key in (TAUS.get(kind, ""), "r"))
    if kind not in TAUS or not (tau.size and r.size and tau[0] > 0 and r[0] > 0):
        return None
    x = 1.0 / (1.0 + r[0])
    for _ in range(60):
        x = max(x - (np.log(x) + x + np.log(r[0])) / (1 / x + 1), x / 16)
    return float(f"{x * tau[0]:.6g}")


TAUS = {"LIF": "tau", "LI": "tau", "CubaLIF": "tau_mem"}
