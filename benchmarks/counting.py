"""What counting adds to a run, and what a whole report of it takes, on a trained network.

    asnn-deploy train --preset fashion-lenet --data fashion-mnist:DIR --epochs 4 --out run
    .venv/bin/python benchmarks/counting.py --run run [--samples N] [--out FILE]

overhead: the reference executor's plain run (logits only, all cores) against the same run observed by a Counter, side
    by side, alternating, best of `--rounds`; the same for counting from recorded spikes, which works for every target.
memory: the peak of a process that does nothing but count `--samples` samples, and half as many.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path[:1] = [str(Path(__file__).resolve().parent / "common")]

import numpy as np
from provenance import provenance

from asnn_deploy.deploy.source import open_source
from asnn_deploy.energy import Counter
from asnn_deploy.engine.runner import Runner
from asnn_deploy.input.data import load_data
from asnn_deploy.ir.trace import Record

HERE = Path(__file__).resolve().parent
BATCH = 256


def timed(work: Callable[[slice], object], samples: int) -> float:
    """Samples per second of one pass."""
    start = time.perf_counter()
    for i in range(0, samples, BATCH):
        work(slice(i, min(i + BATCH, samples)))
    return samples / (time.perf_counter() - start)


def overhead(run: Path, samples: int, rounds: int) -> dict[str, Any]:
    """Samples per second: plain, observed, and counted from recorded spikes."""
    source = open_source(run)
    assert source.data is not None
    images, labels = load_data(source.data).part("test", samples)
    with source.deployment, Runner(source.graph) as plain, Runner(source.graph) as seen, Runner(source.graph) as kept:
        observer, counter = Counter(source.graph), Counter(source.graph)
        spikes = Record(spikes=True, step_logits=True)
        works: dict[str, Callable[[slice], object]] = {
            "plain": lambda cut: plain.run(images[cut]),
            "observed": lambda cut: observer.observe(seen, images[cut], labels[cut]),
            "from_spikes": lambda cut: counter.add(images[cut], kept.run(images[cut], spikes), labels[cut]),
        }
        best = dict.fromkeys(works, 0.0)
        for _ in range(rounds + 1):  # the first compiles and chooses kernels
            for name, work in works.items():
                best[name] = max(best[name], timed(work, len(images)))
        assert np.isclose(observer.result().sops.mean, counter.result().sops.mean)
    return {"samples_per_second": best, "observed_adds": best["plain"] / best["observed"] - 1}


def peak(run: Path, samples: int) -> float:
    """Megabytes at the peak of a process that counts so many samples."""
    command = [sys.executable, __file__, "--run", str(run), "--samples", str(samples), "--only-count"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout)


def count_only(run: Path, samples: int) -> None:
    """Count, then print the peak memory of this process in megabytes."""
    source = open_source(run)
    assert source.data is not None
    images, labels = load_data(source.data).part("test", samples)
    counter = Counter(source.graph)
    with source.deployment, Runner(source.graph) as runner:
        for i in range(0, len(images), BATCH):
            counter.observe(runner, images[i : i + BATCH], labels[i : i + BATCH])
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "counting.json")
    parser.add_argument("--only-count", action="store_true", help="what the memory is measured on")
    options = parser.parse_args()
    if options.only_count:
        count_only(options.run, options.samples)
        return
    found = overhead(options.run, min(options.samples, 2048), options.rounds)
    memory = {str(n): peak(options.run, n) for n in (options.samples // 2, options.samples)}
    written = {**provenance(0, "numpy", "numba"), **found, "peak_megabytes": memory}
    options.out.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")
    rates = ", ".join(f"{name} {rate:,.0f}/s" for name, rate in found["samples_per_second"].items())
    print(f"{rates}; observing adds {100 * found['observed_adds']:.0f} %; peak memory {memory} MB")


if __name__ == "__main__":
    main()
