"""Neurons of ours as neurons of NIR, by the meaning of the file: the inverse of `others/neurons.py`.

A population whose inputs a tool takes otherwise is written in other units of its potential: its threshold and all else
that is a potential times c, so that the factor on its inputs is the tool's. Its spikes are the same in real numbers,
and to the last bit if c is a power of two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from asnn_deploy.ir.granularity import over
from asnn_deploy.ir.layers import Neuron, Shape, constant_neuron
from asnn_deploy.util.arrays import Array
from asnn_exporters.nir.others.network import Node
from asnn_exporters.nir.others.neurons import NeuronNode, unit
from asnn_exporters.nir.portable.forms import in_form, in_units
from asnn_exporters.nir.portable.population import KINDS, Population, span, wide
from asnn_exporters.nir.portable.stored import Goal, stored
from asnn_exporters.nir.portable.target import DECAYS, Target

FOREVER = 2.0**26
"""Steps of a time constant that leaves a potential as it is: 1 - 2**-26 is 1 in float32."""
AT_ONCE = 2.0**-7
"""Steps of a time constant of which exp(-steps) leaves nothing in float32."""


@dataclass(frozen=True)
class Written:
    """A population as a node. expected: what reading the node must give; notes: what is not exactly as it was."""

    node: Node
    expected: Neuron
    notes: tuple[str, ...]


def written(layer: Neuron, shape: Shape, target: Target) -> Written:
    """Return a population as a node. Raises UnsupportedError naming the layer and what the reader cannot express."""
    target = target.at(layer.name)
    base = layer.model.removeprefix("relaxing-")
    if base not in KINDS:
        raise layer.unsupported(f"neuron model {layer.model!r} has no NIR node; use the dialect canonical")
    p = {key: over(table.values[0].astype(np.float64), shape) for key, table in layer.parameters.items()}
    if is_threshold(layer, p) and target.takes("Threshold"):
        node = Node(layer.name, "Threshold", {"threshold": wide(p["threshold"], shape)})
        return Written(node, layer, ())
    found = Population(layer, shape, target, layer.model, p, [])
    if base == "if" and not target.takes("IF"):
        found.model, found.p["leak"] = "lif", np.ones(())
    if not target.takes(found.kind):
        raise found.refuse(f"{target.who} reads no {found.kind} node")
    _check_rules(found)
    in_form(found)
    in_units(found)
    fields = _fields(found)
    _check_fields(found, fields)
    return Written(Node(layer.name, found.kind, fields), _expected(found), tuple(found.notes))


def is_threshold(layer: Neuron, p: Mapping[str, Array]) -> bool:
    """Return whether a population is NIR's Threshold, which forgets everything."""
    alone = layer.model == "lif" and p.keys() == {"leak", "gain", "threshold"}
    return (
        alone and layer.reset == "zero" and layer.firing.plain and not p["leak"].any() and bool((p["gain"] == 1).all())
    )


def _check_rules(found: Population) -> None:
    """Raise UnsupportedError if a population does not fire and reset as all of the file do."""
    layer, target = found.layer, found.target
    if not layer.definition.spikes:
        return
    for what, own, rule in (
        ("resets by", str(layer.reset), target.reset(found.kind, layer.name)),
        ("fires", layer.comparison, target.meaning.fires),
        ("spikes in a step:", layer.spiking, target.meaning.spikes),
    ):
        if own != rule:
            raise found.refuse(f"{what} {own!r}; {target.who} can say {rule!r} only{target.remedy}")


def _fields(found: Population) -> dict[str, Array]:
    """The node's fields, spread over its shape, in float32 wherever that comes back as it was."""
    target, p, shape = found.target, found.p, found.shape
    spiking = found.layer.definition.spikes
    fields: dict[str, Array] = {}
    if found.kind == "IF":
        fields["r"] = _resistance(found, np.ones(()) if target.as_is else np.full((), float(np.float32(target.dt))))
    else:
        tau = "tau_mem" if found.kind == "CubaLIF" else "tau"
        taken = _time_constant(found, fields, tau)
        if found.kind == "CubaLIF":
            current = _time_constant(found, fields, "tau_syn")
            fields["w_in"] = _input_weight(found, current)
        fields["r"] = _resistance(found, taken, fields[tau])
        fields["v_leak"] = _leak_potential(found, taken)
    if spiking:
        fields["v_threshold"] = p.get("threshold", np.ones(()))
        fields["v_reset"] = p.get("reset_potential", np.zeros(()))
    spread = {key: wide(value, shape) for key, value in fields.items()}
    return spread if target.importer is None or not target.importer.by_channel else _by_channel(found, spread)


def _by_channel(found: Population, fields: Mapping[str, Array]) -> dict[str, Array]:
    """The fields with one number for each channel, as shapes (C, 1, 1)."""
    if len(found.shape) == 1:
        return dict(fields)
    first = {key: value.reshape(found.shape[0], -1)[:, :1] for key, value in fields.items()}
    if any((fields[key].reshape(found.shape[0], -1) != first[key]).any() for key in fields):
        raise found.refuse(
            f"{found.target.who} takes one number for each channel, and its parameters differ within one"
        )
    found.note(
        f"{found.target.who} needs one number for each channel; read the file by nir.read(..., type_check=False)"
    )
    return {key: value.reshape(-1, *(1,) * (len(found.shape) - 1)) for key, value in first.items()}


def _time_constant(found: Population, fields: dict[str, Array], name: str) -> Array:
    """Store a time constant, and return what a step takes by it."""
    target, p = found.target, found.p
    key = "rate" if found.relaxing else "leak"
    own = f"current_{key}" if name == "tau_syn" else key
    kept = 1 - p[own] if found.relaxing else p[own]
    dt = float(np.float32(target.dt))
    if (kept > 1).any():
        raise found.refuse(f"{own} {span(p[own])}: a leak above 1 has no time constant, so NIR cannot hold it")
    least = found.target.least(found.kind)
    if (kept < least).any() or (found.kind in found.target.slower and (kept == least).any()):
        raise found.refuse(f"{own} {span(p[own])}: {target.who} takes longer time constants only")
    if target.meaning.integration == "euler":
        steps = 1 / np.where(kept == 1, 1 / FOREVER, 1 - kept)
    elif (kept < 0).any():
        raise found.refuse(f"{own} {span(p[own])}: {target.who} decays by exp(-dt/tau), which is not negative")
    else:
        inner = np.where((kept == 1) | (kept == 0), 0.5, kept)
        steps = np.where(kept == 1, FOREVER, np.where(kept == 0, AT_ONCE, -1 / np.log(inner)))
    goals = [Goal(lambda tau: decay(found, tau)[int(found.relaxing)], p[own])]
    if name != "tau_syn" and target.update(found.kind) == "dividing" and found.kind != "LI":
        steps = p.get("steps", 1 / np.where(p["rate"] == 0, 1 / FOREVER, p["rate"]))
        goals.insert(0, Goal(lambda tau: tau / dt, steps))
    measured = DECAYS.get((target.tool, found.kind)) if target.tool else None
    if measured is not None:
        goals.insert(0, Goal(lambda tau: measured(tau, target.dt), goals[0].wanted))
    guess = steps * dt * (dt if target.meaning.taus == "times dt" else 1.0)
    value, read = stored(guess, goals, target.wide)
    fields[name] = value
    worst = np.abs(read - goals[0].wanted).max() if (kept < 1).any() else 0.0
    if worst and not (kept == 1).all():
        found.note(f"{own} {span(goals[0].wanted)} is read as {span(read)}: no float32 {name} gives it")
    return decay(found, value)[1]


def decay(found: Population, tau: Array) -> tuple[Array, Array]:
    """What a step leaves, and what it takes, by the rules of the file."""
    return NeuronNode(found.layer.name, found.kind, {"tau": tau}, found.shape, found.target.meaning, False).decay("tau")


def _resistance(found: Population, taken: Array, tau: Array | None = None) -> Array:
    """r, by which the file's rules give the gain."""
    target, p = found.target, found.p
    update = target.update(found.kind)
    gain = p.get("gain")
    if update == "decaying" and tau is not None:  # it says the time step, and nothing else
        steps = tau.astype(np.float64) / float(np.float32(target.dt))
        if target.tool is None:
            return stored(steps * np.exp(-1 / steps), [], True)[0]
        return _rockpool_r(tau.astype(np.float32), np.float32(target.dt))
    if found.relaxing and found.kind != "IF":
        if gain is None:
            return np.ones(())
        return stored(gain / taken, [Goal(lambda r: unit(r * taken), gain)], target.wide)[0]
    assert gain is not None
    if update in ("added", "unit", "decaying"):
        return gain
    return stored(gain / taken, [Goal(lambda r: unit(r * taken), gain)], target.wide)[0]


def _rockpool_r(tau: Array, dt: np.float32) -> Array:
    """r with which tau / (1 + r) is dt, as Rockpool's importer computes it in float32."""
    goal = Goal(lambda r: tau / (np.float32(1) + r.astype(np.float32)), np.broadcast_to(np.float64(dt), tau.shape))
    return stored(tau.astype(np.float64) / float(dt) - 1, [goal], False)[0]


def _input_weight(found: Population, taken: Array) -> Array:
    """w_in with which inputs add up in the current as they are."""
    if found.target.update(found.kind) in ("added", "unit", "decaying"):
        return np.ones(())
    return stored(1 / taken, [], False)[0]


def _leak_potential(found: Population, taken: Array) -> Array:
    """v_leak, which gives the bias or is the rest."""
    p = found.p
    if found.relaxing:
        return p.get("rest", np.zeros(()))
    if "bias" not in p:
        return np.zeros(())
    return stored(p["bias"] / taken, [Goal(lambda v: v * taken, p["bias"])], found.target.wide)[0]


def _check_fields(found: Population, fields: Mapping[str, Array]) -> None:
    """Raise UnsupportedError for what the tool does not read in a field."""
    importer, who = found.target.importer, found.target.who
    if importer is None:
        return
    for key, value in fields.items():
        if key in importer.uniform and value.min() != value.max():
            raise found.refuse(f"{who} takes one {key} for a layer, this one has {span(value)}")
        if (key in importer.zero or f"{found.kind}.{key}" in importer.zero) and value.any():
            raise found.refuse(f"{who} takes no {key} but 0, and this layer needs one")
    if found.kind in importer.rounds or any(
        f"{found.kind}.{key}" in importer.rounds and v.any() for key, v in fields.items()
    ):
        found.note_rounding()
    if found.kind in importer.leak_is_reset and (fields["v_leak"] != fields["v_reset"]).any():
        raise found.refuse(
            f"{who} takes neurons that leak to where they reset only, this one leaks to {span(fields['v_leak'])} "
            f"and resets to {span(fields['v_reset'])}"
        )


def _expected(found: Population) -> Neuron:
    """The population that reading the node must give."""
    layer = found.layer
    firing = (str(layer.reset), layer.comparison, layer.spiking)
    return constant_neuron(layer.name, found.model, found.p, found.shape, *firing)
