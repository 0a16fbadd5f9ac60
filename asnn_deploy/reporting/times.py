"""What the pages say of time: the latency on each chip, and the least time that an energy profile knows of."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate

from asnn_deploy.fitting.latency import Estimate, Latency
from asnn_deploy.reporting import numbers
from asnn_deploy.reporting.energies import ProfileRow
from asnn_deploy.reporting.figures import Report

WORDS = {
    "synapses": "synaptic operations",
    "neurons": "neuron updates",
    "network": "spikes on their way",
    "barrier": "the barrier at the end of each step",
}


def latencies(report: Report) -> dict[str, str]:
    """Return the time of a sample by profile: the estimate for its chip, else the least that it knows, if any."""
    found = {}
    for name, profile in report.profiles.items():
        chip = of_profile(report, name)
        if chip is not None:
            found[name] = numbers.seconds(chip.seconds.mid)
        elif profile.latency_seconds is not None:
            found[name] = _least(profile, profile.latency_seconds)
    return found


def latency_ranges(report: Report) -> dict[str, str]:
    """Return the range of these times, of the profiles whose chip is in the report."""
    found = {name: of_profile(report, name) for name in report.profiles}
    return {name: range_of(chip.seconds) for name, chip in found.items() if chip is not None}


def latencies_by_step(report: Report) -> dict[str, list[str]]:
    """Return the time until the answer after each step of the network is there, by profile, of those that know one."""
    found = {}
    for name, profile in report.profiles.items():
        chip = of_profile(report, name)
        least = [seconds for step in report.by_step if (seconds := step.latency_seconds.get(name)) is not None]
        if chip is not None:
            until = list(accumulate(step.seconds.mid for step in chip.by_step))
            found[name] = [numbers.seconds(seconds) for seconds in until[chip.pipeline_steps :]]
        elif len(least) == report.time_steps:
            found[name] = [_least(profile, seconds) for seconds in least]
    return found


def of_profile(report: Report, name: str) -> Latency | None:
    """Return the latency on the chip that a profile prices, if the report has it."""
    chip = report.profiles[name].chip
    return None if chip is None else report.latency.get(chip)


def range_of(amount: Estimate) -> str:
    """Return a range of seconds as text."""
    return numbers.seconds_range([amount.low, amount.high])


def in_short(report: Report) -> list[str]:
    """Return one sentence for each chip: its time of a sample, or why there is none."""
    known = {chip: found for chip, found in report.latency.items() if found is not None}
    return [f"{chip}: {_per_sample(found)}." for chip, found in known.items()] + list(report.no_latency.values())


def sentences(report: Report) -> Mapping[str, list[str]]:
    """Return what there is to say of time on each chip."""
    said = {chip: [why] for chip, why in report.no_latency.items()}
    return said | {chip: _sentences(found) for chip, found in report.latency.items() if found is not None}


def _least(profile: ProfileRow, seconds: float) -> str:
    return ("≥ " if profile.latency_is_lower_bound else "") + numbers.seconds(seconds)


def _per_sample(found: Latency) -> str:
    return (
        f"{numbers.seconds(found.seconds.mid)} per sample ({range_of(found.seconds)}), "
        "estimated from the times in the chip's file"
    )


def _sentences(found: Latency) -> list[str]:
    steps, more, binds = len(found.by_step) - found.pipeline_steps, found.pipeline_steps, found.binds
    samples = "1 sample" if found.samples == 1 else f"the first {found.samples:,} samples"
    said = [
        f"Time: {_per_sample(found)} and from what each core does in {samples}: {numbers.many(steps, 'time step')}, "
        f"and {more:,} more until the last layer has answered.",
        f"Most of it, {numbers.share(binds.share)}, is {WORDS[binds.part]}; most often the slowest core is one of "
        f"{binds.layer}.",
    ]
    alone, pipelined = found.samples_per_second.alone, found.samples_per_second.pipelined
    if alone is not None and pipelined is not None:
        said.append(
            f"Samples a second: {numbers.count(alone.mid)} one at a time, {numbers.count(pipelined.mid)} if they "
            "follow each other without a pause."
        )
    return [*said, f"Not counted: {'; '.join(x[:1].lower() + x[1:] for x in found.leaves_out)}."]
