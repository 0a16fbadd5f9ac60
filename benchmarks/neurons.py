"""A layer of neurons alone, forward and backward: this project's kernel, Norse, SpikingJelly and snnTorch.

    python3.11 -m venv OTHER && OTHER/bin/pip install spikingjelly==2.0.0 snntorch==1.0.0
    .venv/bin/python benchmarks/neurons.py [--others OTHER/bin/python] [--device cpu|cuda] [--rounds N] [--out FILE]

[T, B, C, H, W] = [8, 128, 128, 16, 16], float32, in turns, round by round; the others in a process of their own. This
project's neurons learn leak and gain for each step, theirs have fixed ones. Also how far the kernel is from the least
that memory allows: input read and spikes written, then input and gradient read and gradient written, at the speed at
which torch copies an array of that size.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path[:1] = [str(Path(__file__).resolve().parent / "common")]

import torch
from provenance import provenance

from asnn_deploy.models.cells import AdaptiveLIFCell, LIFParameters, MultiStep
from asnn_deploy.training.memory import keep_freed_memory

HERE = Path(__file__).resolve().parent
SHAPE = (8, 128, 128, 16, 16)
OTHERS = ("spikingjelly", "snntorch")
LEAST_ARRAYS = 5
"""Arrays of the input's size that must be read or written, forward and backward."""


def own(device: str) -> dict[str, Callable[[], float]]:
    """Seconds of one round, by name: the kernel, Norse step by step, and a copy of the input."""
    x = torch.randn(*SHAPE, device=device).requires_grad_()
    weights, target = torch.randn_like(x), torch.empty_like(x)

    def timed(work: Callable[[], object]) -> Callable[[], float]:
        def once() -> float:
            start = time.perf_counter()
            work()
            if device == "cuda":
                torch.cuda.synchronize()
            return time.perf_counter() - start

        return once

    def layer(kernel: str) -> Callable[[], object]:
        module = MultiStep(AdaptiveLIFCell(LIFParameters(SHAPE[0])), kernel).to(device)
        p: Any = module.cell.p
        return lambda: torch.autograd.grad(module(x), [x, p.leak, p.gain], weights)

    works = {"fused": layer("fused"), "norse": layer("norse"), "copy": lambda: target.copy_(x.detach())}
    return {name: timed(work) for name, work in works.items()}


@contextmanager
def theirs(python: str, device: str, threads: int, versions: dict[str, str]) -> Iterator[dict[str, Any]]:
    """Seconds of one round, by name, in another environment."""
    command = [python, str(HERE / "neurons_others.py"), device, str(threads), *map(str, SHAPE)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:

        def ask(name: str) -> float:
            assert process.stdin is not None
            assert process.stdout is not None
            print(name, file=process.stdin, flush=True)
            answer = json.loads(process.stdout.readline())
            versions[name] = answer["version"]
            return float(answer["seconds"])

        yield {name: lambda name=name: ask(name) for name in OTHERS}
        assert process.stdin is not None
        process.stdin.close()


def medians(works: dict[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """Of several rounds, in which each has its turn, behind two that warm up."""
    found = [{name: work() for name, work in works.items()} for _ in range(rounds + 2)][2:]
    return {name: statistics.median(each[name] for each in found) for name in works}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--others", metavar="PYTHON", help="interpreter that has SpikingJelly and snnTorch")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    keep_freed_memory()
    works, versions = own(options.device), dict[str, str]()
    if options.others:
        with theirs(options.others, options.device, options.threads, versions) as more:
            seconds = medians(works | more, options.rounds)
    else:
        seconds = medians(works, options.rounds)
    about = provenance(options.seed, "torch", "norse")
    about["versions"] |= versions
    fused, least = seconds["fused"], seconds["copy"] * LEAST_ARRAYS / 2
    report = {
        **about,
        **({"device": torch.cuda.get_device_name()} if options.device == "cuda" else {"threads": options.threads}),
        "shape": SHAPE,
        "milliseconds": {name: 1e3 * each for name, each in seconds.items()},
        "times": {name: each / fused for name, each in seconds.items() if name not in ("fused", "copy")},
        "of_the_bandwidth_limit": fused / least,
    }
    print(f"{SHAPE} on {report['device']}: {1e3 * fused:.1f} ms, {report['of_the_bandwidth_limit']:.2f} of the least")
    for name, ratio in report["times"].items():
        print(f"{name}: {1e3 * seconds[name]:.1f} ms, {ratio:.2f} times")
    out = options.out or HERE / "results" / f"neurons-{options.device}.json"
    out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
