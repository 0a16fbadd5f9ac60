"""What the command line itself costs: how fast it starts, and whether `verify` needs memory for each sample.

    .venv/bin/python benchmarks/cli.py [--out FILE]

`verify` runs on `reference` and `reference-fixed` over 1,000 and over 10,000 digits-sized samples, each in a process of
its own; the ratio of the two peaks is what streaming promises to keep at 1.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parent / "common")

import numpy as np
from provenance import provenance

from asnn_deploy.cli import run
from asnn_deploy.util.files import write_text

ROOT = Path(__file__).resolve().parent.parent
"""Where interpreters start: they look for modules in the working directory first."""
# VmHWM, not ru_maxrss: the latter still knows the process that this one was forked from.
MEASURED = (
    "import re, sys; from asnn_deploy.cli import run; code = run(sys.argv[1:]); "
    "print(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1]); sys.exit(code)"
)


def start_seconds() -> float:
    """The median of seven `asnn-deploy --help`."""
    seconds = []
    for _ in range(7):
        begin = time.perf_counter()
        program = "from asnn_deploy.cli import main; main()"
        subprocess.run([sys.executable, "-c", program, "--help"], check=True, stdout=subprocess.DEVNULL, cwd=ROOT)
        seconds.append(time.perf_counter() - begin)
    return float(np.median(seconds))


def verify_megabytes(folder: Path, samples: int) -> float:
    """The peak resident memory of a `verify` over that many samples."""
    rng = np.random.default_rng(samples)
    images = rng.integers(0, 256, (samples, 8, 8), dtype=np.uint8)
    labels = np.arange(samples) % 10
    np.savez(folder / "data.npz", x_train=images[:20], y_train=labels[:20], x_test=images, y_test=labels)
    arguments = ["verify", folder / "run", "--target", "reference", "--target", "reference-fixed"]
    command = [sys.executable, "-c", MEASURED, *map(str, arguments), "--data", f"npz:{folder / 'data.npz'}"]
    shown = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout
    return int(shown.split()[-1]) / 1024


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description="start-up time and memory of the command line")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "cli.json")
    arguments = parser.parse_args()
    result = provenance(0, "numpy", "torch") | {"help_seconds": start_seconds()}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        trained = run(["train", "--preset", "digits-lenet", "--epochs", "1", "--out", str(folder / "run")])
        assert trained == 0
        result["verify_megabytes"] = {str(n): verify_megabytes(folder, n) for n in (1_000, 10_000)}
    few, many = result["verify_megabytes"].values()
    result["memory_ratio"] = many / few
    print(
        f"--help {result['help_seconds']:.2f} s; verify {few:.0f} MB for 1,000 samples, {many:.0f} MB for 10,000: "
        f"ratio {many / few:.2f}"
    )
    write_text(arguments.out, json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
