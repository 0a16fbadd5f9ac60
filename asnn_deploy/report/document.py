"""The report as one dictionary of plain numbers: what `report.json` holds and the pages are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from asnn_deploy.energy.baselines import BREAK_EVEN_PROFILE, Baselines, baselines
from asnn_deploy.energy.counts import CONVENTIONS
from asnn_deploy.energy.estimate import energy
from asnn_deploy.energy.profiles import Profile, Range
from asnn_deploy.energy.results import Counts, LayerCount
from asnn_deploy.graph import DeployGraph
from asnn_deploy.version import __version__

TOTALS = ("macs", "acs", "neuron_updates", "macs_graded", "acs_graded", "bias_reads")


def build(
    graph: DeployGraph,
    counts: Counts,
    profiles: Sequence[Profile],
    accuracy: float | None = None,
    data: str | None = None,
    network: str | None = None,
) -> dict[str, Any]:
    """The report of one network.

    counts: from a Counter of the same graph; accuracy: overrides the one that the counter found; data, network: what
    the report calls the data set and the network. Every count and energy is a mean per sample, but in `spread`.
    """
    compared = baselines(list(profiles), counts)
    steps = counts.accuracy_by_step or (None,) * counts.time_steps
    return {
        "created_by": f"asnn-deploy {__version__}",
        "network": network,
        "data": data,
        "coding": graph.code.name,
        "arithmetic": graph.arithmetic,
        "samples": counts.samples,
        "time_steps": counts.time_steps,
        "conventions": dict(CONVENTIONS),
        "accuracy": counts.accuracy if accuracy is None else float(accuracy),
        "input": {
            "per_step": [
                {"spikes": spikes, "values": values, "analog": bool(analog)}
                for spikes, values, analog in zip(counts.input_spikes, counts.input_values, graph.code.analog)
            ]
        },
        "layers": [_layer(layer) for layer in counts.layers],
        "totals": _totals(counts),
        "spread": {"sops": asdict(counts.sops), "spikes": asdict(counts.spikes)},
        "by_step": [{"accuracy": a, "sops": sops} for a, sops in zip(steps, counts.sops_by_step())],
        "profiles": {profile.name: _profile(profile, counts) for profile in profiles},
        "baselines": _baselines(compared),
        "break_even_spike_rate": compared.break_even_spike_rate,
        "break_even": {
            "meaning": "spikes per neuron and time step at which the spiking network costs as much as the ANN, all "
            "spikes behind the input thinned out or multiplied evenly, neuron updates included",
            "profile": BREAK_EVEN_PROFILE,
            "spike_rate": compared.spike_rate,
            "spikes_per_synapse": compared.spikes_per_synapse,
        },
    }


def _layer(layer: LayerCount) -> dict[str, Any]:
    return {
        "name": layer.name,
        "kind": layer.kind,
        "neurons": layer.neurons,
        "connections": layer.connections,
        "weights": layer.weights,
        "per_step": [asdict(step) for step in layer.per_step],
    }


def _totals(counts: Counts) -> dict[str, float]:
    totals = {key: counts.total(key) for key in TOTALS}
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


def _baselines(compared: Baselines) -> dict[str, Any]:
    return {
        "ann": {
            "macs": compared.macs,
            "energy_joules": {name: value and asdict(value) for name, value in compared.ann.items()},
        },
        "qnn": {
            "bits": compared.qnn_bits,
            "macs": compared.macs,
            "energy_joules": {name: value and asdict(value) for name, value in compared.qnn.items()},
        },
    }
