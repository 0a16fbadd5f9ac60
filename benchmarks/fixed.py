"""The event-driven engine and the integer executor against torch, on a trained reference LeNet.

    asnn-deploy train --preset fashion-lenet --data fashion-mnist:DIR --epochs 4 --out run
    .venv/bin/python benchmarks/fixed.py --run run [--samples N] [--out FILE]

Four questions, each answered side by side in one run, best of `--rounds`:
kernels: all synapses of the integer network, over all T steps, at the network's own firing rates, against torch's
    float32 convolutions and linear layers on the same inputs: one thread each, one batch, no neurons on either side;
    torch in the better of its two memory formats. Currents are checked equal.
half: the same kernels with a random half of the events.
executor: `reference-fixed` and `reference` against the trained torch module in eager mode, all cores, best batch of
    each.
growth: how the time of a sample grows with T, depth, batch and firing rate, on random networks of the same shape.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path[:1] = [str(Path(__file__).resolve().parent / "common")]

import numpy as np
import torch
from lenet import pictures, reference_lenet
from provenance import provenance
from timing import seconds
from torch.nn import functional

from asnn_deploy.deploy.source import open_source
from asnn_deploy.engine import runner as reference
from asnn_deploy.engine.compiled import Synapses
from asnn_deploy.engine.encoder import encode
from asnn_deploy.engine.executor import Executor
from asnn_deploy.engine.runner import Runner
from asnn_deploy.engine.signals import channels_first, channels_last
from asnn_deploy.input.data import load_data
from asnn_deploy.ir.graph import INPUT, DeployGraph
from asnn_deploy.ir.layers import Conv, Linear
from asnn_deploy.ir.trace import Record
from asnn_deploy.models.network import exact_sums
from asnn_deploy.quantizing import calibrate, quantize
from asnn_deploy.training.trained import load_run
from asnn_deploy.util.machine import cores

KERNEL_BATCH = 64
BATCHES = (16, 64, 256, 1024)
HERE = Path(__file__).resolve().parent
Array = np.ndarray[Any, Any]


def synaptic_inputs(graph: DeployGraph, images: Array) -> dict[str, Array]:
    """What enters each synaptic layer at each step, `[T, B, ...]`, in memory as the engine's layers leave it."""
    executor = Executor(graph)
    executor.reset(len(images))
    frames = encode(graph.code, images)
    signals = executor.advance(range(graph.time_steps), {INPUT: frames})
    return {
        layer.name: channels_first(channels_last(signals[source]), graph.shapes[source])
        for layer in graph.layers
        if isinstance(layer, (Conv, Linear))
        for source in [graph.inputs_of[layer.name][0].source]
    }


def torch_layer(layer: Conv | Linear, x: Array, channels_last: bool) -> Callable[[], list[torch.Tensor]]:
    """A layer's float32 work in torch: one call for each run of steps with the same weight."""
    parts = []
    for k in range(len(layer.weight.values)):
        frames = torch.from_numpy(np.ascontiguousarray(x[layer.weight.index == k])).float().flatten(0, 1)
        weight = torch.from_numpy(layer.weight.values[k].astype(np.float32))
        if isinstance(layer, Conv) and channels_last:
            frames = frames.contiguous(memory_format=torch.channels_last)
            weight = weight.contiguous(memory_format=torch.channels_last)
        parts.append((frames, weight))

    def work() -> list[torch.Tensor]:
        with exact_sums():
            if isinstance(layer, Linear):
                return [functional.linear(frames, weight) for frames, weight in parts]
            return [
                functional.conv2d(f, w, None, layer.stride, layer.padding, layer.dilation, layer.groups)
                for f, w in parts
            ]

    return work


def kernels(graph: DeployGraph, images: Array, rounds: int, seed: int) -> dict[str, Any]:
    """Each layer's milliseconds for one batch and all T steps: by events, by half of the events, and in torch."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(seed)
    rows: dict[str, dict[str, float]] = {}
    for name, x in synaptic_inputs(graph, images).items():
        layer = graph.by_name[name]
        assert isinstance(layer, (Conv, Linear))
        unit, steps = Synapses(graph, layer), range(graph.time_steps)
        halved = np.where(np.moveaxis(rng.random(np.moveaxis(x, 2, -1).shape) < 0.5, -1, 2), x, 0).astype(x.dtype)
        forms = [torch_layer(layer, x, channels_last) for channels_last in (False, True)]
        found = unit.advance(steps, x)[name]
        for k, expected in enumerate(forms[0]()):
            if not np.array_equal(found[layer.weight.index == k].reshape(expected.shape), expected.numpy()):
                raise SystemExit(f"{name}: currents differ from torch's")
        rows[name] = {
            "events_per_input": float(np.count_nonzero(x) / x.size),
            "engine": 1e3 * seconds(partial(unit.advance, steps, x), rounds),
            "engine_half": 1e3 * seconds(partial(unit.advance, steps, halved), rounds),
            "torch": 1e3 * min(seconds(form, rounds) for form in forms),
        }
    total = {key: sum(row[key] for row in rows.values()) for key in ("engine", "engine_half", "torch")}
    return {
        "batch": len(images),
        "milliseconds": rows,
        "times_faster_than_torch": total["torch"] / total["engine"],
        "half_the_events_times_faster": total["engine"] / total["engine_half"],
    }


def executors(run: Path, graph: DeployGraph, fixed: DeployGraph, images: Array, rounds: int) -> dict[str, Any]:
    """Samples per second by batch on all cores: the executors, and the trained module in eager torch."""
    torch.set_num_threads(cores())
    network = load_run(run).network
    network.fold(graph)

    def eager(batch: Array) -> None:
        with exact_sums():
            network(torch.from_numpy(batch))

    result: dict[str, dict[str, float]] = {}
    with Runner(graph) as real, Runner(fixed) as whole:
        forms: dict[str, Callable[[Array], object]] = {
            "torch": eager,
            "reference": real.run,
            "reference-fixed": whole.run,
        }
        for name, form in forms.items():
            result[name] = {}
            for size in BATCHES:
                few = images[: max(256, size)] if name == "torch" else images
                batches = [few[i : i + size] for i in range(0, len(few), size)]
                took = seconds(partial(run_each, form, batches), rounds)
                result[name][str(size)] = len(few) / took
    best = {name: max(by_batch.values()) for name, by_batch in result.items()}
    return {
        "samples_per_second": result,
        "times_faster_than_torch": {name: best[name] / best["torch"] for name in ("reference", "reference-fixed")},
    }


def growth(seed: int, rounds: int) -> dict[str, dict[str, float]]:
    """Microseconds of a sample in `reference-fixed` on one core, with one thing changed at a time."""

    def cost(batch: int = 64, **changes: Any) -> float:
        fixed = quantize(reference_lenet(seed, **changes))
        images = pictures(batch, seed)
        with Runner(fixed, threads=1) as runner:
            return 1e6 * seconds(lambda: runner.run(images), rounds) / batch

    return {
        "time steps": {str(t): cost(steps=t) for t in (3, 7, 14)},
        "convolutions": {str(3 + n): cost(deeper=n) for n in (0, 2, 4)},
        "batch": {str(b): cost(batch=b) for b in (1, 16, 256)},
        "firing rate": {str(r): cost(rate=r) for r in (0.02, 0.05, 0.1, 0.2)},
    }


def run_each(form: Callable[[Array], object], batches: list[Array]) -> None:
    """Run every batch."""
    for batch in batches:
        form(batch)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="a run folder of the reference LeNet")
    parser.add_argument("--data", help="as for asnn-deploy; the run's own by default")
    parser.add_argument("--samples", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "fixed.json")
    return parser.parse_args()


def main() -> None:
    """Measure, print, write."""
    options = parse()
    source = open_source(options.run)
    data = load_data(options.data or str(source.data))
    images = data.part("test", options.samples)[0]
    graph = calibrate(source.graph, data.part("train", 256)[0])
    fixed = quantize(graph)
    trace = reference.run(fixed, images[:256], Record(spikes=True))
    report: dict[str, Any] = {
        **provenance(options.seed, "numpy", "numba", "torch"),
        "preset": source.summary.get("preset"),
        "firing_rates": {name: float(spikes.mean()) for name, spikes in trace.spikes.items()},
        "kernels": kernels(fixed, images[:KERNEL_BATCH], options.rounds, options.seed),
        "executors": executors(options.run, graph, fixed, images, options.rounds),
        "growth": growth(options.seed, options.rounds),
    }
    kernel, executor = report["kernels"], report["executors"]
    print(f"synapses: {kernel['times_faster_than_torch']:.2f} times as fast as torch's", end=", ")
    print(f"{kernel['half_the_events_times_faster']:.2f} times as fast again with half the events")
    for name, ratio in executor["times_faster_than_torch"].items():
        best = max(executor["samples_per_second"][name].values())
        print(f"{name}: {best:.0f} samples/s, {ratio:.2f} times the module in eager torch")
    for what, costs in report["growth"].items():
        print(f"microseconds a sample by {what}:", {key: round(cost) for key, cost in costs.items()})
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
