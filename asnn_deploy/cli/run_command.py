"""`asnn-deploy run`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from asnn_deploy.cli.common import batch_option, data_option, json_option, limit_option, source_argument, split_option
from asnn_deploy.cli.completion import names
from asnn_deploy.cli.reading import opened_source, reading_options

if TYPE_CHECKING:
    from asnn_deploy.deploy.deployment import Deployment
    from asnn_deploy.deploy.protocols import Target
    from asnn_deploy.deploy.reading import Reading
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
@click.option("--outputs", type=click.Path(path_type=Path), help="Write the logits to FILE.npz.")
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
    outputs: Path | None,
    trace: bool,
    exit_margin: float | None,
    reading: Reading,
) -> None:
    """Run a network on one target over a data set."""
    from asnn_deploy.cli.common import load_unlabelled, percent, write_json
    from asnn_deploy.deploy.registry import TARGETS
    from asnn_deploy.errors import InputError

    if trace and outputs is None:
        raise InputError("--trace: spikes are written with --outputs FILE.npz; give it too")
    chosen = TARGETS.available(target)
    if exit_margin is not None:
        check_early_exit(chosen, exit_margin)
    opened = opened_source(source, reading)
    with opened.deployment as deployment:
        images, labels, _ = load_unlabelled(opened, data_spec, split, limit)
        result, steps, seconds = run_all(chosen, deployment, images, batch_size, trace, exit_margin)
        figures = {
            "target": target,
            "samples": result.samples,
            "accuracy": None if labels is None else float((result.predictions == labels).mean()),
            "predictions": result.predictions.tolist(),
            "time_steps": opened.graph.time_steps,
            "wall_seconds": seconds,
            "samples_per_second": result.samples / seconds,
        }
    early = ""
    if steps is not None:
        figures |= {"exit_margin": exit_margin, "mean_steps": float(steps.mean()), "steps": steps.tolist()}
        early = f", {figures['mean_steps']:.2f} of {figures['time_steps']} time steps"
    if outputs is not None:
        write_outputs(outputs, result, steps)
    write_json(json_file, figures)
    right = "" if figures["accuracy"] is None else f"accuracy {percent(figures['accuracy'])} on "
    speed = f"simulated here at {figures['samples_per_second']:.1f} samples/s"
    click.echo(f"{target}: {right}{result.samples} samples, {speed}{early}")


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


def run_all(
    target: Target, deployment: Deployment, images: Array, batch_size: int, spikes: bool, margin: float | None
) -> tuple[Trace, Array | None, float]:
    """Run all images; the seconds count from the first batch on, loading left out.

    Returns the trace, with a margin each sample's time steps, and the seconds.
    """
    import numpy as np

    from asnn_deploy.cli.common import batches
    from asnn_deploy.deploy.protocols import Session
    from asnn_deploy.ir.trace import Record, Trace
    from asnn_deploy.util.discover import adopted

    traces, steps = [], []
    opened = target.open(deployment, min(batch_size, len(images)))
    with adopted(opened, Session) as session:  # type: ignore[type-abstract]
        start = time.perf_counter()
        for cut in batches(len(images), batch_size, target.name):
            if margin is None:
                traces.append(session.run(images[cut], Record(spikes=spikes)))
                continue
            trace, ran = session.run_until(images[cut], margin, spikes)
            traces.append(trace)
            steps.append(ran)
        seconds = time.perf_counter() - start
    return Trace.concatenate(traces), np.concatenate(steps) if steps else None, seconds


def write_outputs(path: Path, trace: Trace, steps: Array | None) -> None:
    """Logits, time steps until an early exit, and spikes as .npz."""
    import numpy as np

    from asnn_deploy.util.files import replacing

    arrays = {"logits": trace.logits} | ({} if steps is None else {"steps": steps})
    arrays |= {f"spikes/{name}": fired for name, fired in trace.spikes.items()}
    with replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, **arrays)
