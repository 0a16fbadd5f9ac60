"""`asnn-deploy verify`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from asnn_deploy.cli.common import batch_option, data_option, json_option, limit_option, say, source_argument
from asnn_deploy.cli.completion import names
from asnn_deploy.cli.reading import ONLY, opened_source, reading_options

if TYPE_CHECKING:
    from asnn_deploy.deploy.reading import Reading
    from asnn_deploy.verifying.document import Verification


@click.command(
    epilog="Example: asnn-deploy verify run --target lava --target lava-fixed --limit 200 --json verify.json"
)
@source_argument
@reading_options
@click.option(
    "--target",
    "targets",
    shell_complete=names("target"),
    multiple=True,
    metavar="TARGET",
    help="Verify this target; default: all that can run here.",
)
@data_option
@click.option(
    "--recording",
    type=click.Path(path_type=Path),
    help=f"{ONLY}FILE.npz of what the tool was fed and sent (see match); also the data, if none are given.",
)
@click.option("--batch-first", is_flag=True, help="The recording's arrays are [B, T, ...].")
@limit_option
@batch_option
@json_option
def command(
    source: Path,
    targets: tuple[str, ...],
    data_spec: str | None,
    limit: int | None,
    batch_size: int,
    json_file: Path | None,
    recording: Path | None,
    batch_first: bool,
    reading: Reading,
) -> int:
    """Compare every spike of every layer between targets.

    Exits with 1 if a target that must match does not.
    """
    from asnn_deploy.api.checking import verify
    from asnn_deploy.cli.common import data_for, write_json

    opened = opened_source(source, reading)
    with opened.deployment:
        found = verify(
            opened,
            None if recording is not None and data_spec is None else partial(data_for, opened, data_spec),
            targets=targets,
            limit=limit,
            batch_size=batch_size,
            recording=recording,
            batch_first=batch_first,
        )
    for name, reason in found.left_out.items():
        click.echo(f"note: target {name!r} left out: {reason}", err=True)
    print_table(found)
    print_other_tool(found)
    write_json(json_file, found.to_json())
    return 0 if found.holds else 1


def print_other_tool(found: Verification) -> None:
    """How a network of another tool compares to what that tool recorded, and what snapping changed."""
    moved: Any = found.snapped
    held: Any = found.recording
    if moved is not None:
        say(f"snapping moved the weights: {moved['spikes_changed']:,} of {moved['spikes']:,} spikes changed")
    if held is None:
        return
    say(
        f"recording: {held['differing']:,} of {held['spikes_compared']:,} spikes differ, "
        f"{held['within_rounding']:,} of them within rounding"
    )
    first = held["first_divergence"]
    if first:
        say(
            f"recording: first divergence in node {first['node']}, step {first['step']}, sample {first['sample']}, "
            f"index {first['index']}: expected {first['expected']:g}, got {first['got']:g}"
        )


def print_table(found: Verification) -> None:
    """The outcome, a row a target, and the first divergence of each that has one."""
    from asnn_deploy.cli.common import number, percent
    from asnn_deploy.cli.tables import table
    from asnn_deploy.verifying.document import QUANTISED

    rows = []
    for name, report in found.targets.items():
        verdict = "exact" if report.exact else "rounding" if report.rounded else "DIFFERS"
        rows.append(
            (
                name,
                report.against,
                "quantised" if name == QUANTISED and not report.exact else verdict,
                f"{report.spikes_compared:,}",
                f"{report.spike_mismatches:,}",
                f"{report.argmax_mismatches:,}",
                f"{report.max_abs_logit_diff:.2g}",
                percent(report.accuracy),
            )
        )
    table(
        f"{number(found.samples, 'sample')}, {number(found.time_steps, 'time step')}",
        ["target", "against", "verdict", "spikes compared", "mismatches", "answers", "largest logit diff.", "accuracy"],
        rows,
    )
    for name, report in found.promising.items():
        first = report.first_divergence
        if first is not None:
            where = "" if first.head is None else f" (head {first.head}, token {first.token})"
            say(
                f"{name}: first divergence in layer {first.layer}, step {first.step}, sample {first.sample}, "
                f"index {first.index}{where}: expected {first.expected:g}, got {first.got:g}"
            )
    snapping: Any = found.snapping
    if snapping:
        say(
            f"order-free weights, at training: {snapping['spikes_changed']} of {snapping['spikes']} spikes changed, "
            f"accuracy {percent(snapping['accuracy_as_trained'])} -> {percent(snapping['accuracy_snapped'])} "
            f"({number(snapping['samples'], 'sample')})"
        )
    for layer, reason in found.not_order_free.items():
        say(f"layer {layer} is not order-free: {reason}")
