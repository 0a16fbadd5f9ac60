"""Training steps a second: networks as `train` runs them, against the reference's loop over steps.

    .venv/bin/python benchmarks/training.py [--device cpu|cuda] [--rounds N] [--compile] [--out FILE]

Both compute the same network from the same weights (checked first in float64, in which no spike depends on the order
of a sum), forward, backward and Adam, on a batch at hand, in turns in one process. The loop is that of the paper's
reference code, in eager float32 (`common/reference_loop.py`). On a GPU, SEW-ResNet-18 is trained in bf16; on a CPU,
which would have to emulate that, in float32. Also what the time of a LeNet step goes to, and, with --compile
(minutes), how fast it is through torch.compile.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path[:1] = [str(Path(__file__).resolve().parent / "common")]

import torch
from provenance import provenance
from reference_loop import ReferenceLoop
from timing import in_turns
from torch import Tensor, nn
from torch._C._autograd import DeviceType

from asnn_deploy.models.network import SpikingNetwork
from asnn_deploy.training.config import make_config, merge
from asnn_deploy.training.memory import keep_freed_memory
from asnn_deploy.training.network import build_model
from asnn_deploy.training.presets import preset

HERE = Path(__file__).resolve().parent
IMAGE = (3, 32, 32)
STEPS = {"cifar-lenet": 7, "cifar-sew-resnet18": 4}
CLASSES = {"cifar-lenet": 100, "cifar-sew-resnet18": 10}
BATCHES = {"cpu": {"cifar-lenet": 128, "cifar-sew-resnet18": 8}, "cuda": dict.fromkeys(STEPS, 128)}
KINDS = {
    "convolution": "convolutions",
    "aten::mm": "linear layers",
    "addmm": "linear layers",
    "FusedLIF": "neurons",
    "lif_": "neurons",
    "batch_norm": "batch norm",
    "aten::cat": "joining steps behind batch norm",
    "max_pool": "pooling",
    "Adam": "Adam",
}
"""Words in an operation's name, and what it is counted as."""

Step = Callable[[], None]


def step_of(network: nn.Module, images: Tensor, labels: Tensor, precision: str) -> Step:
    """One training step."""
    optimizer = torch.optim.Adam([p for p in network.parameters() if p.requires_grad], 5e-3)
    low = torch.autocast(images.device.type, torch.bfloat16) if precision == "bf16" else nullcontext()

    def step() -> None:
        optimizer.zero_grad()
        with low:
            loss = nn.functional.cross_entropy(network(images), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if images.is_cuda:
            torch.cuda.synchronize()

    return step


def network_of(name: str, device: str) -> SpikingNetwork:
    """A preset's network, untrained."""
    config = make_config(merge(preset(name), {"time_steps": STEPS[name]}), name)
    return build_model(config, IMAGE, CLASSES[name]).to(device)


def drawn(name: str, device: str) -> tuple[Tensor, Tensor]:
    """A batch of noise."""
    batch = BATCHES[device][name]
    images = torch.randint(0, 256, (batch, *IMAGE), dtype=torch.uint8)
    return images.to(device), torch.randint(0, CLASSES[name], (batch,)).to(device)


def against_the_loop(name: str, rounds: int, device: str) -> dict[str, Any]:
    """Images per second of both."""
    network, (images, labels) = network_of(name, device), drawn(name, device)
    loop = ReferenceLoop(network)
    wide = copy.deepcopy(network).double()
    torch.testing.assert_close(ReferenceLoop(wide)(images[:8]), wide(images[:8]))
    precision = "bf16" if device == "cuda" and name != "cifar-lenet" else "32"
    ours, theirs = step_of(network, images, labels, precision), step_of(loop, images, labels, "32")
    times = in_turns([ours, theirs], rounds)
    return {
        "time_steps": STEPS[name],
        "batch_size": len(images),
        "precision": precision,
        "images_per_second": len(images) / times[0],
        "reference_loop": len(images) / times[1],
        "ratio": times[1] / times[0],
    }


def compiled(name: str, rounds: int, device: str) -> float:
    """How many times as fast the network is through torch.compile."""
    network, (images, labels) = network_of(name, device), drawn(name, device)
    both: list[Any] = [network, torch.compile(copy.deepcopy(network), dynamic=False)]
    plain, faster = in_turns([step_of(module, images, labels, "32") for module in both], rounds)
    return plain / faster


def profile(name: str, device: str, steps: int = 5) -> dict[str, float]:
    """What share of a training step's time each kind of operation takes, from torch's profiler."""
    step = step_of(network_of(name, device), *drawn(name, device), "32")
    for _ in range(8):  # memory is mapped, and kernels are chosen
        step()
    kinds = [torch.profiler.ProfilerActivity.CPU]
    kinds += [torch.profiler.ProfilerActivity.CUDA] if device == "cuda" else []
    with torch.profiler.profile(activities=kinds) as profiler:
        for _ in range(steps):
            step()
    shares: dict[str, float] = {}
    mine = DeviceType.CUDA if device == "cuda" else DeviceType.CPU
    for event in profiler.key_averages():
        if event.device_type != mine:  # operations beside the kernels that they start
            continue
        kind = next((kind for word, kind in KINDS.items() if word in event.key), "the rest")
        spent = event.self_device_time_total if device == "cuda" else event.self_cpu_time_total
        shares[kind] = shares.get(kind, 0.0) + spent
    total = sum(shares.values())
    return {kind: spent / total for kind, spent in sorted(shares.items(), key=lambda item: -item[1])}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    keep_freed_memory()
    networks = {name: against_the_loop(name, options.rounds, options.device) for name in STEPS}
    report = {
        **provenance(options.seed, "torch", "norse"),
        **({"device": torch.cuda.get_device_name()} if options.device == "cuda" else {"threads": options.threads}),
        "networks": networks,
        "shares": profile("cifar-lenet", options.device),
    }
    if options.compile:
        report["times_compiled"] = compiled("cifar-lenet", options.rounds, options.device)
        print(f"through torch.compile: {report['times_compiled']:.2f} times as fast")
    for name, found in networks.items():
        print(
            f"{name}, T = {found['time_steps']}, precision {found['precision']}: {found['images_per_second']:.0f} "
            f"images/s, the reference's loop {found['reference_loop']:.0f}: {found['ratio']:.2f} times; on "
            f"{report['device']}"
        )
    print("a LeNet step: " + ", ".join(f"{kind} {100 * share:.0f} %" for kind, share in report["shares"].items()))
    out = options.out or HERE / "results" / f"training-{options.device}.json"
    out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
