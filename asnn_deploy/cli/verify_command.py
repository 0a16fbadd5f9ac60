"""`asnn-deploy verify`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from asnn_deploy.cli.common import batch_option, data_option, json_option, limit_option, source_argument
from asnn_deploy.cli.reading import opened_source, reading_options

if TYPE_CHECKING:
    from asnn_deploy.deploy.reading import Reading
    from asnn_deploy.deploy.source import Source
    from asnn_deploy.util.arrays import Array
    from asnn_deploy.verify.targets import Pairing


@click.command(
    epilog="Example: asnn-deploy verify run --target lava --target lava-fixed --limit 200 --json verify.json"
)
@source_argument
@reading_options
@click.option(
    "--target", "targets", multiple=True, metavar="TARGET", help="Verify this target; default: all that can run here."
)
@data_option
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
    reading: Reading,
) -> int:
    """Compare every spike of every layer at every step between targets. Exit code 1 where a promise is broken."""
    from asnn_deploy.cli.common import load_samples, write_json

    opened = opened_source(source, reading)
    with opened.deployment:
        pairs = choose(opened, targets)
        images, labels, _ = load_samples(opened, data_spec, "test", limit)
        result = verification(opened, pairs, images, labels, batch_size)
    print_table(result)
    write_json(json_file, result)
    return broken(pairs, result)


def choose(source: Source, targets: tuple[str, ...]) -> list[Pairing]:
    """The named targets, or all that can run this SOURCE here; what is left out is said on stderr."""
    from asnn_deploy.deploy.registry import TARGETS
    from asnn_deploy.errors import GraphError
    from asnn_deploy.verify.targets import DEFAULT_TARGETS, pairing

    has_run = source.deployment.run is not None
    if targets:
        return [pairing(name, TARGETS.available(name).arithmetic, has_run) for name in dict.fromkeys(targets)]
    pairs = []
    for name in dict.fromkeys([*DEFAULT_TARGETS, *TARGETS]):
        if not has_run and name in ("norse", "norse-fixed", "reference"):
            continue  # there is no trained module, and `reference` is what the others are held against
        if reason := TARGETS.reason(name):
            click.echo(f"note: target {name!r} left out: {reason}", err=True)
            continue
        target = TARGETS.find(name)
        try:
            if target.arithmetic == "fixed":
                _ = source.deployment.fixed
            if target.runs(source.deployment):
                pairs.append(pairing(name, target.arithmetic, has_run))
        except GraphError as error:
            click.echo(f"note: target {name!r} left out: {error}", err=True)
    return pairs


def verification(source: Source, pairs: list[Pairing], images: Array, labels: Array, batch_size: int) -> dict[str, Any]:
    """What `verify --json` writes."""
    from asnn_deploy.analysis.order_free import analyse
    from asnn_deploy.cli.common import batches
    from asnn_deploy.verify.document import Verification
    from asnn_deploy.verify.targets import verify

    size = min(batch_size, len(images))
    reports = verify(source.deployment, pairs, images, labels, batches(len(images), size, "verify"), size)
    inexact = {
        name: next(e.reason for e in entries if not e.exact)
        for name, entries in analyse(source.graph).items()
        if not all(e.exact for e in entries)
    }
    verified = Verification(
        samples=len(images),
        time_steps=source.graph.time_steps,
        targets=reports,
        order_free=not inexact,
        not_order_free=inexact,
        snapping=source.summary.get("snapping"),
    )
    return verified.to_json()


def broken(pairs: list[Pairing], result: dict[str, Any]) -> int:
    """1 where a target that must be exact is not, else 0."""
    return int(any(pair.promised and not result["targets"][pair.target]["exact"] for pair in pairs))


def attention_place(first: dict[str, Any]) -> str:
    """Head and token of a first divergence, where there are."""
    return "" if first["head"] is None else f" (head {first['head']}, token {first['token']})"


def print_table(result: dict[str, Any]) -> None:
    """The outcome, a row a target, and the first divergence of each that has one."""
    from asnn_deploy.cli.common import percent, table

    rows = []
    for name, report in result["targets"].items():
        verdict = "exact" if report["exact"] else ("quantised" if name == "reference-fixed" else "DIFFERS")
        rows.append(
            (
                name,
                report["against"],
                verdict,
                f"{report['spikes_compared']:,}",
                f"{report['spike_mismatches']:,}",
                f"{report['argmax_mismatches']:,}",
                f"{report['max_abs_logit_diff']:.2g}",
                percent(report["accuracy"]),
            )
        )
    table(
        f"{result['samples']} samples, {result['time_steps']} time steps",
        ["target", "against", "verdict", "spikes compared", "mismatches", "answers", "largest logit diff.", "accuracy"],
        rows,
    )
    for name, report in result["targets"].items():
        first = report["first_divergence"]
        if first and name != "reference-fixed":
            click.echo(
                f"{name}: first divergence in layer {first['layer']}, step {first['step']}, sample {first['sample']}, "
                f"index {first['index']}{attention_place(first)}: "
                f"expected {first['expected']:g}, got {first['got']:g}"
            )
    if result["snapping"]:
        snapping = result["snapping"]
        click.echo(
            f"order-free weights, at training: {snapping['spikes_changed']} of {snapping['spikes']} spikes changed, "
            f"accuracy {percent(snapping['accuracy_as_trained'])} -> {percent(snapping['accuracy_snapped'])} "
            f"({snapping['samples']} samples)"
        )
    for layer, reason in result["not_order_free"].items():
        click.echo(f"layer {layer} is not order-free: {reason}")
