"""`asnn-deploy sweep`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from asnn_deploy.cli.common import batch_option, data_option, limit_option, source_argument

if TYPE_CHECKING:
    from asnn_deploy.graph import DeployGraph
    from asnn_deploy.source import Source
    from asnn_deploy.step_table import Array
    from asnn_deploy.sweep import Point

CALIBRATION_SAMPLES = 256


@click.command(epilog="Example: asnn-deploy sweep run --bits 2,4,8 --limit 500 --out sweep")
@source_argument
@click.option("--bits", default="2,3,4,6,8", show_default=True, help="Weight bits to try, each from 2 to 8.")
@data_option
@limit_option
@batch_option
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for the results.")
def command(source: Path, bits: str, data_spec: str | None, limit: int | None, batch_size: int, out: Path) -> None:
    """Measure accuracy, spikes, memory and operations of the integer network against its weight bits.

    Finished points are read back from sweep.json in --out: an interrupted sweep goes on, and other --bits add to it.
    """
    from asnn_deploy.bundle import claim_folder
    from asnn_deploy.cli.common import table
    from asnn_deploy.source import open_source
    from asnn_deploy.sweep import COLUMNS, FILE, parse_bits, read_points, rows

    widths = parse_bits(bits)
    claim_folder(out, FILE)
    found = read_points(out / FILE)
    opened = open_source(source)
    with opened.deployment:
        points = sweep(opened, widths, data_spec, limit, batch_size, out, found)
    first = points[0]
    table(f"{first.samples:,} samples, float network {100 * first.accuracy_float:.2f} %", list(COLUMNS), rows(points))
    click.echo(f"{out}: sweep.json, sweep.md and sweep.png")


def sweep(
    source: Source,
    widths: list[int],
    data_spec: str | None,
    limit: int | None,
    batch_size: int,
    out: Path,
    found: list[Point],
) -> list[Point]:
    """Measure what is not among the points found, and write the folder after each; returns all points."""
    from asnn_deploy.cli.common import load_samples
    from asnn_deploy.quantize import quantize
    from asnn_deploy.sweep import FILE, Plan, fingerprint, measure, publish

    images, labels, spec = load_samples(source, data_spec, "test", limit)
    training, training_labels, _ = load_samples(source, data_spec, "train", None)
    quantize(source.graph)  # a network without an integer version is refused before anything is written
    inputs = fingerprint(source.graph, [images, labels, training, training_labels])
    points = [point for point in found if point.inputs == inputs]
    if len(points) < len(found):
        click.echo(f"note: {out / FILE} was made from another source, data or --limit; starting anew", err=True)
    plans = [Plan(bits, "ptq", None, inputs) for bits in widths]
    plans = [plan for plan in plans if not any(point.is_of(plan) for point in points)]
    title = f"{source.path.resolve().name} on {spec}"
    size = min(batch_size, len(images))
    cuts = [slice(i, min(i + size, len(images))) for i in range(0, len(images), size)]
    with progress(len(plans) * len(cuts)) as say:
        for plan in plans:
            say(f"{plan.method}, {plan.bits} bits: calibrate", 0)
            chosen = post_training(source.graph, training, plan.bits)
            say(f"{plan.method}, {plan.bits} bits: measure", 0)
            point = measure(plan, source.graph, chosen, images, labels, counted(cuts, say), size)
            points = [p for p in points if (p.method, p.bits) != (plan.method, plan.bits)] + [point]
            publish(out, points, title)
    if not plans:
        publish(out, points, title)
    return points


def post_training(graph: DeployGraph, images: Array, bits: int) -> DeployGraph:
    """The network with the choices of its integer version made on the first training images, `[N, C, H, W]`."""
    from asnn_deploy.quantize import calibrate

    return calibrate(graph, images[:CALIBRATION_SAMPLES], bits, graph.quantization.scales)


@contextmanager
def progress(total: int) -> Iterator[Callable[[str | None, int], None]]:
    """One bar for the whole sweep, on a terminal only; what it yields sets the text and goes on by so many batches."""
    from rich.console import Console
    from rich.progress import Progress

    from asnn_deploy.cli.common import on_terminal

    with Progress(console=Console(stderr=True), transient=True, disable=not on_terminal()) as bar:
        task = bar.add_task("sweep", total=total)
        yield lambda text, batches: bar.update(task, description=text, advance=batches)


def counted(cuts: Iterable[slice], say: Callable[[str | None, int], None]) -> Iterator[slice]:
    """The batches, each reported when it is done."""
    for cut in cuts:
        yield cut
        say(None, 1)
