"""`asnn-deploy report`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from asnn_deploy.cli.common import data_option, json_option, limit_option, percent, source_argument
from asnn_deploy.cli.completion import names
from asnn_deploy.cli.reading import opened_source, reading_options
from asnn_deploy.cli.simulation import SAMPLES, profile_option, profiles_and_simulators, simulate, simulate_option

if TYPE_CHECKING:
    from asnn_deploy.deploy.reading import Reading
    from asnn_deploy.deploy.source import Source
    from asnn_deploy.fitting.latency import Latency
    from asnn_deploy.reporting import Example
    from asnn_deploy.reporting.figures import PlacedFit, Report
    from asnn_deploy.util.arrays import Array

CHIPS = ("loihi1", "loihi2")
EXIT_SAMPLES = 1000
"""Training samples on which the margins of early exits are chosen."""
QUANTIZATION_SAMPLES = 256
"""The integer network is held against the float one on at most this many samples; whole traces are kept meanwhile."""
CHIP_SAMPLES = 64
"""Packets between cores, and what each core does, are counted on at most this many samples, for the same reason."""
VERIFY_FILE = "verify.json"


@dataclass(frozen=True)
class Wish:
    """What a report shall show. chips: to fit onto. sample: the one shown spike by spike."""

    profiles: tuple[str, ...] = ()
    chips: tuple[str, ...] = ()
    verify_file: Path | None = None
    sample: int = 0
    simulate_samples: int = SAMPLES


@click.command(epilog="Example: asnn-deploy report run.lava --limit 200 --out report")
@source_argument
@reading_options
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for the report.")
@data_option
@limit_option
@profile_option
@simulate_option
@click.option(
    "--chip",
    "chips",
    shell_complete=names("chip"),
    multiple=True,
    metavar="NAME",
    help=f"Fit onto this chip; default: {' and '.join(CHIPS)}.",
)
@click.option(
    "--verify",
    "verify_file",
    type=click.Path(path_type=Path),
    help=f"Show what `verify --json` wrote to FILE; default: SOURCE/{VERIFY_FILE}, if there.",
)
@click.option(
    "--sample", type=click.IntRange(min=0), default=0, show_default=True, help="The sample to show spike by spike."
)
@json_option
def command(
    source: Path,
    out: Path,
    data_spec: str | None,
    limit: int | None,
    json_file: Path | None,
    reading: Reading,
    **wishes: Any,
) -> None:
    """Count every operation and spike, and say what they would cost: HTML, JSON and Markdown."""
    from asnn_deploy.cli.common import load_samples, number, write_json
    from asnn_deploy.deploy.bundle import claimed_folder
    from asnn_deploy.fitting import load_chip
    from asnn_deploy.reporting.times import in_short
    from asnn_deploy.verifying.document import read_verification

    wish = Wish(**wishes)
    profiles_and_simulators(wish.profiles)
    for chip in wish.chips:
        load_chip(chip)
    if wish.verify_file is not None:
        read_verification(wish.verify_file)
    with claimed_folder(out, "report.json"), (opened := opened_source(source, reading)).deployment:
        images, labels, spec = load_samples(opened, data_spec, "test", limit)
        check_sample(wish.sample, len(images))
        report = make_report(opened, images, labels, spec, out, wish)
    totals = report.totals
    click.echo(
        f"{out / 'report.html'}: {percent(report.accuracy)} accuracy, {totals.sops:,.0f} synaptic operations "
        f"and {totals.spikes:,.0f} spikes per sample ({number(report.samples, 'sample')})"
    )
    for sentence in in_short(report):
        click.echo(sentence)
    write_json(json_file, json.loads((out / "report.json").read_text(encoding="utf-8")))


def make_report(source: Source, images: Array, labels: Array, spec: str, out: Path, wish: Wish | None = None) -> Report:
    """Run the reference, count, write the report's files, and return the report."""
    from asnn_deploy.cli.common import load_samples, track
    from asnn_deploy.energy.measure import measure
    from asnn_deploy.reporting import build, write
    from asnn_deploy.verifying.document import read_verification

    wish = wish or Wish()
    verify_file = wish.verify_file or source.path / VERIFY_FILE
    profiles, simulators = profiles_and_simulators(wish.profiles)
    simulated = simulate(source, images, simulators, wish.simulate_samples)
    calibration = load_samples(source, spec, "train", EXIT_SAMPLES)[:2]
    fits, times = on_chips(source, wish.chips, images)
    measured = measure(source.graph, images, labels, profiles, calibration, track)
    report = build(
        source.graph,
        measured.counts,
        profiles,
        data=spec,
        network=source.path.name,
        class_names=source.class_names,
        samples_sha256=measured.fingerprint,
        early_exit=measured.early_exit,
        simulated=simulated,
        fit=fits,
        latency=times,
        quantization=quantized(source, images, labels),
        verify=read_verification(verify_file) if verify_file.is_file() else None,
    )
    write(report, out, example_of(source, images, labels, wish.sample), measured.samples)
    return report


def example_of(source: Source, images: Array, labels: Array, sample: int) -> Example:
    """The reference's run of one sample, as the page draws it; it keeps its number."""
    from dataclasses import replace

    from asnn_deploy.engine.runner import run
    from asnn_deploy.ir.trace import Record
    from asnn_deploy.reporting import Example

    one = slice(sample, sample + 1)
    trace = run(source.graph, images[one], Record(spikes=True, step_logits=True))
    return replace(Example.of(source.graph, images[one], trace, 0, labels[one]), index=sample)


def on_chips(
    source: Source, chips: Sequence[str], images: Array
) -> tuple[dict[str, PlacedFit], dict[str, Latency | str]]:
    """Return the network on each chip, as `fit --json` has it, with the packets that its spikes become there; and its
    latency, or a sentence if there is none."""
    from asnn_deploy.energy.packets import packets
    from asnn_deploy.engine.runner import run
    from asnn_deploy.fitting import fit, load_chip
    from asnn_deploy.fitting.activity import activity
    from asnn_deploy.fitting.latency import latency, no_latency
    from asnn_deploy.ir.trace import Record
    from asnn_deploy.reporting.figures import Packets, PlacedFit

    images = images[:CHIP_SAMPLES]
    trace = run(source.graph, images, Record(spikes=True))
    fits: dict[str, PlacedFit] = {}
    times: dict[str, Latency | str] = {}
    for name in dict.fromkeys(chips or CHIPS):
        placed = fit(source.graph, load_chip(name))
        chip = placed.placement.chip
        work = None if chip.times is None else activity(source.graph, placed.placement, images, trace)
        times[chip.name] = no_latency(chip) if work is None else latency(placed.placement, work)
        sent = packets(source.graph, placed.placement.destinations, images, trace)
        means = {layer: float(count.mean()) for layer, count in sent.items()}
        fits[chip.name] = PlacedFit(
            **dict(placed.document()), packets=Packets(samples=len(images), total=sum(means.values()), sources=means)
        )
    return fits, times


def quantized(source: Source, images: Array, labels: Array) -> dict[str, Any] | None:
    """What quantisation does on some of the samples; None where the network has no integer version."""
    from asnn_deploy.errors import GraphError
    from asnn_deploy.quantizing import quantization_report

    try:
        return quantization_report(source.graph, images[:QUANTIZATION_SAMPLES], labels[:QUANTIZATION_SAMPLES])
    except GraphError as error:
        click.echo(f"note: no integer version: {error}", err=True)
        return None


def check_sample(sample: int, count: int) -> None:
    """Raise InputError where there is no such sample."""
    from asnn_deploy.errors import InputError

    if sample >= count:
        raise InputError(f"--sample {sample}: there are {count} samples, numbered 0 to {count - 1}")
