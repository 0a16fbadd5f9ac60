"""Training steps a second: the reference LeNet as `train` runs it, against the reference's loop over steps.

    .venv/bin/python benchmarks/training.py [--batch-size N] [--device cpu|cuda] [--rounds N] [--out FILE]

Both compute the same network from the same weights (the spikes' difference is checked first), forward, backward and
Adam, on a batch at hand. The loop is written here from the paper's equations (arXiv 2408.12407) as eager torch
modules, one step after another, as its reference code does it. Timed in turns in one process. Also the neurons alone,
forward and backward: this project's kernel against Norse step by step.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path[:1] = [str(Path(__file__).resolve().parent / "common")]

import torch
from provenance import provenance
from timing import in_turns
from torch import Tensor, nn

from asnn_deploy.config import make_config, merge
from asnn_deploy.models import SpikingNetwork, build_model
from asnn_deploy.models.cells import AdaptiveLIFCell, LIFParameters, MultiStep
from asnn_deploy.presets import preset
from asnn_deploy.training.memory import keep_freed_memory

HERE = Path(__file__).resolve().parent
STEPS, CLASSES, IMAGE = 7, 10, (3, 32, 32)
NEURONS = (8, 128, 16, 16)
"""Steps and the shape of a sample, for the neurons alone."""


class Surrogate(torch.autograd.Function):
    """A step forward, the derivative of sigmoid(4x) backward."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # type: ignore[override]
        ctx.save_for_backward(x)
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:  # type: ignore[override]
        (x,) = ctx.saved_tensors
        s = torch.sigmoid(4 * x)
        return grad * 4 * s * (1 - s)


class ReferenceLoop(nn.Module):
    """conv -> BN -> LIF -> pool, three times, linear -> BN -> LIF, linear, weighted mean: step by step."""

    def __init__(self, network: SpikingNetwork) -> None:
        super().__init__()
        self.network = copy.deepcopy(network).to(memory_format=torch.contiguous_format)
        layers: Any = self.network.layers
        self.blocks = [layers[name] for name in ("conv1_synapses", "conv2_synapses", "conv3_synapses", "fc1_synapses")]
        self.neurons = [layers[name].cell.p for name in ("conv1", "conv2", "conv3", "fc1")]
        self.last, self.scale = layers["fc2_synapses"].weights[0], layers["readout"].scale
        self.pool = nn.MaxPool2d(2)

    def forward(self, images: Tensor) -> Tensor:
        """Logits `[B, classes]`."""
        frames = self.network.encode(images).contiguous()
        potentials: list[Any] = [0.0] * len(self.blocks)
        total: Any = 0.0
        for t in range(STEPS):
            x = frames[t] * self.blocks[0].input_scale[t]
            for i, (synapses, p) in enumerate(zip(self.blocks, self.neurons)):
                k = synapses.index[t]
                x = synapses.norms[k](synapses.weights[k](x if i < 3 else x.flatten(1)))
                v = p.leak[t] * potentials[i] + p.gain[t] * x
                x = Surrogate.apply(v - 1)
                potentials[i] = v - x
                x = self.pool(x) if i < 3 else x
            total = total + self.scale[t] * self.last(x)
        return total / STEPS


def step_of(forward: Callable[[Tensor], Tensor], parameters: Any, images: Tensor, labels: Tensor) -> Callable[[], None]:
    """One training step."""
    optimizer = torch.optim.Adam(parameters, 5e-3)

    def step() -> None:
        optimizer.zero_grad()
        nn.functional.cross_entropy(forward(images), labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if images.is_cuda:
            torch.cuda.synchronize()

    return step


def lenet(batch: int, rounds: int, device: str) -> dict[str, float]:
    """Images per second of both."""
    config = make_config(merge(preset("cifar-lenet"), {"time_steps": STEPS}), "cifar-lenet")
    network = build_model(config, IMAGE, CLASSES).to(device)
    images = torch.randint(0, 256, (batch, *IMAGE), dtype=torch.uint8).to(device)
    labels = torch.randint(0, CLASSES, (batch,)).to(device)
    loop = ReferenceLoop(network)
    wide = copy.deepcopy(network).double()  # in which no spike depends on the order of a sum
    torch.testing.assert_close(ReferenceLoop(wide)(images[:8]), wide(images[:8]))
    modules: tuple[nn.Module, nn.Module] = (network, loop)
    ours, theirs = (step_of(m, [p for p in m.parameters() if p.requires_grad], images, labels) for m in modules)
    times = in_turns([ours, theirs], rounds)
    return {"ours": batch / times[0], "reference_loop": batch / times[1]}


def neurons(batch: int, rounds: int, device: str) -> dict[str, float]:
    """Milliseconds of a layer of neurons, forward and backward."""
    steps, *shape = NEURONS
    x = torch.randn(steps, batch, *shape, device=device).requires_grad_()
    weights = torch.randn_like(x)
    found = []
    for kernel in ("fused", "norse"):
        layer = MultiStep(AdaptiveLIFCell(LIFParameters(steps)), kernel).to(device)

        def run(layer: MultiStep = layer) -> None:
            torch.autograd.grad(layer(x), [x, *layer.parameters()], weights)
            if x.is_cuda:
                torch.cuda.synchronize()

        found.append(run)
    times = in_turns(found, rounds)
    return {"fused": 1e3 * times[0], "norse": 1e3 * times[1]}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    keep_freed_memory()
    trained = lenet(options.batch_size, options.rounds, options.device)
    alone = neurons(options.batch_size, options.rounds, options.device)
    report = {
        **provenance(options.seed, "torch", "norse"),
        **({"device": torch.cuda.get_device_name()} if options.device == "cuda" else {"threads": options.threads}),
        "batch_size": options.batch_size,
        "lenet_images_per_second": trained,
        "times_reference_loop": trained["ours"] / trained["reference_loop"],
        "neurons_ms": alone,
        "times_norse": alone["norse"] / alone["fused"],
    }
    print(
        f"LeNet T = {STEPS}: {trained['ours']:.0f} images/s, the reference's loop {trained['reference_loop']:.0f}: "
        f"{report['times_reference_loop']:.2f} times; on {report['device']}"
    )
    print(
        f"neurons alone {NEURONS}: {alone['fused']:.1f} ms, Norse step by step {alone['norse']:.1f} ms: "
        f"{report['times_norse']:.2f} times"
    )
    out = options.out or HERE / "results" / f"training-{options.device}.json"
    out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
