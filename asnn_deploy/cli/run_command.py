"""`asnn-deploy run`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from asnn_deploy.cli.common import (
    Output,
    batch_option,
    data_option,
    json_option,
    limit_option,
    say,
    source_argument,
    split_option,
)
from asnn_deploy.cli.completion import names
from asnn_deploy.cli.reading import opened_source, reading_options

if TYPE_CHECKING:
    from asnn_deploy.deploy.deployment import Deployment
    from asnn_deploy.deploy.protocols import Target
    from asnn_deploy.deploy.reading import Reading
    from asnn_deploy.deploy.source import Source
    from asnn_deploy.ir.trace import Trace
    from asnn_deploy.util.arrays import Array


@click.command(epilog="Example: asnn-deploy run run.lava --target lava-fixed --limit 200 --json run.json")
@source_argument
@reading_options
@click.option(
    "--target",
    shell_complete=names("target"),
    required=True,
    metavar="TARGET",
    help="Where to run; see 'asnn-deploy list'.",
)
@data_option
@split_option
@limit_option
@batch_option
@json_option
@click.option(
    "--image",
    "pictures",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="FILE",
    help="Classify one PNG or JPEG picture instead.",
)
@click.option("--outputs", type=Output(folder=False), help="Write the logits to FILE.npz.")
@click.option("--trace", is_flag=True, help="With --outputs: also the spikes of each layer.")
@click.option(
    "--exit-margin",
    type=float,
    metavar="MARGIN",
    help="Answer each sample at the first step where its softmax margin reaches this, from 0 to 1.",
)
def command(
    source: Path,
    target: str,
    data_spec: str | None,
    split: str,
    limit: int | None,
    batch_size: int,
    json_file: Path | None,
    pictures: tuple[Path, ...],
    outputs: Path | None,
    trace: bool,
    exit_margin: float | None,
    reading: Reading,
) -> None:
    """Run a network on one target, on data or on one picture."""
    from asnn_deploy.api.network import taken
    from asnn_deploy.cli.common import data_for, write_json
    from asnn_deploy.deploy.registry import TARGETS
    from asnn_deploy.errors import InputError

    if trace and outputs is None:
        raise InputError("--trace: spikes are written with --outputs FILE.npz; give it too")
    if len(pictures) > 1:
        raise InputError("--image: takes one picture; several are a data set, --data folder:DIR")
    image_file = pictures[0] if pictures else None
    if image_file is not None and (data_spec is not None or limit is not None):
        raise InputError("--image: is all that is run; leave out --data and --limit")
    chosen = TARGETS.available(target)
    if exit_margin is not None:
        check_early_exit(chosen, exit_margin)
    opened = opened_source(source, reading)
    with opened.deployment as deployment:
        if image_file is None:
            images, labels = taken(opened, data_for(opened, data_spec), split, limit)
        else:
            images, labels = load_picture(opened, image_file), None
        result, steps, timed = run_all(chosen, deployment, images, batch_size, trace, exit_margin)
        accuracy = None if labels is None else float((result.predictions == labels).mean())
        figures = {"target": target, "samples": result.samples, "accuracy": accuracy}
        figures |= {"predictions": result.predictions.tolist(), "time_steps": opened.graph.time_steps}
        figures |= {"wall_seconds": timed.seconds, "samples_per_second": timed.samples_per_second}
    early = ""
    if steps is not None:
        figures |= {"exit_margin": exit_margin, "mean_steps": float(steps.mean()), "steps": steps.tolist()}
        early = f", {figures['mean_steps']:.2f} of {figures['time_steps']} time steps"
    if outputs is not None:
        write_outputs(outputs, result, steps)
    if image_file is not None:
        figures |= {"image": str(image_file)} | answered(opened, result)
    write_json(json_file, figures)
    if image_file is not None:
        show_answer(f"{image_file} on {target}{early}", figures)
    else:
        show_speed(figures, timed.warm, early)


def show_speed(figures: Mapping[str, Any], warm: bool, early: str) -> None:
    """Print how many answers are right, and how fast they were found here."""
    from asnn_deploy.cli.common import number, percent

    right = "" if figures["accuracy"] is None else f"accuracy {percent(figures['accuracy'])} on "
    speed = f"simulated here at {figures['samples_per_second']:.1f} samples/s{'' if warm else ' in its first batch'}"
    say(f"{figures['target']}: {right}{number(figures['samples'], 'sample')}, {speed}{early}")


def load_picture(source: Source, file: Path) -> Array:
    """The picture as the network reads it, `[1, C, H, W]`, stretched to its size. Raises DataError."""
    from asnn_deploy.cli.common import note
    from asnn_deploy.errors import DataError
    from asnn_deploy.input.choices import DataText
    from asnn_deploy.input.pictures import CHANNELS, pixels, read_picture, resized
    from asnn_deploy.ir.preprocessing import prepare

    graph = source.graph
    if graph.code.kind != "image" or graph.input_shape[0] not in CHANNELS:
        takes = "sequences" if graph.code.kind != "image" else f"images of {graph.input_shape[0]} channels"
        raise DataError(f"--image {file}: the network takes {takes}; a picture has 1 channel or 3")
    channels, height, width = graph.input_shape
    picture = read_picture(file)
    if picture.size != (width, height) and "size" not in DataText.of(source.data or "").choices:
        note(f"{file} is {picture.width} x {picture.height} pixels, stretched to the network's {width} x {height}")
    image = pixels(resized(picture, (height, width)), channels)
    return prepare(graph.code.preparation, image[None]).astype(graph.code.dtype, copy=False)


def answered(source: Source, trace: Trace) -> dict[str, Any]:
    """What a network answers to one sample: the class's name, if it has one, and each class's logit."""
    names, answer = source.class_names or None, int(trace.predictions[0])
    return {"class": names and names[answer], "class_names": names, "answers": trace.logits[0].astype(float).tolist()}


def show_answer(what: str, figures: Mapping[str, Any]) -> None:
    """Print the class of a picture, and each class's answer (its logit), the largest first."""
    from asnn_deploy.cli.tables import table
    from asnn_deploy.util.text import printable

    names = [printable(name) for name in figures["class_names"] or map(str, range(len(figures["answers"])))]
    say(f"{printable(what)}: {names[figures['predictions'][0]]}")
    ordered = sorted(zip(figures["answers"], names), key=lambda row: -row[0])
    table("", ["class", "answer"], [(name, f"{answer:.6g}") for answer, name in ordered])


def check_early_exit(target: Target, margin: float) -> None:
    """Raise InputError where the margin is outside 0..1, or the target cannot exit early."""
    from asnn_deploy.deploy.registry import TARGETS
    from asnn_deploy.errors import InputError

    if not 0 <= margin <= 1:
        raise InputError(f"--exit-margin {margin:g}: allowed: 0 (one step) to 1; leave it out to run all time steps")
    if not target.step_logits:
        able = [name for name in TARGETS if not TARGETS.reason(name) and TARGETS.find(name).step_logits]
        raise InputError(
            f"--exit-margin: target {target.name!r} does not tell its logits of each step; use one of {', '.join(able)}"
        )


@dataclass(frozen=True)
class Timed:
    """Samples that were run and the seconds of all; and of what came after the first batch, if anything did: kernels
    are compiled, and the fastest form of each layer is found, in the first."""

    samples: int
    seconds: float
    later_samples: int
    later_seconds: float

    @property
    def warm(self) -> bool:
        """Whether the speed is that of batches after the first."""
        return self.later_samples > 0

    @property
    def samples_per_second(self) -> float:
        """Return the speed once it runs, or of the only batch."""
        return self.later_samples / self.later_seconds if self.warm else self.samples / self.seconds


def run_all(
    target: Target, deployment: Deployment, images: Array, batch_size: int, spikes: bool, margin: float | None
) -> tuple[Trace, Array | None, Timed]:
    """Run all images; time counts from the first batch on, loading left out.

    Returns the trace, with a margin each sample's time steps, and the time.
    """
    import numpy as np

    from asnn_deploy.deploy.protocols import Session
    from asnn_deploy.ir.trace import Record, Trace
    from asnn_deploy.util.discover import adopted
    from asnn_deploy.util.progress import batches, phase

    traces, steps, ends = [], [], []
    with phase(f"load {target.name}"):
        opened = target.open(deployment, min(batch_size, len(images)))
    with adopted(opened, Session) as session:  # type: ignore[type-abstract]
        start = time.perf_counter()
        for cut in batches(len(images), batch_size, target.name):
            if margin is None:
                traces.append(session.run(images[cut], Record(spikes=spikes)))
            else:
                trace, ran = session.run_until(images[cut], margin, spikes)
                traces.append(trace)
                steps.append(ran)
            ends.append(time.perf_counter())
    later = sum(trace.samples for trace in traces[1:])
    timed = Timed(len(images), ends[-1] - start, later, ends[-1] - ends[0])
    return Trace.concatenate(traces), np.concatenate(steps) if steps else None, timed


def write_outputs(path: Path, trace: Trace, steps: Array | None) -> None:
    """Logits, time steps until an early exit, and spikes as .npz."""
    import numpy as np

    from asnn_deploy.util.files import replacing

    arrays = {"logits": trace.logits} | ({} if steps is None else {"steps": steps})
    arrays |= {f"spikes/{name}": fired for name, fired in trace.spikes.items()}
    with replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, **arrays)
