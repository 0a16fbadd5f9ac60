"""`asnn-deploy report`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from asnn_deploy.cli.common import Output, data_option, json_option, limit_option, percent, say, source_argument
from asnn_deploy.cli.completion import names
from asnn_deploy.cli.reading import opened_source, reading_options
from asnn_deploy.cli.simulation import profile_option, simulate_option

if TYPE_CHECKING:
    from asnn_deploy.deploy.reading import Reading

CHIPS = ("loihi1", "loihi2")
VERIFY_FILE = "verify.json"


@click.command(epilog="Example: asnn-deploy report run.lava --limit 200 --out report")
@source_argument
@reading_options
@click.option("--out", required=True, type=Output(), help="Folder for the report.")
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
@click.option("--summary", is_flag=True, help="Also write one A4 page: summary.html and summary.png.")
@json_option
def command(
    source: Path,
    out: Path,
    data_spec: str | None,
    limit: int | None,
    json_file: Path | None,
    profiles: tuple[str, ...],
    chips: tuple[str, ...],
    verify_file: Path | None,
    sample: int,
    simulate_samples: int,
    summary: bool,
    reading: Reading,
) -> None:
    """Count every operation and spike, and what they would cost.

    Writes HTML, JSON and Markdown to --out.
    """
    from asnn_deploy.api.counting import report as counted
    from asnn_deploy.cli.common import data_for, number, write_json
    from asnn_deploy.reporting.times import in_short

    opened = opened_source(source, reading)
    with opened.deployment:
        report = counted(
            opened,
            partial(data_for, opened, data_spec),
            out,
            profiles=profiles,
            chips=chips,
            limit=limit,
            verification=verify_file,
            sample=sample,
            simulate_samples=simulate_samples,
            summary=summary,
        )
    totals = report.totals
    say(
        f"{out / 'report.html'}: {percent(report.accuracy)} accuracy, {totals.sops:,.0f} synaptic operations "
        f"and {totals.spikes:,.0f} spikes per sample ({number(report.samples, 'sample')})"
    )
    for sentence in in_short(report):
        say(sentence)
    write_json(json_file, report.to_json())
