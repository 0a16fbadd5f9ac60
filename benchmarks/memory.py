"""Memory of a training step for T = 4 and T = 32, with all signals kept and in segments of 4 steps.

    .venv/bin/python benchmarks/memory.py [--batch-size N] [--device cpu|cuda] [--out FILE]

Each in a process of its own: what the step adds to the process's largest resident size (CPU), or to the allocator's
(CUDA). Random weights and images; the network is the reference LeNet.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[:1] = [str(Path(__file__).resolve().parent / "common")]

import torch
from provenance import provenance

from asnn_deploy.training.config import make_config, merge
from asnn_deploy.training.network import build_model
from asnn_deploy.training.presets import preset

HERE = Path(__file__).resolve().parent
SHORT, LONG, SEGMENT = 4, 32, 4
IMAGE = (3, 32, 32)


def peak(steps: int, segment: int | None, batch: int, device: str) -> int:
    """Bytes that two training steps add."""
    torch.set_num_threads(2)
    config = make_config(merge(preset("cifar-lenet"), {"time_steps": steps}), "cifar-lenet")
    network = build_model(config, IMAGE, 100).to(device)
    optimizer = torch.optim.Adam(network.parameters())

    def step(count: int) -> None:
        images = torch.randint(0, 256, (count, *IMAGE), dtype=torch.uint8, device=device)
        optimizer.zero_grad()
        network.step_logits(images, segment).square().sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    step(2)  # what is loaded and compiled once
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        step(batch)
        step(batch)
        return torch.cuda.max_memory_allocated() - before
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    step(batch)
    step(batch)
    return 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--one", nargs=2, type=int, metavar=("T", "SEGMENT"), help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if options.one:
        print(peak(options.one[0], options.one[1] or None, options.batch_size, options.device))
        return
    found = {}
    for name, steps, segment in (("short", SHORT, 0), ("long", LONG, 0), ("long_in_segments", LONG, SEGMENT)):
        own = ["--batch-size", str(options.batch_size), "--device", options.device, "--one", str(steps), str(segment)]
        run = subprocess.run([sys.executable, __file__, *own], capture_output=True, text=True, check=True)
        found[name] = int(run.stdout)
    report = {
        **provenance(0, "torch"),
        **({"device": torch.cuda.get_device_name()} if options.device == "cuda" else {}),
        "batch_size": options.batch_size,
        "time_steps": {"short": SHORT, "long": LONG, "segment": SEGMENT},
        "bytes": found,
        "times_short": found["long"] / found["short"],
        "times_short_in_segments": found["long_in_segments"] / found["short"],
    }
    print(
        f"T = {LONG} takes {report['times_short']:.1f} times the memory of T = {SHORT} "
        f"({found['short'] / 2**20:.0f} MiB), in segments of {SEGMENT}: {report['times_short_in_segments']:.1f} times"
    )
    out = options.out or HERE / "results" / f"memory-{options.device}.json"
    out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
