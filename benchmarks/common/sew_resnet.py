"""A network of the size of SEW-ResNet-18 with random weights: only its shapes matter here."""

from __future__ import annotations

from typing import Any

import numpy as np

from asnn_deploy.coding import input_code
from asnn_deploy.graph import INPUT, DeployGraph, Edge
from asnn_deploy.layers import Add, Conv, Flatten, Layer, Linear, Neuron, Pool, Readout
from asnn_deploy.step_table import StepTable

WIDTHS = (64, 128, 256, 512)
BLOCKS = 2


class _Stack:
    """Layers and edges while they are put on top of each other."""

    def __init__(self, steps: int, seed: int) -> None:
        self.layers: list[Layer] = []
        self.edges: list[Edge] = []
        self.steps, self.rng = steps, np.random.default_rng(seed)

    def put(self, layer: Layer, *sources: str) -> str:
        """Add a layer that reads these; returns its name."""
        self.layers.append(layer)
        self.edges += [Edge(source, layer.name) for source in sources]
        return layer.name

    def table(self, *shape: int) -> StepTable:
        """Constant random values."""
        values = self.rng.standard_normal(shape, dtype=np.float32) / np.float32(np.sqrt(np.prod(shape[1:])))
        return StepTable.constant(values, self.steps)

    def neurons(self, name: str, source: str) -> str:
        """Neurons with a leak and a gain for each step."""
        draw = [self.rng.uniform(0.3, 0.9, self.steps).astype(np.float32) for _ in range(2)]
        tables = {"leak": StepTable.per_step(draw[0]), "gain": StepTable.per_step(draw[1])}
        return self.put(
            Neuron(name, "lif", tables | {"threshold": StepTable.constant(np.float32(1), self.steps)}), source
        )

    def spiking_conv(self, name: str, source: str, shape: tuple[int, int], kernel: int, stride: int) -> str:
        """A convolution and its neurons."""
        pad = (kernel // 2, kernel // 2)
        conv = Conv(f"{name}_synapses", self.table(shape[1], shape[0], kernel, kernel), None, (stride, stride), pad)
        return self.neurons(name, self.put(conv, source))


def sew_resnet(size: int, steps: int = 4, widths: tuple[int, ...] = WIDTHS, seed: int = 0) -> DeployGraph:
    """SEW-ResNet-18 on images of 3 x size x size: a stem, two blocks for each width, residual sums of spikes."""
    stack = _Stack(steps, seed)
    last, channels = stack.spiking_conv("stem", INPUT, (3, widths[0]), 3, 1), widths[0]
    for i, width in enumerate(widths):
        for j in range(BLOCKS):
            name, stride = f"block{i + 1}{j + 1}", 2 if i and not j else 1
            first = stack.spiking_conv(f"{name}_a", last, (channels, width), 3, stride)
            second = stack.spiking_conv(f"{name}_b", first, (width, width), 3, 1)
            if stride > 1 or channels != width:
                last = stack.spiking_conv(f"{name}_down", last, (channels, width), 1, stride)
            last, channels = stack.put(Add(f"{name}_sum"), second, last), width
    side = stack_side(size, len(widths))
    last = stack.put(Pool("pool", "average", (side, side), (side, side)), last)
    last = stack.put(Linear("fc", stack.table(10, channels)), stack.put(Flatten("flat"), last))
    scale: Any = np.full(steps, 1 / steps, np.float32)
    stack.put(Readout("readout", StepTable.per_step(scale)), last)
    return DeployGraph((3, size, size), input_code("hybrid-latency", steps), tuple(stack.layers), tuple(stack.edges))


def stack_side(size: int, stages: int) -> int:
    """Rows behind the last stage: each but the first halves them."""
    for _ in range(stages - 1):
        size = (size + 1) // 2
    return size
