"""`asnn-deploy sweep`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from asnn_deploy.cli.common import Output, batch_option, data_option, json_option, limit_option, say, source_argument
from asnn_deploy.cli.reading import opened_source, reading_options

if TYPE_CHECKING:
    from asnn_deploy.deploy.reading import Reading
    from asnn_deploy.deploy.source import Source
    from asnn_deploy.ir.graph import DeployGraph
    from asnn_deploy.sweeping import Plan, Point
    from asnn_deploy.sweeping.points import Method
    from asnn_deploy.util.arrays import Array

DEFAULT_EPOCHS = 5
LEARNING_RATE_SHARE = 0.1
"""Training on starts with this share of the run's own learning rate: the weights are good already."""
TRAINING = 3
"""An epoch of training takes about as long as calibrating and measuring so many points."""
PLAN = "plan.json"
"""In a run folder of `--qat`: what it is trained for. One of another plan is trained anew."""


@dataclass(frozen=True, eq=False)
class Samples:
    """Test images `[N, C, H, W]` and labels `[N]`, training images, the data's text, and a digest of all inputs."""

    images: Array
    labels: Array
    training: Array
    data: str
    inputs: str


@click.command(epilog="Example: asnn-deploy sweep run --bits 2,4,8 --qat --out sweep")
@source_argument
@reading_options
@click.option("--bits", default="2,3,4,6,8", show_default=True, help="Weight bits to try, each from 2 to 8.")
@click.option("--qat", is_flag=True, help="Also train on with weights of each width; SOURCE is a run folder.")
@click.option("--qat-epochs", type=click.IntRange(min=1), default=DEFAULT_EPOCHS, show_default=True)
@data_option
@limit_option
@batch_option
@click.option("--out", required=True, type=Output(), help="Folder for the results.")
@json_option
def command(
    source: Path,
    bits: str,
    qat: bool,
    qat_epochs: int,
    data_spec: str | None,
    limit: int | None,
    batch_size: int,
    out: Path,
    json_file: Path | None,
    reading: Reading,
) -> None:
    """Measure accuracy, memory and operations against weight bits.

    Finished points are read back from sweep.json in --out: an interrupted sweep goes on, and other --bits add to it.
    """
    from asnn_deploy.cli.common import naming, number, write_json
    from asnn_deploy.cli.tables import table
    from asnn_deploy.deploy.bundle import claimed_folder
    from asnn_deploy.errors import InputError
    from asnn_deploy.sweeping import COLUMNS, FILE, Plan, parse_bits, read_points, rows

    with naming("--bits"):
        widths = parse_bits(bits)
    wanted: tuple[tuple[Method, int | None], ...] = (("ptq", None), ("qat", qat_epochs))
    with claimed_folder(out, FILE), (opened := opened_source(source, reading)).deployment:
        found = read_points(out / FILE)
        if qat and opened.kind != "run":
            raise InputError(f"--qat needs a run folder, because it trains on; {source} is not one, leave --qat out")
        samples = read_samples(opened, data_spec, limit)
        plans = [
            Plan(bits=width, method=method, epochs=epochs, inputs=samples.inputs)
            for method, epochs in wanted[: 1 + qat]
            for width in widths
        ]
        points = sweep(opened, samples, plans, found, batch_size, out)
    first = points[0]
    table(
        f"{number(first.samples, 'sample')}, float network {100 * first.accuracy_float:.2f} %",
        list(COLUMNS),
        rows(points),
    )
    say(f"{out}: sweep.json, sweep.md and sweep.png")
    write_json(json_file, json.loads((out / FILE).read_text(encoding="utf-8")))


def read_samples(source: Source, data_spec: str | None, limit: int | None) -> Samples:
    """The data, with the network found to have an integer version."""
    from asnn_deploy.api.network import taken
    from asnn_deploy.cli.common import data_for
    from asnn_deploy.quantizing import quantize
    from asnn_deploy.sweeping import fingerprint

    data = data_for(source, data_spec)
    images, labels = taken(source, data, "test", limit).labelled(data, "test")
    training, training_labels = taken(source, data, "train").labelled(data, "train")
    quantize(source.graph)  # refused before anything is written
    inputs = fingerprint(source.graph, [images, labels, training, training_labels])
    return Samples(images, labels, training, data.spec, inputs)


def sweep(
    source: Source, samples: Samples, plans: list[Plan], found: list[Point], batch_size: int, out: Path
) -> list[Point]:
    """Measure what is not among the points found, and write the folder after each; returns all points."""
    from asnn_deploy.sweeping import FILE, measure, publish
    from asnn_deploy.util.progress import batches, phase, plan

    points = [point for point in found if point.inputs == samples.inputs]
    if len(points) < len(found):
        click.echo(f"note: {out / FILE} was made from another source, data or --limit; starting again", err=True)
    missing = [plan for plan in plans if not any(point.is_of(plan) for point in points)]
    title = f"{source.path.resolve().name} on {samples.data}"
    size = min(batch_size, len(samples.images))
    with plan({in_words(one): 1 + TRAINING * (one.epochs or 0) for one in missing}):
        for one in missing:
            with phase(in_words(one)):
                chosen = candidate(source, samples, one, out)
                cuts = batches(len(samples.images), size, "measure")
                point = measure(one, source.graph, chosen, samples.images, samples.labels, cuts, size)
            points = [p for p in points if (p.method, p.bits) != (one.method, one.bits)] + [point]
            publish(out, points, title)
    if not missing:
        publish(out, points, title)
    return points


def in_words(plan: Plan) -> str:
    """The name of the phase in which a point is made."""
    return f"{plan.method}, {plan.bits} bits"


def candidate(source: Source, samples: Samples, plan: Plan, out: Path) -> DeployGraph:
    """The planned network in float, with the choices of its integer version."""
    from asnn_deploy.api.network import CALIBRATION_SAMPLES
    from asnn_deploy.quantizing import calibrate

    if plan.method == "qat":
        return train_on(source, plan, samples.data, out / f"qat-{plan.bits}")
    return calibrate(source.graph, samples.training[:CALIBRATION_SAMPLES], plan.bits, source.graph.quantization.scales)


def train_on(source: Source, plan: Plan, data: str, folder: Path) -> DeployGraph:
    """Train the run on with the planned bits, or finish a training that was interrupted, in a run folder of its own."""
    from asnn_deploy.deploy.bundle import claimed_folder
    from asnn_deploy.deploy.source import open_source
    from asnn_deploy.input.data import load_data
    from asnn_deploy.training.config import make_config, merge, read_config
    from asnn_deploy.training.run_folder import CONFIG, SUMMARY, remove
    from asnn_deploy.training.train import train
    from asnn_deploy.util.files import write_text

    file = source.path / CONFIG
    values = read_config(file)
    rate = make_config(values, str(file)).training.learning_rate
    changes = {
        "data": data,
        "quantization.bits": plan.bits,
        "quantization.scales": "channel",
        "training.epochs": plan.epochs,
        "training.learning_rate": LEARNING_RATE_SHARE * rate,
    }
    wanted = plan.to_text(indent=2)
    with claimed_folder(folder, PLAN):
        if (folder / PLAN).exists() and (folder / PLAN).read_bytes() != wanted.encode():
            remove(folder)
        write_text(folder / PLAN, wanted)
    if not (folder / SUMMARY).is_file():  # the last file of a training
        config = make_config(merge(values, changes), str(file))
        train(config, load_data(data), folder, (folder / CONFIG).is_file(), start=source.path)
    trained = open_source(folder)
    trained.deployment.close()
    return trained.graph
