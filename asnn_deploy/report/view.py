"""What the pages say that does not stand in the report's dictionary as it is: sums, ranges, sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from asnn_deploy.energy.estimate import PARTS
from asnn_deploy.report import numbers
from asnn_deploy.report.charts.cores import cores_per_tile

MOST_COLUMNS = 16
"""Tables over the steps have at most so many columns; `report.json` has every step."""


def view(report: Mapping[str, Any]) -> dict[str, Any]:
    """The templates' variables."""
    layers = report["layers"]
    profiles = report["profiles"]
    return {
        "report": report,
        "title": report["network"] or "Spiking network",
        "parts": PARTS,
        "steps": range(report["time_steps"]),
        "columns": range(0, report["time_steps"], -(-report["time_steps"] // MOST_COLUMNS)),
        "synaptic": [_summed(layer) for layer in layers if layer["kind"] != "neuron"],
        "neuronal": [_summed(layer) for layer in layers if layer["kind"] == "neuron"],
        "accuracy_interval": _accuracy_interval(report),
        "energy_range": _energy_range(profiles),
        "ranges": {name: range_text(p["energy_joules"]) for name, p in profiles.items()},
        "latencies": {name: _latency(p) for name, p in profiles.items()},
        "break_even_says": _break_even(report),
        "left_out": {name: p["leaves_out"] for name, p in profiles.items() if p["leaves_out"]},
        "final_sops": report["totals"]["sops"],
        "exit_says": _exit_sentence(report),
        "chosen": _chosen(report),
        "fits": {chip: _fit(fit) for chip, fit in report["fit"].items()},
        "verdicts": {name: _verdict(name, t) for name, t in (report["verify"] or {"targets": {}})["targets"].items()},
        "differing": [name for name, *_ in differing_shares(report)],
        "firing": report["break_even"]["spike_rate"],
    }


def range_text(energy: Mapping[str, float]) -> str:
    """A range of energies as text."""
    return numbers.joule_range([energy["low"], energy["high"]])


def differing_shares(report: Mapping[str, Any]) -> list[tuple[str, str, list[tuple[str, Sequence[float]]]]]:
    """Charts of differing spikes: name, what a screen reader says, and by layer the share of neurons at each step.

    One for the quantisation, and one for each verified target with a mismatch.
    """
    found = []
    quantization = report["quantization"]
    layers = [(x["name"], x["spike_disagreement"]) for x in (quantization or {}).get("layers", []) if _differs(x)]
    if layers:
        label = f"Heat map of spikes that differ between the float and the {quantization['bits']}-bit network. "
        found.append(("quantization", label + "A table follows.", layers))
    verified = report["verify"] or {"targets": {}, "samples": 0}
    neurons = {layer["name"]: layer["neurons"] for layer in report["layers"] if layer["kind"] == "neuron"}
    for name, target in verified["targets"].items():
        if target["spike_mismatches"] and all(layer["name"] in neurons for layer in target["layers"]):
            shares = [
                (x["name"], [n / max(neurons[x["name"]] * verified["samples"], 1) for n in x["per_step_mismatches"]])
                for x in target["layers"]
            ]
            label = f"Heat map of spikes that differ between {name} and {target['against']}. A table follows."
            found.append((f"verify {name}", label, shares))
    return found


def _differs(layer: Mapping[str, Any]) -> bool:
    return bool(layer.get("spike_disagreement"))


def _summed(layer: Mapping[str, Any]) -> dict[str, Any]:
    """A layer with its counts over all steps."""
    keys = layer["per_step"][0]
    return {**layer, "sum": {key: sum(step[key] for step in layer["per_step"]) for key in keys}}


def _accuracy_interval(report: Mapping[str, Any]) -> str | None:
    if report["accuracy"] is None:
        return None
    low, high = numbers.interval(report["accuracy"], report["samples"])
    return f"{100 * low:.1f} – {100 * high:.1f} %"


def _energy_range(profiles: Mapping[str, Any]) -> str:
    amounts = [p["energy_joules"][level] for p in profiles.values() for level in ("low", "high")]
    return numbers.joule_range(amounts) if amounts else "–"


def _latency(profile: Mapping[str, Any]) -> str:
    bound = profile["latency_seconds"] is not None and profile["latency_is_lower_bound"]
    return ("≥ " if bound else "") + numbers.seconds(profile["latency_seconds"])


def _break_even(report: Mapping[str, Any]) -> str:
    """The break-even rate in a sentence, or why there is none."""
    rate, seen = report["break_even_spike_rate"], report["break_even"]["spike_rate"]
    profile = report["break_even"]["profile"]
    if rate is not None:
        return (
            f"Under {profile} (mid) the spiking network and the ANN cost the same at {numbers.significant(rate, 3)} "
            f"spikes per neuron and time step; this network fires {numbers.significant(seen, 3)}."
        )
    if not report["totals"]["spikes"]:
        return "There is no break-even rate: no neuron fired, so there are no spikes to scale."
    return (
        f"There is no break-even rate: under {profile} (mid), what does not depend on the neurons' spikes (the input "
        "layer's work and the neuron updates) costs more than the ANN already."
    )


def _chosen(report: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The point of the early-exit curve at the chosen margin."""
    exits = report["early_exit"]
    if not exits or not exits["chosen"]:
        return None
    return next((point for point in exits["curve"] if point["margin"] == exits["chosen"]["margin"]), None)


def _exit_sentence(report: Mapping[str, Any]) -> str:
    """What the chosen margin does, or why none was chosen."""
    exits, point = report["early_exit"], _chosen(report)
    if not exits:
        return ""
    if point is None:
        return "No margin was chosen."
    tolerance = exits["chosen"].get("tolerance")
    within = (
        "" if tolerance is None else f", the smallest that costs at most {100 * tolerance:g} points of accuracy there"
    )
    where = exits["calibration"]
    return (
        f"Chosen on {where['samples']:,} samples of the {where['split']} split{within}: margin {point['margin']:g}. "
        f"On these {report['samples']:,} samples it answers after {point['mean_steps']:.2f} of {report['time_steps']} "
        f"steps on average, {numbers.share(point['accuracy'])} of them right."
    )


def _fit(fit: Mapping[str, Any]) -> dict[str, Any]:
    """A fit in sentences."""
    size = f"{_many(fit['cores'], 'core')} on {_many(fit['chips'], 'chip')}"
    sentences = ["What binds: " + _constraint(fit["binding"])] if fit["binding"] else []
    if fit.get("next_binding"):
        sentences.append("Next: " + _constraint(fit["next_binding"]))
    if not fit["fits"]:
        sentences += _missing(fit)
        if fit.get("capacity", {}).get("fits"):
            sentences.append(f"Its size alone would fit: {size}.")
        if fit.get("suggestion"):
            sentences.append(f"Smallest change that would make it fit: {fit['suggestion']}.")
    return {
        "size": size,
        "verdict": f"Fits: {size}" if fit["fits"] else "Does not fit",
        "sentences": sentences,
        "cores_per_tile": cores_per_tile(fit) if fit.get("map") else 1,
        "tables": _step_tables(fit.get("step_tables")),
    }


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _constraint(binding: Mapping[str, Any]) -> str:
    value, limit = (
        f"{x:,.7g}" if isinstance(x, (int, float)) else str(x) for x in (binding["value"], binding["limit"])
    )
    return f"{binding['constraint']} in {binding['layer']}, {value} where the limit is {limit}."


def _missing(fit: Mapping[str, Any]) -> list[str]:
    """What the chip cannot do at all, each with the layers that want it."""
    wanted: dict[str, list[str]] = {}
    for entry in fit.get("features", {}).get("missing", []):
        wanted.setdefault(entry["constraint"], []).append(entry["layer"])
    lists = [f"{what} ({', '.join(layers)})" for what, layers in wanted.items()]
    return [f"The chip does not offer: {'; '.join(lists)}."] if lists else []


def _step_tables(tables: Mapping[str, Any] | None) -> str:
    """What parameters that change from step to step cost on the chip."""
    if not tables:
        return ""
    cost = f"{tables['difference_bytes']:,} bytes ({tables['per_step_bytes']:,} instead of {tables['static_bytes']:,})"
    further = tables["cores"] - tables["static_cores"]
    cores = f"and {_many(further, 'further core')}" if further else "and no further core"
    return f"Parameters that change from step to step cost {cost} {cores}."


def _verdict(name: str, target: Mapping[str, Any]) -> str:
    if target["exact"]:
        return "exact"
    return "quantised" if name == "reference-fixed" else "differs"
