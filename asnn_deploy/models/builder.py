"""Builder: puts a SpikingNetwork together, layer by layer, and keeps track of names and shapes.

Every method adds one layer (or a spiking block: synapses, batch norm and neurons) and returns its name, by which later
layers read it. A block's neurons carry the block's name, its synapses `<name>_synapses`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

from torch import nn

from asnn_deploy.errors import ConfigError
from asnn_deploy.ir.graph import INPUT
from asnn_deploy.ir.images import InputCode
from asnn_deploy.ir.layers import Shape
from asnn_deploy.ir.neurons import MODELS
from asnn_deploy.models.cells import MultiStep, cell
from asnn_deploy.models.config import READOUT, UNTRAINED, ModelConfig, definition
from asnn_deploy.models.layers import (
    Multiply,
    PerStep,
    Recent,
    Reshaped,
    Scaled,
    Sum,
    Synapses,
    WeightedMean,
    pixel_scales,
)
from asnn_deploy.models.network import SpikingNetwork


class Builder:
    """config: of the model; code: of its input; input_shape: of an image, `(C, H, W)`.

    What reads the input exists once for each kind of step: a coding with an analog and a spiking part gets two stems.
    """

    def __init__(self, config: ModelConfig, code: InputCode, input_shape: Shape) -> None:
        self.config, self.code, self.steps = config, code, code.time_steps
        self.neuron = definition(config.neuron)
        self.learned = set() if config.neuron == UNTRAINED else set(config.learned)
        self.layers: dict[str, nn.Module] = {}
        self.sources: dict[str, tuple[str, ...]] = {}
        self.shapes: dict[str, Shape] = {INPUT: input_shape}

    def put(self, name: str, module: nn.Module, shape: Shape, *sources: str) -> str:
        """Add a layer that reads `sources` and gives `shape`."""
        self.layers[name], self.sources[name], self.shapes[name] = module, sources, shape
        return name

    def synapses(
        self,
        name: str,
        source: str,
        make: Callable[[], nn.Module],
        shape: Shape,
        norm: bool = True,
        scale: float = 1.0,
    ) -> str:
        """Weights, and batch norm where `norm`. scale: a factor on what arrives."""
        stem = source == INPUT
        index = [int(stem and analog != self.code.analog[0]) for analog in self.code.analog]
        scales = [scale * s for s in pixel_scales(self.code)] if stem else [scale] * self.steps
        return self.put(name, Synapses(make, shape[0] if norm else None, index, scales), shape, source)

    def neurons(self, name: str, source: str, model: str | None = None) -> str:
        """Neurons of a model, such as "li" for a readout with memory; None: as configured."""
        shape = self.shapes[source]
        per_channel = (shape[0], *(1,) * (len(shape) - 1))
        granularity = {"layer": (), "channel": per_channel, "neuron": shape}[self.config.granularity]
        neuron = self.neuron if model is None else MODELS.find(model)
        return self.put(
            name, MultiStep(cell(neuron, self.steps, granularity, self.learned, self.config.reset)), shape, source
        )

    def conv(
        self,
        name: str,
        source: str,
        outputs: int,
        kernel: int = 3,
        stride: int = 1,
        bias: bool = False,
        depth: int = 1,
    ) -> str:
        """A block: square convolution with padding `kernel // 2`, batch norm, neurons.

        depth: how many steps it reads, the latest ones; more than 1 is a convolution over time and space.
        """
        if depth > 1:
            source = self.recent(f"{name}_recent", source, depth)
        channels, *size = self.shapes[source]
        shape = (outputs, *(self._windows(name, source, n, kernel, stride) for n in size))
        make = partial(nn.Conv2d, channels, outputs, kernel, stride, kernel // 2, bias=bias)
        return self.neurons(name, self.synapses(f"{name}_synapses", source, make, shape))

    def linear(self, name: str, source: str, outputs: int) -> str:
        """A block: fully connected, batch norm, neurons."""
        make = partial(nn.Linear, self.shapes[source][0], outputs)
        return self.neurons(name, self.synapses(f"{name}_synapses", source, make, (outputs,)))

    def recent(self, name: str, source: str, depth: int) -> str:
        """The last `depth` steps of a signal, their channels side by side, the newest first.

        Raises ConfigError for the input: its steps are of two kinds, which one weight cannot read.
        """
        if source == INPUT:
            raise ConfigError(f"layer {name!r}: reads several steps of the input; put a convolution before it")
        channels, *size = self.shapes[source]
        return self.put(name, Recent(depth), (depth * channels, *size), source)

    def max_pool(self, name: str, source: str, kernel: int, stride: int, padding: int = 0) -> str:
        """The largest of each square window."""
        channels, *size = self.shapes[source]
        shape = (channels, *(self._windows(name, source, n, kernel, stride, padding) for n in size))
        return self.put(name, PerStep(nn.MaxPool2d(kernel, stride, padding)), shape, source)

    def add(self, name: str, *sources: str) -> str:
        """The sum of signals. Raises ConfigError naming both shapes where they differ."""
        first, *others = (self.shapes[source] for source in sources)
        for source, shape in zip(sources[1:], others):
            if shape != first:
                raise ConfigError(
                    f"layer {name!r}: adds {sources[0]!r} of shape {first} and {source!r} of shape {shape}; "
                    "a residual needs equal shapes"
                )
        return self.put(name, Sum(), first, *sources)

    def multiply(self, name: str, equation: str, left: str, right: str, shape: Shape) -> str:
        """The product of two signals by an einsum equation, which gives `shape`."""
        return self.put(name, Multiply(equation), shape, left, right)

    def reshape(self, name: str, source: str, shape: Shape) -> str:
        """The same elements under other axes."""
        return self.put(name, Reshaped(shape), shape, source)

    def scale(self, name: str, source: str, factor: float) -> str:
        """Multiplied by a number."""
        return self.put(name, Scaled(factor, self.steps), self.shapes[source], source)

    def flatten(self, source: str) -> str:
        """All axes into one."""
        return self.put("flatten", PerStep(nn.Flatten()), (math.prod(self.shapes[source]),), source)

    def head(self, source: str, classes: int) -> SpikingNetwork:
        """The network, ended by a linear layer on the mean over space and the weighted mean over time.

        The mean is a sum, which small integers keep exact for a window of any size, and the quotient goes into the
        weights.
        """
        channels, height, width = self.shapes[source]
        pool = PerStep(nn.AvgPool2d((height, width), divisor_override=1))
        source = self.put("pool", pool, (channels, 1, 1), source)
        return self.answer(self.flatten(source), "head", classes, 1 / (height * width))

    def answer(self, source: str, name: str, classes: int, scale: float = 1.0) -> SpikingNetwork:
        """The network, ended by a linear layer (without neurons) and the weighted mean over time."""
        make = partial(nn.Linear, self.shapes[source][0], classes)
        return self.readout(self.synapses(f"{name}_synapses", source, make, (classes,), norm=False, scale=scale))

    def readout(self, source: str) -> SpikingNetwork:
        """The network, ended by the weighted mean over time of what arrives, `[classes]`."""
        self.put("readout", WeightedMean(self.steps, READOUT in self.learned), self.shapes[source], source)
        return SpikingNetwork(self.code, self.shapes[INPUT], self.layers, self.sources)

    def _windows(self, name: str, source: str, size: int, kernel: int, stride: int, padding: int | None = None) -> int:
        """How many windows fit along an axis. Raises ConfigError where none does."""
        count = (size + 2 * (kernel // 2 if padding is None else padding) - kernel) // stride + 1
        if count < 1:
            raise ConfigError(
                f"layer {name!r}: a window of {kernel} does not fit what arrives, {self.shapes[source]}; "
                "use larger images or a smaller network"
            )
        return count
