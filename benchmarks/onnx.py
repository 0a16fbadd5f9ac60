"""onnxruntime on the exported file against eager PyTorch, on the reference LeNet with random weights.

    .venv/bin/python benchmarks/onnx.py [--threads N] [--out FILE]

The network is that of the ASNN paper on 28x28 grey images: three 3x3 convolutions (32, 48, 64 channels), each with
spiking neurons and a 2x2 max-pool, a hidden layer of 256 neurons and 10 classes, over T = 7 steps of hybrid-latency
coding. PyTorch runs the same equations, batch-norm folded away as in the file, in two ways: step by step, as the
paper's reference code does, and layer by layer, all steps of a layer's convolution in one call. All take the same
8-bit images, use the same number of threads and are timed in turns; ratios are of one run.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # Python puts a script's folder first, where this file's name would hide the package onnx.
    sys.path[0] = str(Path(__file__).resolve().parent / "common")

import numpy as np
import torch
from asnn_targets.onnxruntime import target
from lenet import CLASSES, STEPS, reference_lenet
from provenance import provenance
from torch import Tensor, nn
from torch.nn import functional

from asnn_deploy.deploy.deployment import Deployment
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.layers import Conv, Linear
from asnn_deploy.util.files import write_text

ROUNDS, ROUND_SECONDS = 9, 0.25
CHECKED = 256


class EagerLeNet(nn.Module):
    """The same network in eager PyTorch, from the paper's equations."""

    def __init__(self, graph: DeployGraph) -> None:
        super().__init__()
        for layer in graph.layers:
            for key, table in layer.tables().items():
                values = table.values if isinstance(layer, (Conv, Linear)) else table.expanded()
                parameter = nn.Parameter(torch.from_numpy(values.copy()), requires_grad=False)
                self.register_parameter(f"{layer.name}_{key}", parameter)

    def weights(self, name: str, k: int = 0) -> tuple[Tensor, Tensor]:
        """The k-th weight and bias of a layer."""
        return self.get_parameter(f"{name}_weight")[k], self.get_parameter(f"{name}_bias")[k]

    def frames(self, images: Tensor) -> list[Tensor]:
        """Hybrid-latency coding: the pixels, then T-1 latency frames."""
        pixels = images.float()
        remaining, frames = pixels / 255, [pixels]
        for i in range(STEPS - 1):
            fires = remaining >= 1 - (i + 1) / STEPS
            remaining = remaining.masked_fill(fires, 0)
            frames.append(fires.float())
        return frames

    def fire(self, name: str, t: int, x: Tensor, v: Tensor | float) -> tuple[Tensor, Tensor]:
        """One step of a neuron layer: spikes and what is left of the membrane potential."""
        v = self.get_parameter(f"{name}_leak")[t] * v + self.get_parameter(f"{name}_gain")[t] * x
        spikes = (v > 1).float()
        return spikes, v - spikes

    @torch.inference_mode()
    def step_by_step(self, images: Tensor) -> Tensor:
        """All layers at one step, then the next step: `[B, 1, 28, 28]` uint8 to `[B, 10]`."""
        v: dict[str, Tensor | float] = dict.fromkeys(("lif1", "lif2", "lif3", "lif4"), 0.0)
        answer: Tensor | float = 0.0
        for t, x in enumerate(self.frames(images)):
            for i in (1, 2, 3):
                x = functional.conv2d(x, *self.weights(f"conv{i}", int(i == 1 and t > 0)), padding=1)
                x, v[f"lif{i}"] = self.fire(f"lif{i}", t, x, v[f"lif{i}"])
                x = functional.max_pool2d(x, 2)
            x = functional.linear(x.flatten(1), *self.weights("fc1"))
            x, v["lif4"] = self.fire("lif4", t, x, v["lif4"])
            answer = answer + self.get_parameter("readout_scale")[t] * functional.linear(x, *self.weights("fc2"))
        assert isinstance(answer, Tensor)
        return answer

    @torch.inference_mode()
    def layer_by_layer(self, images: Tensor) -> Tensor:
        """All steps of one layer, then the next layer: `[B, 1, 28, 28]` uint8 to `[B, 10]`."""
        frames = self.frames(images)
        first = functional.conv2d(frames[0], *self.weights("conv1", 0), padding=1)
        x = torch.cat([first, functional.conv2d(torch.cat(frames[1:]), *self.weights("conv1", 1), padding=1)])
        for i in (1, 2, 3):
            x = x if i == 1 else functional.conv2d(x, *self.weights(f"conv{i}"), padding=1)
            x = functional.max_pool2d(self.fire_all(f"lif{i}", x), 2)
        x = self.fire_all("lif4", functional.linear(x.flatten(1), *self.weights("fc1")))
        answer: Tensor | float = 0.0
        for t, summand in enumerate(functional.linear(x, *self.weights("fc2")).reshape(STEPS, -1, CLASSES)):
            answer = answer + self.get_parameter("readout_scale")[t] * summand
        assert isinstance(answer, Tensor)
        return answer

    def fire_all(self, name: str, x: Tensor) -> Tensor:
        """All steps of a neuron layer, `[T*B, ...]` to `[T*B, ...]`."""
        v: Tensor | float = 0.0
        spikes = []
        for t, current in enumerate(x.reshape(STEPS, -1, *x.shape[1:])):
            fired, v = self.fire(name, t, current, v)
            spikes.append(fired)
        return torch.cat(spikes)


def seconds_per_call(contenders: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Each contender's median time, all taking turns."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for call in contenders.values():
        for _ in range(3):
            call()
    for _ in range(ROUNDS):
        for name, call in contenders.items():
            end = time.perf_counter() + ROUND_SECONDS
            while (start := time.perf_counter()) < end:
                call()
                times[name].append(time.perf_counter() - start)
    return {name: float(np.median(values)) for name, values in times.items()}


def measure(graph: DeployGraph, batches: list[int]) -> dict[str, Any]:
    """Load times, agreement and speeds."""
    eager = EagerLeNet(graph).eval()
    images = np.random.default_rng(1).integers(0, 256, (CHECKED, *graph.input_shape)).astype(np.uint8)
    with Deployment(graph) as deployment:
        start = time.perf_counter()
        path = deployment.file("onnx")
        exported = time.perf_counter()
        target.open(deployment, 1)  # the first one also imports onnxruntime
        loading = time.perf_counter()
        with target.open(deployment, max(batches)) as session:
            loaded = time.perf_counter()
            logits = session.run(images).logits
            result: dict[str, Any] = {
                "export_seconds": exported - start,
                "load_seconds": loaded - loading,
                "file_bytes": path.stat().st_size,
                "checked_samples": CHECKED,
                "agreement": {},
                "batches": {},
            }
            for name, run in (("step_by_step", eager.step_by_step), ("layer_by_layer", eager.layer_by_layer)):
                other = run(torch.from_numpy(images)).numpy()
                result["agreement"][name] = {
                    "argmax_mismatches": int((other.argmax(1) != logits.argmax(1)).sum()),
                    "max_abs_logit_diff": float(np.abs(other - logits).max()),
                }
            for batch in batches:
                result["batches"][str(batch)] = speeds(session, eager, images[:batch])
    return result


def speeds(session: Any, eager: EagerLeNet, images: np.ndarray[Any, Any]) -> dict[str, Any]:
    """Samples per second of all three, and onnxruntime's advantage."""
    tensor = torch.from_numpy(images)
    medians = seconds_per_call(
        {
            "onnxruntime": lambda: session.run(images),
            "torch_step_by_step": lambda: eager.step_by_step(tensor),
            "torch_layer_by_layer": lambda: eager.layer_by_layer(tensor),
        }
    )
    ours = medians["onnxruntime"]
    return {
        "samples_per_second": {name: len(images) / value for name, value in medians.items()},
        "times_faster_than": {name: value / ours for name, value in medians.items() if name != "onnxruntime"},
    }


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description="onnxruntime against eager PyTorch on the reference LeNet")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "onnx.json")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 16])
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(arguments.threads)  # what the target goes by
    torch.set_num_threads(arguments.threads)
    result = provenance(arguments.seed, "onnx", "onnxruntime", "torch", "numpy")
    result |= {"threads": arguments.threads} | measure(reference_lenet(arguments.seed), arguments.batch)
    print(f"load {result['load_seconds'] * 1e3:.1f} ms, agreement {result['agreement']}")
    for batch, found in result["batches"].items():
        speed = ", ".join(f"{name} {value:.0f}/s" for name, value in found["samples_per_second"].items())
        ratio = ", ".join(f"{value:.1f}x {name}" for name, value in found["times_faster_than"].items())
        print(f"batch {batch}, {arguments.threads} thread(s): {speed}; onnxruntime is {ratio}")
    write_text(arguments.out, json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
