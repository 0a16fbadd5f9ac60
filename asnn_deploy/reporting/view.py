"""What the pages say that does not stand in the report as it is: ranges, sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from asnn_deploy.energy.estimate import PARTS, JouleRange
from asnn_deploy.fitting.document import FitDocument, StepTables
from asnn_deploy.fitting.limits import Use
from asnn_deploy.reporting import numbers, times, verdicts
from asnn_deploy.reporting.charts.cores import cores_per_tile
from asnn_deploy.reporting.figures import Report
from asnn_deploy.reporting.summary import summary
from asnn_deploy.verifying.parity import ParityReport

MOST_COLUMNS = 16
"""Tables over the steps have at most so many columns; `report.json` has every step."""
MOST_CLASSES = 20
"""Classes up to which a page has a table of answers; `report.json` has all."""
Shares = Sequence[tuple[str, Sequence[float]]]
Differing = tuple[str, str, Shares]


def view(report: Report) -> dict[str, Any]:
    """The templates' variables."""
    profiles, exits = report.profiles, report.early_exit
    return {
        "report": report,
        "title": report.network or "Spiking network",
        "parts": PARTS,
        "MOST_CLASSES": MOST_CLASSES,
        "steps": range(report.time_steps),
        "columns": range(0, report.time_steps, -(-report.time_steps // MOST_COLUMNS)),
        "summary": summary(report),
        "ranges": {name: range_text(p.energy_joules) for name, p in profiles.items()},
        "latencies": times.latencies(report),
        "latency_ranges": times.latency_ranges(report),
        "latencies_by_step": times.latencies_by_step(report),
        "times": times.sentences(report),
        "costs": {name: _costs(report, name) for name in profiles},
        "break_even_says": _break_even(report),
        "left_out": {name: p.leaves_out for name, p in profiles.items() if p.leaves_out},
        "final_sops": report.totals.sops,
        "exit_says": _exit_sentence(report),
        "chosen": None if exits is None else exits.chosen_point,
        "fits": {chip: _fit(fit) for chip, fit in report.fit.items()},
        "verdicts": {name: _verdict(name, target) for name, target in _verified(report).items()},
        "differing": [name for name, *_ in differing_shares(report)],
        "firing": report.break_even.spike_rate,
    }


def range_text(energy: JouleRange) -> str:
    """A range of energies as text."""
    return numbers.joule_range([energy.low, energy.high])


def differing_shares(report: Report) -> list[Differing]:
    """Charts of differing spikes: name, what a screen reader says, and by layer the share of neurons at each step.

    One for the quantisation, and one for each verified target with a mismatch.
    """
    found: list[Differing] = []
    integers = report.quantization
    if integers is not None:
        layers = [(x.name, x.spike_disagreement) for x in integers.layers if x.spike_disagreement]
        if layers:
            label = f"Heat map of spikes that differ between the float and the {integers.bits}-bit network. "
            found.append(("quantization", label + "A table follows.", layers))
    samples = 0 if report.verify is None else report.verify.samples
    neurons = {layer.name: layer.neurons for layer in report.neuronal}
    for name, target in _verified(report).items():
        if target.spike_mismatches and all(layer.name in neurons for layer in target.layers):
            shares = [
                (x.name, [n / max(neurons[x.name] * samples, 1) for n in x.per_step_mismatches]) for x in target.layers
            ]
            label = f"Heat map of spikes that differ between {name} and {target.against}. A table follows."
            found.append((f"verify {name}", label, shares))
    return found


def _verified(report: Report) -> Mapping[str, ParityReport]:
    return {} if report.verify is None else report.verify.targets


def _break_even(report: Report) -> str:
    """The break-even rate in a sentence, or why there is none."""
    rate, seen = report.break_even_spike_rate, report.break_even.spike_rate
    profile = report.break_even.profile
    if rate is not None and seen is not None:
        return (
            f"Under {profile} (mid) the spiking network and the ANN cost the same at {numbers.significant(rate, 3)} "
            f"spikes per neuron and time step; this network fires {numbers.significant(seen, 3)}."
        )
    if not report.totals.spikes:
        return "There is no break-even rate: no neuron fired, so there are no spikes to scale."
    return (
        f"There is no break-even rate: under {profile} (mid), what does not depend on the neurons' spikes (the input "
        "layer's work and the neuron updates) costs more than the ANN already."
    )


def _costs(report: Report, name: str) -> str:
    """What the network costs against the conventional ones under a profile; a dash where it prices none."""
    ann, qnn = report.baselines.ann.energy_joules.get(name), report.baselines.qnn.energy_joules.get(name)
    return verdicts.against(report.profiles[name].energy_joules, {"ANN": ann, "QNN": qnn}) or "–"


def _exit_sentence(report: Report) -> str:
    """What the chosen margin does, or why none was chosen."""
    exits = report.early_exit
    if exits is None:
        return ""
    point, chosen, where = exits.chosen_point, exits.chosen, exits.calibration
    if point is None or chosen is None:
        return "No margin was chosen."
    return (
        f"Chosen on {where.samples:,} samples of the {where.split} split, the smallest that costs at most "
        f"{100 * chosen.tolerance:g} points of accuracy there: margin {point.margin:g}. "
        f"On these {report.samples:,} samples it answers after {point.mean_steps:.2f} of {report.time_steps} "
        f"steps on average, {numbers.share(point.accuracy)} of them right."
    )


def _fit(fit: FitDocument) -> dict[str, Any]:
    """A fit in sentences."""
    size = f"{numbers.many(fit.cores, 'core')} on {numbers.many(fit.chips, 'chip')}"
    sentences = ["Tightest limit: " + _constraint(fit.binding), "Next: " + _constraint(fit.next_binding)]
    if not fit.fits:
        sentences += _missing(fit)
        if fit.capacity.fits:
            sentences.append(f"Its size alone would fit: {size}.")
        if fit.suggestion:
            sentences.append(f"Smallest change that would make it fit: {fit.suggestion}.")
    return {
        "size": size,
        "verdict": f"Fits: {size}" if fit.fits else "Does not fit",
        "sentences": sentences,
        "cores_per_tile": cores_per_tile(fit),
        "tables": _step_tables(fit.step_tables),
    }


def _constraint(binding: Use) -> str:
    return f"{binding.constraint} in {binding.layer}, {binding.value:,.7g} of {binding.limit:,.7g}."


def _missing(fit: FitDocument) -> list[str]:
    """What the chip cannot do at all, each with the layers that want it."""
    wanted: dict[str, list[str]] = {}
    for use in fit.features.missing:
        wanted.setdefault(use.constraint, []).append(use.layer)
    lists = [f"{what} ({', '.join(layers)})" for what, layers in wanted.items()]
    return [f"The chip does not offer: {'; '.join(lists)}."] if lists else []


def _step_tables(tables: StepTables) -> str:
    """What parameters that change from step to step cost on the chip."""
    cost = f"{tables.difference_bytes:,} bytes ({tables.per_step_bytes:,} instead of {tables.static_bytes:,})"
    further = tables.cores - tables.static_cores
    cores = f"and {numbers.many(further, 'further core')}" if further else "and no further core"
    return f"Parameters that change from step to step cost {cost} {cores}."


def _verdict(name: str, target: ParityReport) -> str:
    if target.exact:
        return "exact"
    return "quantised" if name == "reference-fixed" else "differs"
