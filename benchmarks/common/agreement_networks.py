"""Small random networks on which counters are held against each other, and a file that any of them can read.

Between them they have what counters treat differently: an analog step among spiking ones, padding, stride, dilation,
groups, half of the weights zero, and spike counts above one behind a sum-pool.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from asnn_deploy.engine.runner import run
from asnn_deploy.input.coding import input_code
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.layers import Conv, Flatten, Layer, Linear, Neuron, Pool, Readout
from asnn_deploy.ir.step_table import StepTable
from asnn_deploy.ir.trace import Record, Trace

Array = np.ndarray[Any, Any]
STEPS, SIZE, CLASSES, SAMPLES, SEED = 4, 9, 5, 6, 0
NETWORKS = ("latency", "hybrid", "direct-pruned", "latency-pruned", "hybrid-counts")


def network(name: str, seed: int = SEED) -> DeployGraph:
    """conv - LIF - pool - conv - LIF - linear - LIF - linear; the name's first word is its coding.

    pruned: stride, dilation and groups, and half of the weights zero. counts: sum-pool in place of max-pool.
    """
    coding, _, kind = name.partition("-")
    code = input_code("hybrid-latency" if coding == "hybrid" else coding, STEPS)
    rng = np.random.default_rng([seed, NETWORKS.index(name)])
    pruned = kind == "pruned"
    analog = np.where(code.analog, 2.0**-8, 1.0)
    scales, index = np.unique(analog, return_inverse=True)

    def weights(*shape: int) -> Array:
        values = rng.integers(-24, 33, size=shape)
        scaled = np.where(values == 0, 1, values) * 2.0**-5
        return np.where(rng.random(shape) < 0.5, 0, scaled) if pruned else scaled

    def table(*shape: int) -> StepTable:
        return StepTable.constant(weights(*shape).astype(np.float32), STEPS)

    stem = np.stack([weights(8, 1, 3, 3) * scale for scale in scales]).astype(np.float32)
    second: dict[str, Any] = {"stride": (2, 1), "dilation": (1, 2), "groups": 2} if pruned else {}
    layers: list[Layer] = [
        Conv("conv1", StepTable(stem, index), padding=(1, 1)),
        _lif("lif1", rng),
        Pool("pool", "sum" if kind == "counts" else "max"),
        Conv("conv2", table(6, 4 if pruned else 8, 3, 3), table(6), padding=(1, 1), **second),
        _lif("lif2", rng),
        Flatten("flatten"),
    ]
    shape: tuple[int, ...] = (1, SIZE, SIZE)
    for layer in layers:
        shape = layer.output_shape(shape)
    layers += [
        Linear("fc1", table(12, *shape), table(12)),
        _lif("lif3", rng),
        Linear("fc2", table(CLASSES, 12)),
        Readout("readout", StepTable.constant(np.float32(1 / STEPS), STEPS)),
    ]
    return DeployGraph.chain((1, SIZE, SIZE), code, layers)


def _lif(name: str, rng: np.random.Generator) -> Neuron:
    """A spiking layer with a leak and a gain of its own at every step."""
    leak, gain = (rng.uniform(low, high, STEPS).astype(np.float32) for low, high in ((0.2, 0.9), (0.4, 1.2)))
    threshold = StepTable.constant(np.float32(1), STEPS)
    parameters = {"leak": StepTable.per_step(leak), "gain": StepTable.per_step(gain), "threshold": threshold}
    return Neuron(name, "lif", parameters)


def samples(graph: DeployGraph, seed: int = SEED) -> tuple[Array, Trace]:
    """Random images, uint8 `[N, C, H, W]`, a third of the pixels dark, and the reference's trace of them."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, size=(SAMPLES, *graph.input_shape))
    images = np.where(rng.random(images.shape) < 1 / 3, 0, images).astype(np.uint8)
    return images, run(graph, images, Record(spikes=True))


def save(path: Path, graph: DeployGraph, images: Array) -> None:
    """Layers and coded frames as plain arrays, for `torch_network.py`."""
    arrays = {"frames": graph.code.frames(images).astype(np.float32)}
    plan = []
    for layer in graph.layers:
        entry: dict[str, Any] = {"name": layer.name, "kind": layer.kind}
        for key in ("stride", "padding", "dilation", "groups", "kernel", "mode"):
            if hasattr(layer, key):
                entry[key] = getattr(layer, key)
        for key, values in layer.tables().items():
            arrays[f"{layer.name}/{key}"] = values.values
            arrays[f"{layer.name}/{key}/index"] = values.index
        plan.append(entry)
    np.savez(path, plan=np.array(json.dumps(plan)), **arrays)
