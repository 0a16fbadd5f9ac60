"""Neurons in stateless NIR primitives, one time step at a time.

    gain[t]      = Scale(gain)(x[t])                 cuba-lif: x is Scale(1)(x[t] + Scale(current_leak)(x[t-1]))
    leak[t]      = Scale(leak)(potential[t-1] + reset[t-1])
    potential[t] = Scale(1)(gain[t] + leak[t])       with a bias: Scale(1)(that + Scale(bias)(on)), on = 1 everywhere
    spikes[t]    = Threshold(threshold)(potential[t])
    reset[t]     = Scale(-threshold)(spikes[t])      so that potential + reset is what is left after the spike

Reset to zero needs `potential * (1 - spikes)`, and NIR has no product of signals. It is done by absorption: a float32
below 2**75 vanishes when 2**100 is added to it, so

    held[t]  = Scale(1)(potential[t] + Scale(2**100)(spikes[t]))     2**100 where it fired, else the potential
    reset[t] = Scale(-2**100)(spikes[t])                             held + reset: exactly 0 where it fired

This holds in IEEE float32 and float64 (for potentials below 2**46), in any order, but not under "fast math".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from asnn_deploy.ir.layers import Neuron
from asnn_exporters.nir.values import spread

if TYPE_CHECKING:
    from asnn_exporters.nir.unroll import Unrolling

MODELS = ("lif", "cuba-lif")
ABSORBING = 2.0**100


def neuron_problem(layer: Neuron) -> str | None:
    """Why a neuron has no counterpart; None where it has."""
    if layer.model not in MODELS:
        return f"neuron model {layer.model!r} has no counterpart in NIR's stateless primitives (allowed: lif, cuba-lif)"
    return None


def write_neuron(u: Unrolling, layer: Neuron, t: int, sources: Sequence[str]) -> str:
    """One time step of a population; returns the node of its spikes."""
    before = u.memory.get(layer.name, ())
    current = sources[0]
    if layer.model == "cuba-lif":
        current = _synaptic_current(u, layer, t, current)
    gained = u.table("Scale", layer, "gain", t, [current])
    left = u.table("Scale", layer, "leak", t, before)
    potential = _potential(u, layer, t, gained, left if before else None)
    if "threshold" in layer.parameters:
        spikes = u.table("Threshold", layer, "threshold", t, [potential])
    else:
        spikes = u.threshold(layer, t, "spikes", potential, 1.0)
    u.memory[layer.name] = _after_reset(u, layer, t, potential, spikes)
    return spikes


def _synaptic_current(u: Unrolling, layer: Neuron, t: int, x: str) -> str:
    key = f"{layer.name} current"
    left = u.table("Scale", layer, "current_leak", t, [u.memory[key]] if t else [])
    u.memory[key] = u.total(layer, t, "current", x, left) if t else x
    return u.memory[key]


def _potential(u: Unrolling, layer: Neuron, t: int, gained: str, left: str | None) -> str:
    """The potential before the spike. A lone summand passes through a node too, so that every step has one."""
    biased = "bias" in layer.parameters
    role = "sum" if biased else "potential"
    total = u.total(layer, t, role, gained, left) if left else u.scale(layer, t, role, [gained])
    if not biased:
        return total
    if t == 0:
        u.memory[f"{layer.name} on"] = u.threshold(layer, 0, "on", gained, -ABSORBING)
    bias = u.table("Scale", layer, "bias", t, [u.memory[f"{layer.name} on"]])
    return u.total(layer, t, "potential", total, bias)


def _after_reset(u: Unrolling, layer: Neuron, t: int, potential: str, spikes: str) -> tuple[str, str]:
    """The two nodes whose sum is the potential after the reset."""
    shape = u.graph.shapes[layer.name]
    if layer.reset == "zero":
        lift = u.scale(layer, t, "lift", [spikes], ABSORBING)
        held = u.total(layer, t, "held", potential, lift)
        return held, u.scale(layer, t, "reset", [spikes], -ABSORBING)
    threshold = layer.parameters["threshold"].at(t) if "threshold" in layer.parameters else np.float32(1)
    negative = spread(-np.asarray(threshold, np.float32), shape)
    return potential, u.node("Scale", layer.name, t, "reset", [spikes], scale=negative)
