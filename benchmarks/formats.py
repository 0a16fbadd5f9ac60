"""SEW-ResNet and Spikformer through every format: spikes that differ, Lava's speed, and what exporting costs.

    .venv/bin/python benchmarks/formats.py [--samples N] [--batch-size N] [--out FILE]

The digits presets are trained first (about two minutes), and every target runs at least 500 digits. The CIFAR presets
are taken untrained, with batch statistics of made-up pictures, and every target that needs no trained module runs 64
such pictures. Times are those of running, in turns, the best of `--rounds`.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path[:1] = [str(Path(__file__).resolve().parent / "common")]

import numpy as np
from paper_networks import pictures, untrained
from provenance import provenance

from asnn_deploy.deploy.deployment import Deployment
from asnn_deploy.deploy.registry import EXPORTERS, TARGETS
from asnn_deploy.deploy.source import open_source
from asnn_deploy.input.data import load_data
from asnn_deploy.training.config import make_config
from asnn_deploy.training.presets import preset
from asnn_deploy.training.train import train
from asnn_deploy.verifying.targets import DEFAULT_TARGETS, pairing, verify

DIGITS, CIFAR = ("digits-sew-resnet", "digits-spikformer"), ("cifar-sew-resnet18", "cifar-spikformer")
CIFAR_STEPS, CIFAR_SAMPLES, CIFAR_BATCH = 4, 64, 32
COMPARED = ("reference-fixed", "lava-fixed")
HERE = Path(__file__).resolve().parent
Array = np.ndarray[Any, Any]


def differing(deployment: Deployment, targets: Sequence[str], images: Array, batch: int) -> dict[str, dict[str, Any]]:
    """For each target: what it is held against, spikes compared and differing."""
    trained = deployment.has_run
    pairings = [pairing(name, TARGETS.available(name).arithmetic, trained) for name in targets]
    cuts = [slice(i, i + batch) for i in range(0, len(images), batch)]
    reports = verify(deployment, pairings, images, np.zeros(len(images), np.int64), cuts, batch)
    return {
        name: {
            "against": report.against,
            "promised": pair.promised,
            "spikes_compared": report.spikes_compared,
            "spike_mismatches": report.spike_mismatches,
            "argmax_mismatches": report.argmax_mismatches,
        }
        for pair, (name, report) in zip(pairings, reports.items())
    }


def speeds(deployment: Deployment, images: Array, batch: int, rounds: int) -> dict[str, float]:
    """Samples per second of Lava and of the reference executor, in turns."""
    best = dict.fromkeys(COMPARED, 0.0)
    answers: dict[str, Array] = {}
    for _ in range(rounds):
        for name in COMPARED:
            with TARGETS.available(name).open(deployment, batch) as session:
                session.run(images[:batch])
                start = time.perf_counter()
                found = [session.run(images[i : i + batch]).logits for i in range(0, len(images), batch)]
                best[name] = max(best[name], len(images) / (time.perf_counter() - start))
                answers[name] = np.concatenate(found)
    first, second = answers.values()
    if not np.array_equal(first, second):
        raise SystemExit("the logits differ")
    return {**best, "ratio": best["lava-fixed"] / best["reference-fixed"]}


def file_cost(name: str, kind: str, seed: int, found: Any) -> None:
    """In a process of its own: seconds of writing a file and of opening it, peak megabytes of writing, its size."""
    graph, exporter = untrained(name, CIFAR_STEPS, seed, rounds=0), EXPORTERS.available(kind)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        path = Path(folder) / exporter.write(graph, Path(folder))[0]
        written = time.perf_counter()
        peak = peak_megabytes()
        import onnxruntime

        opening = time.perf_counter()
        if kind == "onnx":
            onnxruntime.InferenceSession(str(path))
        elif exporter.read(path) != graph:
            raise SystemExit(f"{name}: another network was read back")
        opened = time.perf_counter()
        found.put(
            {
                "write_seconds": written - start,
                "open_seconds": opened - opening,
                "peak_megabytes": peak,
                "file_megabytes": path.stat().st_size / 1e6,
            }
        )


def peak_megabytes() -> float:
    """The most memory that this process has held. (What `getrusage` says begins with the parent's.)"""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return float(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) / 1e3


def in_own_process(name: str, kind: str, seed: int) -> dict[str, float]:
    """What `file_cost` finds."""
    os.chdir(HERE.parent)  # what is spawned looks for modules in the working directory first
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    process = context.Process(target=file_cost, args=(name, kind, seed, results))
    process.start()
    found: dict[str, float] = results.get(timeout=600)
    process.join()
    return found


def digits(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Train a digits preset, verify it everywhere, time Lava."""
    config = make_config(preset(name), name)
    data = load_data(config.data)
    images = np.concatenate([data.images["test"], data.images["train"]])
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        start = time.perf_counter()
        summary = train(config, data, run)
        trained = time.perf_counter() - start
        with open_source(run).deployment as deployment:
            return {
                "test_accuracy": summary["test_accuracy"],
                "train_seconds": trained,
                "samples": options.samples,
                "targets": differing(deployment, DEFAULT_TARGETS, images[: options.samples], options.batch_size),
                "samples_per_second": speeds(
                    deployment, images[: options.timed_samples], options.batch_size, options.rounds
                ),
            }


def cifar(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Verify an untrained CIFAR preset wherever no trained module is needed, and measure its export."""
    graph = untrained(name, CIFAR_STEPS, options.seed)
    images = pictures(CIFAR_SAMPLES, graph.input_shape, options.seed + 1)
    targets = [target for target in DEFAULT_TARGETS if not target.startswith("norse")]
    with Deployment(graph) as deployment:
        found = differing(deployment, targets, images, CIFAR_BATCH)
    files = {kind: in_own_process(name, kind, options.seed) for kind in ("onnx", "nir")}
    return {"samples": CIFAR_SAMPLES, "parameters": graph.parameter_count, "targets": found, "files": files}


def show(name: str, found: dict[str, Any]) -> None:
    """Print what was found of one network."""
    print(name, {key: value for key, value in found.items() if key != "targets"}, flush=True)
    for target, row in found["targets"].items():
        verdict = f"{row['spike_mismatches']:,} of {row['spikes_compared']:,} spikes differ"
        print(f"  {target:16} against {row['against']:16} {verdict}", flush=True)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=500, help="digits that every target runs")
    parser.add_argument("--timed-samples", type=int, default=1536)
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "formats.json")
    options = parser.parse_args()
    options.out = options.out.resolve()
    report: dict[str, Any] = provenance(options.seed, "torch", "lava-nc", "onnxruntime", "nir", "numpy")
    report["batch_size"] = options.batch_size
    for names, measure in ((DIGITS, digits), (CIFAR, cifar)):
        for name in names:
            report[name] = measure(name, options)
            show(name, report[name])
    options.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
