"""The report as one dictionary of plain numbers: what `report.json` holds and the pages are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from asnn_deploy.energy.baselines import BREAK_EVEN_PROFILE, Baselines, baselines
from asnn_deploy.energy.counts import CONVENTIONS
from asnn_deploy.energy.estimate import Energy, energy
from asnn_deploy.energy.profiles import Profile, Range
from asnn_deploy.energy.results import ClassCount, Counts, LayerCount
from asnn_deploy.energy.simulation import Simulation
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.util.version import __version__

TOTALS = ("macs", "acs", "neuron_updates", "macs_graded", "acs_graded", "bias_reads")


def build(
    graph: DeployGraph,
    counts: Counts,
    profiles: Sequence[Profile],
    accuracy: float | None = None,
    data: str | None = None,
    network: str | None = None,
    *,
    samples_sha256: str | None = None,
    early_exit: Mapping[str, Any] | None = None,
    simulated: Sequence[tuple[Simulation, str, Energy]] = (),
    fit: Mapping[str, Mapping[str, Any]] | None = None,
    quantization: Mapping[str, Any] | None = None,
    verify: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The report of one network.

    counts: from a Counter of the same graph; accuracy: overrides the one that the counter found; data, network: what
    the report calls the data set and the network. Every count and energy is a mean per sample, but in `spread`.
    samples_sha256: of images and labels in order. early_exit: the curve over margins. simulated: what simulators found,
    each with the profile that prices the same chip by constants and that one's energy of the same samples. fit: chip to
    `Fit.to_json()`. quantization: from `quantization_report`. verify: from `verify --json`. What is None or empty is
    left out of the pages.
    """
    compared = baselines(list(profiles), counts)
    priced = {profile.name: _profile(profile, counts) for profile in profiles}
    return {
        "created_by": f"asnn-deploy {__version__}",
        "network": network,
        "data": data,
        "samples_sha256": samples_sha256,
        "coding": graph.code.name,
        "arithmetic": graph.arithmetic,
        "samples": counts.samples,
        "time_steps": counts.time_steps,
        "conventions": dict(CONVENTIONS),
        "accuracy": counts.accuracy if accuracy is None else float(accuracy),
        "input": _input(graph, counts),
        "layers": [_layer(layer) for layer in counts.layers],
        "totals": _totals(counts),
        "spread": {"sops": asdict(counts.sops), "spikes": asdict(counts.spikes)},
        "by_step": _by_step(profiles, counts),
        "by_class": [_class(row) for row in counts.by_class],
        "early_exit": early_exit and dict(early_exit),
        "profiles": priced | {found.name: found.as_profile() for found, _, _ in simulated},
        "simulated": {found.name: found.beside(profile, constants) for found, profile, constants in simulated},
        "baselines": _baselines(compared, [found.name for found, _, _ in simulated]),
        "break_even_spike_rate": compared.break_even_spike_rate,
        "break_even": _break_even(compared),
        "fit": dict(fit or {}),
        "quantization": quantization and dict(quantization),
        "verify": verify and dict(verify),
    }


def _input(graph: DeployGraph, counts: Counts) -> dict[str, Any]:
    """What the coding sends at each step."""
    sent = zip(counts.input_spikes, counts.input_values, graph.code.analog)
    return {"per_step": [{"spikes": spikes, "values": values, "analog": bool(a)} for spikes, values, a in sent]}


def _break_even(compared: Baselines) -> dict[str, Any]:
    return {
        "meaning": "spikes per neuron and time step at which the spiking network costs as much as the ANN, all "
        "spikes behind the input thinned out or multiplied evenly, neuron updates included",
        "profile": BREAK_EVEN_PROFILE,
        "spike_rate": compared.spike_rate,
        "spikes_per_synapse": compared.spikes_per_synapse,
        "against": [asdict(row) for row in compared.break_even],
    }


def _by_step(profiles: Sequence[Profile], counts: Counts) -> list[dict[str, Any]]:
    """What the network would have answered and spent had it stopped after each step."""
    accuracies = counts.accuracy_by_step or (None,) * counts.time_steps
    rows = []
    for steps, (accuracy, sops) in enumerate(zip(accuracies, counts.sops_by_step()), start=1):
        layers = tuple(replace(layer, per_step=layer.per_step[:steps]) for layer in counts.layers)
        stopped = replace(counts, time_steps=steps, mean_steps=float(steps), layers=layers)
        spent = {profile.name: energy(profile, stopped) for profile in profiles}
        rows.append(
            {
                "accuracy": accuracy,
                "sops": sops,
                "energy_joules": {name: found.energy_joules.mid for name, found in spent.items()},
                "latency_seconds": {name: found.latency_seconds for name, found in spent.items()},
            }
        )
    return rows


def _class(row: ClassCount) -> dict[str, Any]:
    values = asdict(row)
    return {"class": values.pop("label"), **values}


def _layer(layer: LayerCount) -> dict[str, Any]:
    return {
        "name": layer.name,
        "kind": layer.kind,
        "neurons": layer.neurons,
        "connections": layer.connections,
        "weights": layer.weights,
        "per_step": [asdict(step) for step in layer.per_step],
        "intervals": [asdict(step) for step in layer.intervals],
    }


def _totals(counts: Counts) -> dict[str, float]:
    totals = {key: counts.total(key) for key in TOTALS}
    for access in ("weight_fetches", "state_reads", "state_writes"):
        totals[access] = sum(getattr(layer, access) for layer in counts.layers)
    return totals | {"sops": totals["acs"] + totals["macs"], "spikes": counts.total("spikes_out")}


def _profile(profile: Profile, counts: Counts) -> dict[str, Any]:
    estimate = asdict(energy(profile, counts))
    return {
        **estimate,
        "latency_is_lower_bound": profile.static is not None,
        "title": profile.title,
        "process": profile.process,
        "spike_counts": profile.counts,
        "leaves_out": list(profile.leaves_out),
        "constants": _constants(profile),
    }


def _constants(profile: Profile) -> list[dict[str, Any]]:
    """Every published amount that the profile rests on: `{name, low, mid, high, unit, source}`."""
    named: dict[str, Range | None] = {key.replace("_", " "): value for key, value in profile.constants}
    if profile.qnn is not None:
        width = f"multiply accumulate, up to {profile.qnn.max_bits} bit (QNN)"
        named[width] = profile.qnn.multiply_accumulate
    if profile.static is not None:
        named |= {"static power": profile.static.power, "time step, at least": profile.static.step}
    known = {"kind": profile.kind, "process": profile.process}
    listed = [
        {"name": name} | known | value.model_dump(exclude={"note"}, exclude_none=True)
        for name, value in named.items()
        if value is not None
    ]
    points = profile.memory.points if profile.memory is not None else ()
    source = profile.memory.source if profile.memory is not None else ""
    for point in points:
        amounts = dict.fromkeys(("low", "mid", "high"), point.energy)
        name = f"memory access, {point.bytes // 1024:,} KiB"
        listed.append({"name": name, **amounts, "unit": point.unit, "source": source} | known)
    return listed


def _baselines(compared: Baselines, simulated: Sequence[str]) -> dict[str, Any]:
    """The conventional networks; none runs on a simulated chip of spikes."""
    none = dict.fromkeys(simulated, None)
    ann, qnn = (
        {name: value and asdict(value) for name, value in found.items()} | none
        for found in (compared.ann, compared.qnn)
    )
    return {
        "ann": {"macs": compared.macs, "energy_joules": ann},
        "qnn": {"bits": compared.qnn_bits, "macs": compared.macs, "energy_joules": qnn},
    }
