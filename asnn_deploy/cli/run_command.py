"""`asnn-deploy run`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from asnn_deploy.cli.common import batch_option, data_option, json_option, limit_option, source_argument, split_option

if TYPE_CHECKING:
    from asnn_deploy.step_table import Array
    from asnn_deploy.trace import Trace


@click.command(epilog="Example: asnn-deploy run run.lava --target lava-fixed --limit 200 --json run.json")
@source_argument
@click.option("--target", required=True, metavar="TARGET", help="Where to run; see 'asnn-deploy list'.")
@data_option
@split_option
@limit_option
@batch_option
@json_option
@click.option("--outputs", type=click.Path(path_type=Path), help="Write the logits to FILE.npz.")
@click.option("--trace", is_flag=True, help="With --outputs: also the spikes of each layer.")
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
) -> None:
    """Run a network on one target over a data set."""
    from asnn_deploy.cli.common import load_samples, percent, write_json
    from asnn_deploy.errors import InputError
    from asnn_deploy.plugins import available
    from asnn_deploy.source import open_source
    from asnn_deploy.trace import Record

    if trace and outputs is None:
        raise InputError("--trace: spikes are written with --outputs FILE.npz; give it too")
    chosen = available("targets", target)
    opened = open_source(source)
    with opened.deployment as deployment:
        images, labels, _ = load_samples(opened, data_spec, split, limit)
        result, seconds = run_all(chosen, deployment, images, batch_size, Record(spikes=trace))
        figures = {
            "target": target,
            "samples": result.samples,
            "accuracy": float((result.predictions == labels).mean()),
            "predictions": result.predictions.tolist(),
            "time_steps": opened.graph.time_steps,
            "wall_seconds": seconds,
            "samples_per_second": result.samples / seconds,
        }
    if outputs is not None:
        write_outputs(outputs, result)
    write_json(json_file, figures)
    click.echo(
        f"{target}: {percent(figures['accuracy'])} of {result.samples} samples, "
        f"{figures['samples_per_second']:.1f} samples/s"
    )


def run_all(target: Any, deployment: Any, images: Array, batch_size: int, record: Any) -> tuple[Trace, float]:
    """Run all images; the seconds count from the first batch on, loading left out."""
    from asnn_deploy.cli.common import batches
    from asnn_deploy.trace import Trace

    with target.open(deployment, min(batch_size, len(images))) as session:
        start = time.perf_counter()
        parts = [session.run(images[cut], record) for cut in batches(len(images), batch_size, target.name)]
        return Trace.concatenate(parts), time.perf_counter() - start


def write_outputs(path: Path, trace: Trace) -> None:
    """Logits and spikes as .npz."""
    import numpy as np

    from asnn_deploy.files import replacing

    arrays = {"logits": trace.logits} | {f"spikes/{name}": spikes for name, spikes in trace.spikes.items()}
    with replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, **arrays)
