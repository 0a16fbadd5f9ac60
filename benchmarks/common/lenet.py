"""The network that benchmarks run: the LeNet of the ASNN paper on 28x28 grey images, with random weights.

Three 3x3 convolutions (32, 48, 64 channels), each with spiking neurons and a 2x2 max-pool, a hidden layer of 256
neurons and 10 classes, over T = 7 steps of hybrid-latency coding.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from asnn_deploy.analysis.order_free import snap
from asnn_deploy.engine.encoder import encode
from asnn_deploy.engine.executor import Executor
from asnn_deploy.input.coding import input_code
from asnn_deploy.ir.graph import INPUT, DeployGraph
from asnn_deploy.ir.layers import Conv, Flatten, Layer, Linear, Neuron, Pool, Readout
from asnn_deploy.ir.step_table import StepTable

STEPS, SIZE, CLASSES, HIDDEN, WIDTHS = 7, 28, 10, 256, (32, 48, 64)
Array = np.ndarray[Any, Any]


def reference_lenet(seed: int, rate: float = 0.11, steps: int = STEPS, deeper: int = 0) -> DeployGraph:
    """The reference network with random, order-free weights, each layer firing at about `rate`.

    deeper: so many more convolutions, of 64 channels and without pooling.
    """
    rng = np.random.default_rng(seed)
    code = input_code("hybrid-latency", steps)

    def values(*shape: int) -> Array:
        fan_in = int(np.prod(shape[1:])) if len(shape) > 1 else 100
        return (rng.standard_normal(shape) / np.sqrt(fan_in)).astype(np.float32)

    def fixed(*shape: int) -> StepTable:
        return StepTable.constant(values(*shape), steps)

    def neurons(name: str) -> Neuron:
        draw = [rng.uniform(low, high, steps).astype(np.float32) for low, high in ((0.3, 0.9), (0.4, 1.0))]
        tables = {"leak": StepTable.per_step(draw[0]), "gain": StepTable.per_step(draw[1])}
        return Neuron(name, "lif", {**tables, "threshold": StepTable.constant(np.float32(1), steps)})

    which = np.where(code.analog, 0, 1)
    stem = np.stack([values(WIDTHS[0], 1, 3, 3) / np.float32(255), values(WIDTHS[0], 1, 3, 3)])
    stem_bias = np.stack([values(WIDTHS[0]), values(WIDTHS[0])])
    layers: list[Layer] = []
    widths = (*WIDTHS, *WIDTHS[-1:] * deeper)
    for i, (c_in, c_out) in enumerate(zip((1, *widths), widths), 1):
        weight = StepTable(stem, which) if i == 1 else fixed(c_out, c_in, 3, 3)
        bias = StepTable(stem_bias, which) if i == 1 else fixed(c_out)
        layers += [Conv(f"conv{i}", weight, bias, padding=(1, 1)), neurons(f"lif{i}")]
        layers += [Pool(f"pool{i}")] if i <= len(WIDTHS) else []
    layers += [Flatten("flatten"), Linear("fc1", fixed(HIDDEN, WIDTHS[-1] * (SIZE // 8) ** 2), fixed(HIDDEN))]
    layers += [neurons("fc1_lif" if deeper else "lif4"), Linear("fc2", fixed(CLASSES, HIDDEN), fixed(CLASSES))]
    scale = (rng.uniform(0.5, 1.5, steps) / steps).astype(np.float32)
    graph = snap(DeployGraph.chain((1, SIZE, SIZE), code, [*layers, Readout("readout", StepTable.per_step(scale))]))
    images = pictures(16, seed + 1)
    for neuron in graph.neurons:
        graph = with_rate(graph, neuron.name, rate, images)
    return graph


def with_rate(graph: DeployGraph, name: str, rate: float, images: Array) -> DeployGraph:
    """The graph with one layer's gain scaled so that it fires at `rate` on these images."""
    names = [layer.name for layer in graph.layers]
    low, high = -6.0, 6.0
    for _ in range(12):
        factor = np.float32(2 ** ((low + high) / 2))
        changed = replace(graph, layers=tuple(_scaled(layer, name, factor) for layer in graph.layers))
        executor = Executor(changed, names[: names.index(name) + 1], [name], potentials=False)
        executor.reset(len(images))
        fired = executor.advance(range(graph.time_steps), {INPUT: encode(graph.code, images)})[name]
        low, high = (low, (low + high) / 2) if fired.mean() > rate else ((low + high) / 2, high)
    return changed


def _scaled(layer: Layer, name: str, factor: np.float32) -> Layer:
    if layer.name != name or not isinstance(layer, Neuron):
        return layer
    parameters = {**layer.parameters, "gain": layer.parameters["gain"].map(lambda gain: gain * factor)}
    return replace(layer, parameters=parameters)


def pictures(count: int, seed: int) -> Array:
    """Smooth bright shapes on a dark ground, `[N, 1, 28, 28]` uint8: about half of the pixels are 0."""
    rng = np.random.default_rng(seed)
    coarse: Array = rng.normal(size=(count, 1, 5, 5))
    where = np.linspace(0, 3.999, SIZE)
    lower, part = where.astype(int), where % 1
    rows: Array = coarse[:, :, lower] * (1 - part[:, None]) + coarse[:, :, lower + 1] * part[:, None]
    fields: Array = rows[..., lower] * (1 - part) + rows[..., lower + 1] * part
    return np.clip(fields * 255, 0, 255).astype(np.uint8)
