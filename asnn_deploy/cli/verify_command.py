"""`asnn-deploy verify`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from asnn_deploy.cli.common import batch_option, data_option, json_option, limit_option, source_argument
from asnn_deploy.cli.completion import names
from asnn_deploy.cli.reading import ONLY, opened_source, reading_options

if TYPE_CHECKING:
    from asnn_deploy.deploy.reading import Reading
    from asnn_deploy.deploy.source import Source
    from asnn_deploy.matching.recording import Recording
    from asnn_deploy.util.arrays import Array
    from asnn_deploy.verifying.targets import Pairing


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
    "recording_file",
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
    recording_file: Path | None,
    batch_first: bool,
    reading: Reading,
) -> int:
    """Compare every spike of every layer at every step between targets.

    Exits with 1 if a target that must match does not.
    """
    from asnn_deploy.cli.common import load_unlabelled, write_json
    from asnn_deploy.deploy.registry import TARGETS

    for name in targets:
        TARGETS.find(name)  # a name that is none is said before anything is loaded
    opened = opened_source(source, reading)
    with opened.deployment:
        recording = None if recording_file is None else recorded(opened, recording_file, batch_first)
        labels: Array | None = None
        if recording is not None and data_spec is None:
            opened.settle(recording.samples)
            opened.graph.code.check(recording.samples, opened.graph.input_shape, f"--recording {recording_file}")
            images = recording.samples[:limit].astype(opened.graph.code.dtype)
        else:
            images, labels, _ = load_unlabelled(opened, data_spec, "test", limit)
        pairs = choose(opened, targets)
        result = verification(opened, pairs, images, labels, batch_size)
        held = None if recording is None else against_recording(opened, recording)
        moved = snapping(opened, images) if opened.reading.snapped else None
        if moved is not None:
            result["snapped"] = moved
        if held is not None:
            result["recording"] = {key: held[key] for key in ("spikes_compared", "differing", "within_rounding")}
    print_table(result)
    if moved is not None:
        click.echo(f"snapping moved the weights: {moved['spikes_changed']:,} of {moved['spikes']:,} spikes changed")
    if held is not None:
        print_recording(held)
    write_json(json_file, result)
    return max(broken(pairs, result), int(held is not None and not held["exact"]))


def snapping(source: Source, images: Array) -> dict[str, int]:
    """How many spikes the snapped network of another tool fires otherwise than the one in its file."""
    import numpy as np

    from asnn_deploy.deploy.reading import settled
    from asnn_deploy.engine.runner import run
    from asnn_deploy.ir.trace import Record

    assert source.foreign is not None
    before = settled(source.reading.graph_of(source.foreign), images)
    found = [run(graph, images, Record(spikes=True)).spikes for graph in (before, source.graph)]
    changed = sum(int(np.count_nonzero(spikes != found[1][name])) for name, spikes in found[0].items())
    return {"spikes": sum(spikes.size for spikes in found[0].values()), "spikes_changed": changed}


def recorded(source: Source, path: Path, batch_first: bool) -> Recording:
    """The recording of another tool's network. Raises InputError if SOURCE is not one."""
    from asnn_deploy.errors import InputError
    from asnn_deploy.matching.recording import read_recording

    if source.foreign is None:
        raise InputError(f"--recording {path}: {source.path} is not a NIR file of another tool")
    if source.graph.code.kind == "image":
        raise InputError(f"--recording {path}: holds what the network itself was fed; leave --coding out")
    return read_recording(path, source.graph, source.foreign.nodes, batch_first)


def against_recording(source: Source, recording: Recording) -> dict[str, Any]:
    """The network against what its tool recorded, every layer fed what was recorded of those before it."""
    from asnn_deploy.errors import GraphError
    from asnn_deploy.matching.search import Search

    assert source.foreign is not None
    assert source.graph.meaning is not None
    names = {layer: node for node, layer in source.foreign.nodes.items()}
    found = Search(lambda _: source.graph, recording, names).held_against(source.graph.meaning)
    if found is None:
        raise GraphError(f"{source.path}: cannot be replayed; record the neurons of every recurrent connection")
    return found.to_json() | {"exact": found.exact}


def print_recording(held: dict[str, Any]) -> None:
    """How the network compares to its tool."""
    click.echo(
        f"recording: {held['differing']:,} of {held['spikes_compared']:,} spikes differ, "
        f"{held['within_rounding']:,} of them within rounding"
    )
    first = held["first_divergence"]
    if first:
        click.echo(
            f"recording: first divergence in node {first['node']}, step {first['step']}, sample {first['sample']}, "
            f"index {first['index']}: expected {first['expected']:g}, got {first['got']:g}"
        )


def choose(source: Source, targets: tuple[str, ...]) -> list[Pairing]:
    """The named targets, or all that can run this SOURCE here; what is left out is said on stderr."""
    from asnn_deploy.deploy.registry import TARGETS
    from asnn_deploy.errors import GraphError
    from asnn_deploy.verifying.targets import DEFAULT_TARGETS, pairing

    has_run = source.deployment.has_run
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


def verification(
    source: Source, pairs: list[Pairing], images: Array, labels: Array | None, batch_size: int
) -> dict[str, Any]:
    """What `verify --json` writes."""
    from asnn_deploy.analysis.order_free import analyse
    from asnn_deploy.cli.common import batches
    from asnn_deploy.verifying.document import Verification
    from asnn_deploy.verifying.targets import verify

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
    """1 where a target that must be exact is not, else 0. Rounding may explain other tools' weights."""
    found = [result["targets"][pair.target] for pair in pairs if pair.promised]
    return int(any(not report["exact"] and not rounded(report) for report in found))


def rounded(report: dict[str, Any]) -> bool:
    """Whether float32 rounding explains every spike that differs."""
    return report.get("rounding") is not None and not report["rounding"]["unexplained"]


def attention_place(first: dict[str, Any]) -> str:
    """Head and token of a first divergence, where there are."""
    return "" if first["head"] is None else f" (head {first['head']}, token {first['token']})"


def print_table(result: dict[str, Any]) -> None:
    """The outcome, a row a target, and the first divergence of each that has one."""
    from asnn_deploy.cli.common import number, percent
    from asnn_deploy.cli.tables import table

    rows = []
    for name, report in result["targets"].items():
        verdict = "exact" if report["exact"] else "rounding" if rounded(report) else "DIFFERS"
        verdict = "quantised" if name == "reference-fixed" and not report["exact"] else verdict
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
        f"{number(result['samples'], 'sample')}, {number(result['time_steps'], 'time step')}",
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
            f"({number(snapping['samples'], 'sample')})"
        )
    for layer, reason in result["not_order_free"].items():
        click.echo(f"layer {layer} is not order-free: {reason}")
