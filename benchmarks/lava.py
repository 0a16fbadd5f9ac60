"""Lava as this project uses it against Lava as one would use it, on the reference LeNet with random weights.

    .venv/bin/python benchmarks/lava.py [--samples N] [--stock-samples N] [--out FILE]

The network is that of the ASNN paper on 28x28 grey images: three 3x3 convolutions (32, 48, 64 channels), each with
spiking neurons and a 2x2 max-pool, a hidden layer of 256 neurons and 10 classes, over T = 7 steps of hybrid-latency
coding; gains are set so that each layer fires at `--rate`. The stock network has one Lava Process per operation, Lava's
own Conv and Dense among them (`lava_stock/stock_network.py`). Each run's logits must be the reference's, exactly. Times
are those of running, in turns, the best of `--rounds`; start-up is reported on its own.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

# Python puts a script's folder first, where this file's name would hide the package lava. The stock network has a
# folder of its own because Lava executes every module beside a Process.
if __name__ == "__main__":
    sys.path[:1] = [str(Path(__file__).resolve().parent / folder) for folder in ("common", "lava_stock")]

import numpy as np
import psutil
from asnn_targets.lava import fixed_target, target
from lenet import SIZE, STEPS, pictures, reference_lenet
from provenance import provenance

from asnn_deploy.deploy.deployment import Deployment
from asnn_deploy.engine import runner as reference
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.layers import Linear
from asnn_deploy.ir.trace import Record

BATCH_SIZES = (1, 16, 64, 256, 1024)
MEMORY_SAMPLES = (512, 4096)
MEMORY_BATCH = 256
WATCH_SECONDS = 0.02
ROUNDS = 3
HERE = Path(__file__).resolve().parent
Array = np.ndarray[Any, Any]


def firing_rates(graph: DeployGraph, images: Array) -> dict[str, float]:
    """The share of neurons that fire, layer by layer."""
    trace = reference.run(graph, images, Record(spikes=True))
    return {name: round(float(spikes.mean()), 4) for name, spikes in trace.spikes.items()}


def run_stock(graph: DeployGraph, images: Array) -> dict[str, float]:
    """Run the stock network on some images, hold its logits against the reference's, and time it."""
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg
    from stock_network import build

    steps = graph.time_steps
    start = time.perf_counter()
    sink, lag = build(graph, images)
    tag = "fixed_pt" if graph.arithmetic == "fixed" else "floating_pt"
    sink.create_runtime(run_cfg=Loihi2SimCfg(select_tag=tag))
    ready = time.perf_counter()
    try:
        sink.run(RunSteps(len(images) * steps + lag))
        seconds = time.perf_counter() - ready
        arrived = sink.data.get()
    finally:
        sink.stop()
    answers = np.roll(arrived, -lag, axis=-1).T.reshape(len(images), steps, -1)
    check(f"stock ({graph.arithmetic})", stock_logits(graph, answers), reference.run(graph, images).logits)
    return {"start_seconds": ready - start, "samples_per_second": len(images) / seconds}


def stock_logits(graph: DeployGraph, answers: Array) -> Array:
    """The readout of what the last Dense sent, `[N, T, classes]`: its bias, scale and sum over time."""
    layer, readout = graph.layers[-2], graph.readout
    assert isinstance(layer, Linear)
    fixed = graph.arithmetic == "fixed"
    total = np.zeros(answers[:, 0].shape, np.int64 if fixed else np.float32)
    for t in range(graph.time_steps):
        x = answers[:, t].astype(total.dtype)
        x = x if layer.bias is None else x + layer.bias.at(t)
        x = x * readout.scale.at(t)
        total = total + (x if readout.bias is None else x + readout.bias.at(t))
    return np.multiply(total, readout.unit) if fixed else total


def check(what: str, found: Array, expected: Array) -> None:
    """End the program where the logits differ at all."""
    if not np.array_equal(found, expected):
        raise SystemExit(f"{what}: logits differ from the reference by up to {np.abs(found - expected).max()}")


@contextmanager
def opened(graph: DeployGraph, batch_size: int, options: dict[str, Any]) -> Iterator[Any]:
    """A session of `lava` or `lava-fixed`, whichever the graph is for."""
    chosen = replace(fixed_target if graph.arithmetic == "fixed" else target, **options)
    with Deployment(graph, fixed=graph) as deployment, chosen.open(deployment, batch_size) as session:
        yield session


def run_target(graph: DeployGraph, images: Array, batch_size: int, options: dict[str, Any]) -> dict[str, float]:
    """Run a target on all images, hold its logits against the reference's, and time it."""
    batches = [images[i : i + batch_size] for i in range(0, len(images), batch_size)]
    with opened(graph, batch_size, options) as session:
        start = time.perf_counter()
        session.run(batches[0])
        ready = time.perf_counter()
        found = np.concatenate([session.run(batch).logits for batch in batches])
        seconds = time.perf_counter() - ready
    check(f"lava ({graph.arithmetic})", found, reference.run(graph, images).logits)
    return {"start_seconds": ready - start, "samples_per_second": len(images) / seconds}


def run_reference(graph: DeployGraph, images: Array) -> dict[str, float]:
    """The reference executor on the same cores."""
    with reference.Runner(graph) as runner:
        runner.run(images[:64])
        start = time.perf_counter()
        runner.run(images)
        return {"samples_per_second": len(images) / (time.perf_counter() - start)}


def memory(graph: DeployGraph, options: dict[str, Any]) -> dict[str, float]:
    """Megabytes that all processes of a run on Lava hold at its peak (proportional set sizes), by number of samples."""
    return {str(samples): peak_megabytes(graph, pictures(samples, 0), options) for samples in MEMORY_SAMPLES}


def peak_megabytes(graph: DeployGraph, images: Array, options: dict[str, Any]) -> float:
    """Watch all child processes while images stream through one session."""
    peak = 0.0
    with opened(graph, MEMORY_BATCH, options) as session, ThreadPoolExecutor(1) as pool:
        running = pool.submit(
            lambda: [session.run(images[i : i + MEMORY_BATCH]) for i in range(0, len(images), MEMORY_BATCH)]
        )
        while not running.done():
            total = 0
            for process in psutil.Process().children(recursive=True):
                with suppress(psutil.Error):
                    total += process.memory_full_info().pss
            peak = max(peak, total / 1e6)
            time.sleep(WATCH_SECONDS)
        running.result()
    return peak


def best(runs: list[dict[str, float]]) -> dict[str, float]:
    """The fastest of several runs: other load on the machine only ever slows one down."""
    return max(runs, key=lambda run: run["samples_per_second"])


def measure(graph: DeployGraph, options: argparse.Namespace) -> dict[str, Any]:
    """All measurements of one arithmetic, taken in turns."""
    images = pictures(options.samples, options.seed + 2)
    few = images[: options.stock_samples]
    overrides = {"rows": options.rows, "stages": options.stages}
    chosen = {key: value for key, value in overrides.items() if value is not None}
    stock: list[dict[str, float]] = []
    references: list[dict[str, float]] = []
    ours: dict[int, list[dict[str, float]]] = {size: [] for size in options.batch_sizes}
    for _ in range(options.rounds):
        stock.append(run_stock(graph, few))
        references.append(run_reference(graph, images))
        for size in options.batch_sizes:
            ours[size].append(run_target(graph, images[: max(64, 4 * size)], size, chosen))
    baseline, runs = best(stock), {str(size): best(found) for size, found in ours.items()}
    for run in runs.values():
        run["ratio"] = run["samples_per_second"] / baseline["samples_per_second"]
    own = best(references)
    fastest = max(run["samples_per_second"] for run in runs.values())
    return {
        "stock": baseline,
        "reference": own,
        "share_of_reference": fastest / own["samples_per_second"],
        "batch_sizes": runs,
        "megabytes": memory(graph, chosen),
    }


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=4096, help="images for the targets")
    parser.add_argument("--stock-samples", type=int, default=6, help="images for the stock network")
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=list(BATCH_SIZES))
    parser.add_argument("--rows", type=int, help="samples per message between stages")
    parser.add_argument("--stages", type=int, help="Processes in the line behind the source")
    parser.add_argument("--rate", type=float, default=0.1, help="share of neurons that fire in a step")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "lava.json")
    return parser.parse_args()


def main() -> None:
    """Measure, print, write."""
    options = parse()
    graph = reference_lenet(options.seed, options.rate)
    fixed = Deployment(graph).fixed
    report: dict[str, Any] = {
        **provenance(options.seed, "lava-nc", "numpy"),
        "network": {"time_steps": STEPS, "input": [1, SIZE, SIZE], "parameters": graph.parameter_count},
        "firing_rates": firing_rates(graph, pictures(32, options.seed + 2)),
        "lava": measure(graph, options),
        "lava-fixed": measure(fixed, options),
    }
    for name in ("lava", "lava-fixed"):
        found = report[name]
        print(f"{name}: stock Lava {found['stock']['samples_per_second']:.2f} samples/s")
        share = found["share_of_reference"]
        print(f"  the reference: {found['reference']['samples_per_second']:.0f} samples/s; at best {share:.2f} of it")
        print(f"  megabytes by samples: { {n: round(size) for n, size in found['megabytes'].items()} }")
        for size, run in report[name]["batch_sizes"].items():
            print(f"  batch {size:>4}: {run['samples_per_second']:8.1f} samples/s, {run['ratio']:6.1f} times stock")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
