"""What a reader must know to decide, from a report: one definition, which the pages and the picture show."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from asnn_deploy.ir.inputs import described
from asnn_deploy.reporting import numbers, times, verdicts
from asnn_deploy.reporting.energies import ProfileRow
from asnn_deploy.reporting.figures import EarlyExit, PlacedFit, Report
from asnn_deploy.util.text import printable
from asnn_deploy.verifying.document import QUANTISED, Verification

SHORT = 60
"""Letters of a name; longer ones are cut in the middle."""
LONG = 200
"""Letters of a suggestion; the report has it all."""
SHOWN = 3
"""Chips that a summary shows besides the one that it is about."""
UNPUBLISHED = "of this chip is known from a source that could be checked"
ALONE = ("cpu", "gpu", "horowitz-45nm")
"""Profiles under which a summary prices the conventional networks, next to the chip's own."""


@dataclass(frozen=True)
class Fact:
    """One thing to know: a name of one to three words, a figure, and what it means."""

    name: str
    figure: str
    meaning: str


@dataclass(frozen=True)
class Price:
    """A profile's energies of this network, the ANN and the QNN, as text, and the verdict."""

    profile: str
    ours: str
    ann: str
    qnn: str
    verdict: str


@dataclass(frozen=True)
class Summary:
    """A report on one page.

    chip: the one that it is about: of the report's chips the first with an energy profile, else the first; None if the
    network was placed on none.
    """

    title: str
    about: tuple[str, ...]
    verdict: str
    facts: tuple[Fact, ...]
    prices: tuple[Price, ...]
    qnn_bits: int
    chip: str | None
    notes: tuple[str, ...]
    created_by: str


def summary(report: Report) -> Summary:
    """Return the summary of a report."""
    chip = chip_of(report)
    return Summary(
        title=shortened(report.network or "Spiking network"),
        about=tuple(_about(report)),
        verdict=_verdict(report, chip),
        facts=tuple(_facts(report, chip)),
        prices=tuple(_prices(report, chip)),
        qnn_bits=report.baselines.qnn.bits,
        chip=chip,
        notes=tuple(_notes(report)),
        created_by=report.created_by,
    )


def chip_of(report: Report) -> str | None:
    """Return the chip that a summary is about."""
    priced = {profile.chip for profile in report.profiles.values()}
    return next((chip for chip in report.fit if chip in priced), next(iter(report.fit), None))


def shortened(name: str) -> str:
    """Return a name on one line, cut in the middle if it is long."""
    text = printable(name)
    half = SHORT // 2
    return text if len(text) <= SHORT else f"{text[:half]}…{text[-half:]}"


def _about(report: Report) -> Iterator[str]:
    if report.data:
        yield shortened(report.data)
    yield numbers.many(report.samples, "sample")
    yield numbers.many(report.time_steps, "time step")
    yield described(report.coding)
    yield "integers" if report.arithmetic == "fixed" else f"{report.arithmetic} arithmetic"


def _verdict(report: Report, chip: str | None) -> str:
    """Return the answer in a sentence or two."""
    said = []
    if report.accuracy is not None:
        said.append(f"answers {numbers.share(report.accuracy)} of {numbers.many(report.samples, 'sample')} right")
    if report.verify is not None and exactness(report.verify)[0] == "exact":
        said.append("is the same network, spike for spike, on every target that promises it")
    if chip is not None:
        fit = report.fit[chip]
        said.append(f"fits on {chip} ({_size(fit)})" if fit.fits else f"does not fit on {chip} as it is")
    first = f"The network {_joined(said)}." if said else ""
    row, latency = _priced(report, chip), None if chip is None else report.latency.get(chip)
    cost = [numbers.joules(row.energy_joules.mid)] if row is not None else []
    cost += [numbers.seconds(latency.seconds.mid)] if latency is not None else []
    if chip is None or not cost:
        return first
    where = "A sample there is" if report.fit[chip].fits else "If it did, a sample would be"
    return f"{first} {where} estimated at {' and '.join(cost)}."


def _facts(report: Report, chip: str | None) -> Iterator[Fact]:
    if report.accuracy is None:
        yield Fact("Accuracy", "not known", "The samples have no labels.")
    else:
        reach = numbers.interval_text(report.accuracy, report.samples)
        yield Fact("Accuracy", numbers.share(report.accuracy), f"95 % interval {reach}.")
    if report.verify is None:
        yield Fact("Same network", "not compared", "The spikes of the targets have not been compared.")
    else:
        yield Fact("Same network", *exactness(report.verify))
    others = [name for name in report.fit if name != chip][:SHOWN]
    for name in [chip, *others] if chip is not None else []:
        yield _placed(name, report.fit[name])
    if chip is not None:
        yield _energy(report, chip)
        yield _time(report, chip)
    yield _work(report)
    if report.early_exit is not None:
        yield _exit(report, report.early_exit)
    if report.quantization is not None:
        yield _integers(report)


def exactness(verification: Verification) -> tuple[str, str]:
    """Return what a verification found, in a word or two and in a sentence."""
    promising = verification.promising
    compared = sum(found.spikes_compared for found in promising.values())
    apart = {name: found for name, found in promising.items() if not found.exact and not found.rounded}
    if apart:
        named = "; ".join(f"{found.spike_mismatches:,} spikes differ on {name}" for name, found in apart.items())
        return "not exact", f"{named}, of {compared:,} compared on all targets."
    if not promising:
        return "not compared", "None of the targets that were compared promises equal spikes."
    rounded = [name for name, found in promising.items() if not found.exact]
    if rounded:
        return "rounding", f"What differs on {', '.join(rounded)} is within float32 rounding."
    what = (
        f"{numbers.many(len(promising), 'target')}, {numbers.many(verification.samples, 'sample')}, "
        f"{compared:,} spikes compared, none differs"
    )
    more = " but the integer network's against the float one's" if QUANTISED in verification.targets else ""
    return "exact", f"Exact on every target that promises it: {what}{more}."


def _size(fit: PlacedFit) -> str:
    cores = numbers.many(fit.cores, "core")
    return cores if fit.chips == 1 else f"{cores} on {numbers.many(fit.chips, 'chip')}"


def _placed(chip: str, fit: PlacedFit) -> Fact:
    binding = fit.binding
    limit = f"{binding.constraint} of layer {shortened(binding.layer)}: {binding.value:,.7g} of {binding.limit:,.7g}"
    if fit.fits:
        return Fact(f"On {chip}", _size(fit), f"Fits. Tightest limit: {limit}.")
    remedy = f" It would fit with {_cut(fit.suggestion)}." if fit.suggestion else ""
    return Fact(f"On {chip}", "does not fit", f"Beyond what the chip offers: {limit}.{remedy}")


def _cut(text: str) -> str:
    return text if len(text) <= LONG else f"{text[:LONG]} …"


def _priced(report: Report, chip: str | None) -> ProfileRow | None:
    """The energy profile of a chip, if the report has one."""
    return next((row for row in report.profiles.values() if chip is not None and row.chip == chip), None)


def _energy(report: Report, chip: str) -> Fact:
    name, row = f"Energy on {chip}", _priced(report, chip)
    if row is None:
        return Fact(name, "no figure", f"No energy per operation {UNPUBLISHED}.")
    energy = row.energy_joules
    reach = numbers.joule_range([energy.low, energy.high])
    return Fact(name, numbers.joules(energy.mid), f"{reach} a sample, from {row.kind} constants.")


def _time(report: Report, chip: str) -> Fact:
    name, found = f"Time on {chip}", report.latency.get(chip)
    if found is None:
        return Fact(name, "no figure", f"No time per operation {UNPUBLISHED}.")
    rate = found.samples_per_second.pipelined
    more = "" if rate is None else f"; {numbers.count(rate.mid)} samples a second if they follow each other"
    return Fact(name, numbers.seconds(found.seconds.mid), f"{times.range_of(found.seconds)} a sample, estimated{more}.")


def _work(report: Report) -> Fact:
    totals = report.totals
    said = f"operations a sample, and {numbers.count(totals.spikes)} spikes."
    if not totals.spikes:
        said = "operations a sample. No neuron fired on these samples: the answers come from biases alone."
    return Fact("Synaptic work", numbers.count(totals.sops), said)


def _exit(report: Report, exits: EarlyExit) -> Fact:
    point = exits.chosen_point
    if point is None:
        return Fact("Early exit", "none chosen", "No margin was chosen at which a sample is answered early.")
    if not report.totals.sops:
        return Fact("Early exit", "nothing to save", "The network does no synaptic operations.")
    saved = 1 - point.sops / report.totals.sops
    steps = f"{point.mean_steps:.2f} of {numbers.many(report.time_steps, 'time step')}"
    figure = f"saves {numbers.share(saved)}" if saved > 0 else "saves nothing"
    right = f"{numbers.share(point.accuracy)} right"
    if report.accuracy is not None and point.accuracy < report.accuracy:
        right += f" instead of {numbers.share(report.accuracy)}"
    return Fact("Early exit", figure, f"of the operations: answers after {steps}, {right}.")


def _integers(report: Report) -> Fact:
    found = report.quantization
    assert found is not None
    bits, samples = f"{found.bits}-bit weights", numbers.many(found.samples, "sample")
    told = f"right with {bits}, of {samples}" if found.accuracy is not None else f"compared on {samples}"
    if found.accuracy_float is not None:
        told += f" (float: {numbers.share(found.accuracy_float)})"
    if found.spike_disagreement is not None:
        told += f"; {numbers.share(found.spike_disagreement)} of the spikes differ"
    return Fact("In integers", bits if found.accuracy is None else numbers.share(found.accuracy), f"{told}.")


def _prices(report: Report, chip: str | None) -> Iterator[Price]:
    ann, qnn = report.baselines.ann.energy_joules, report.baselines.qnn.energy_joules
    for name, row in report.profiles.items():
        if name not in ALONE and not (chip is not None and row.chip == chip):
            continue
        others = {"ANN": ann.get(name), "QNN": qnn.get(name)}
        texts = {key: "–" if found is None else numbers.joules(found.mid) for key, found in others.items()}
        verdict = verdicts.against(row.energy_joules, others)
        yield Price(row.title, numbers.joules(row.energy_joules.mid), texts["ANN"], texts["QNN"], verdict or "–")


def _notes(report: Report) -> Iterator[str]:
    yield "Energies and times are estimates from published constants, not measurements of this network."
    if report.profiles:
        yield (
            "A verdict holds under one profile, at its low, middle and high constants; profiles are not to be held "
            "against each other."
        )


def _joined(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
