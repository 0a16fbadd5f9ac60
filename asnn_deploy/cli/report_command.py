"""`asnn-deploy report`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from asnn_deploy.cli.common import DEFAULT_BATCH, data_option, limit_option, percent, source_argument
from asnn_deploy.cli.simulation import (
    SAMPLES,
    add_simulated,
    profile_option,
    profiles_and_simulators,
    simulate,
    simulate_option,
)

if TYPE_CHECKING:
    from asnn_deploy.source import Source
    from asnn_deploy.step_table import Array


@click.command(epilog="Example: asnn-deploy report run.lava --limit 200 --out report")
@source_argument
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for the report.")
@data_option
@limit_option
@profile_option
@simulate_option
def command(
    source: Path, out: Path, data_spec: str | None, limit: int | None, profiles: tuple[str, ...], simulate_samples: int
) -> None:
    """Count every operation and spike, and say what they would cost: HTML, JSON and Markdown."""
    from asnn_deploy.bundle import claim_folder
    from asnn_deploy.cli.common import load_samples
    from asnn_deploy.source import open_source

    profiles_and_simulators(profiles)
    claim_folder(out, "report.json")
    opened = open_source(source)
    with opened.deployment:
        images, labels, spec = load_samples(opened, data_spec, "test", limit)
        report = make_report(opened, images, labels, spec, profiles, out, simulate_samples)
    totals = report["totals"]
    click.echo(
        f"{out / 'report.html'}: {percent(report['accuracy'])} accuracy, {totals['sops']:,.0f} synaptic operations "
        f"and {totals['spikes']:,.0f} spikes per sample ({report['samples']} samples)"
    )


def make_report(
    source: Source,
    images: Array,
    labels: Array,
    spec: str,
    profiles: tuple[str, ...],
    out: Path,
    simulate_samples: int = SAMPLES,
) -> dict[str, Any]:
    """Run the reference, count, and write the three files; returns what report.json holds."""
    from asnn_deploy.cli.common import batches
    from asnn_deploy.energy import Counter
    from asnn_deploy.plugins import available
    from asnn_deploy.report import build, write
    from asnn_deploy.trace import Record

    priced, simulators = profiles_and_simulators(profiles)
    simulated = simulate(source, images, simulators, simulate_samples)
    counter = Counter(source.graph)
    record = Record(spikes=True, step_logits=True)
    with available("targets", "reference").open(source.deployment, DEFAULT_BATCH) as session:
        for cut in batches(len(images), DEFAULT_BATCH, "report"):
            counter.add(images[cut], session.run(images[cut], record), labels[cut])
    report: dict[str, Any] = build(source.graph, counter.result(), priced, data=spec, network=source.path.name)
    add_simulated(report, simulated)
    write(report, out)
    return report
