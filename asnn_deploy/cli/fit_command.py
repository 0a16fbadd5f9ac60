"""`asnn-deploy fit`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from asnn_deploy.cli.common import json_option, say, source_argument
from asnn_deploy.cli.completion import names
from asnn_deploy.cli.reading import opened_source, reading_options, settle_without_data

if TYPE_CHECKING:
    from asnn_deploy.deploy.reading import Reading
    from asnn_deploy.fitting import Chip, Fit
    from asnn_deploy.fitting.document import FitDocument, StepTables

OPTIONS = {
    r"\(the (coding|neuron) (\S+)\)": r"--\1 \2",
    r"\((\w+\.\w+) = (\w+)\)": r"--set \1=\2",
}
"""What a suggestion names in brackets, as options of `train`."""


@click.command(epilog="Example: asnn-deploy fit run --chip loihi2 --json fit.json")
@source_argument
@reading_options
@click.option(
    "--chip",
    shell_complete=names("chip"),
    required=True,
    metavar="NAME|FILE.toml",
    help="A chip that `list` shows, or a file of your own.",
)
@click.option("--chips", type=click.IntRange(min=1), default=1, show_default=True, help="Maximum number of chips.")
@click.option("--sources", is_flag=True, help="Say why limits of the chip have no published source.")
@json_option
def command(source: Path, chip: str, chips: int, sources: bool, json_file: Path | None, reading: Reading) -> int:
    """Place a network on a chip's cores: does it fit, what binds?

    Says how many cores each layer takes, what per-step parameters cost, and which change would make it fit. Exits with
    1 if it does not fit.
    """
    from asnn_deploy.api.placing import fit
    from asnn_deploy.cli.common import write_json
    from asnn_deploy.fitting import load_chip

    limits = load_chip(chip)
    opened = opened_source(source, reading)
    with opened.deployment:
        settle_without_data(opened)
        result = fit(opened, limits, chips)
        figures = result.document()
    write_json(json_file, figures.to_json())
    print_fit(result, figures, sources)
    return 0 if result.fits else 1


def print_fit(result: Fit, figures: FitDocument, sources: bool) -> None:
    """The table of layers, what binds, what per-step parameters cost, and what was not published."""
    from asnn_deploy.cli.tables import table

    placement = result.placement
    allowed = result.chips * figures.cores_per_chip
    table(
        f"{placement.chip.title}: {placement.cores:,} of {allowed:,} cores, {figures.weight_bits}-bit weights",
        ["layer", "kind", "cores", "neurons", "synapses", "parameters", "states", "fullest", "binds"],
        [
            (
                layer.name,
                layer.kind,
                f"{layer.cores:,}",
                f"{layer.neurons:,}",
                size(layer.synapse_bytes),
                size(layer.parameter_bytes),
                size(layer.state_bytes),
                f"{100 * max(core.utilisation for core in figures.map if core.layer == layer.name):.0f} %",
                layer.constraint,
            )
            for layer in figures.layers
        ],
    )
    say(f"{'fits' if result.fits else 'does not fit'}; binding: {result.binding}; next: {result.next_binding}")
    if not figures.features.fits:
        say(f"size alone {'fits' if result.capacity_fits else 'does not fit'}; binding: {result.capacity[0]}")
    if not result.fits:
        say(f"suggestion: {figures.suggestion or 'none found'}")
        if options := training_options(figures.suggestion or ""):
            say(f"to be trained again, with {options}")
    if result.system is not None:
        say(f"{placement.chips:,} chips: {result.system.name} has {result.system.chips:,} (--chips)")
    print_step_cost(figures.step_tables)
    say(about_latency(placement.chip))
    print_unverified(figures.unverified, sources)


def training_options(suggestion: str) -> str:
    """Return what to give to `train` for the features that a suggestion names in brackets."""
    found = ((form, match) for form in OPTIONS for match in re.finditer(form, suggestion))
    return " ".join(match.expand(OPTIONS[form]) for form, match in sorted(found, key=lambda each: each[1].start()))


def print_unverified(lines: Sequence[str], sources: bool) -> None:
    """What of the chip has no published source: on one line, or, if asked for, each with the reason."""
    named = [
        (key.rpartition(".")[2].replace("_", " "), why) for key, _, why in (line.partition(": ") for line in lines)
    ]
    if sources:
        for name, why in named:
            say(f"no published source: {name}: {why}")
    elif named:
        say(f"no published source: {', '.join(name for name, _ in named)} (--sources says why)")


def about_latency(chip: Chip) -> str:
    """Return why fit says no latency, and where it is found if the chip's file has times."""
    from asnn_deploy.fitting.latency import no_latency

    if chip.times is None:
        return no_latency(chip)
    return "latency: depends on the spikes, which fit does not count; report with the same --chip estimates it"


def print_step_cost(cost: StepTables) -> None:
    """What per-step parameters add."""
    more = cost.cores - cost.static_cores
    cores = f"{more:+,} cores" if more else "no more cores"
    say(
        f"per-step parameters and weights: {size(cost.difference_bytes)} more than constant ones "
        f"({size(cost.static_bytes)} to {size(cost.per_step_bytes)}), {cores}"
    )


def size(count: int) -> str:
    """Bytes as text."""
    return f"{count:,} B" if count < 10_000 else f"{count / 1024:,.1f} KiB"
