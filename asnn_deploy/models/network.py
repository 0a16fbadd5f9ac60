"""SpikingNetwork: an input code and named layers over time that read each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from asnn_deploy.graph import INPUT, DeployGraph
from asnn_deploy.input_code import InputCode
from asnn_deploy.intervals import bounds
from asnn_deploy.layers import Conv, Linear, Neuron, Product, Readout, Scale
from asnn_deploy.models.cells import MultiStep
from asnn_deploy.models.integers import IntegerLIF, IntegerReadout, IntegerSynapses, carrier
from asnn_deploy.models.layers import Encode, Multiply, PerStep, Synapses


@contextmanager
def exact_sums() -> Iterator[None]:
    """Evaluation in which torch computes plain sums: no gradients, and none of NNPACK's Winograd kernels."""
    with torch.no_grad(), torch.backends.nnpack.flags(enabled=False):
        yield


class SpikingNetwork(nn.Module):
    """8-bit images `[B, C, H, W]` to logits `[B, classes]`.

    layers: name to module, in order; the last one is the answer. Spiking layers (MultiStep) are what `trace` returns,
    under their names. sources: the names of the layers (or "input") that a layer reads; where it is not named, the
    layer before.
    """

    def __init__(
        self,
        code: InputCode,
        input_shape: tuple[int, ...],
        layers: Mapping[str, nn.Module],
        sources: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        super().__init__()
        self.code = code
        self.input_shape = input_shape
        self.encode = Encode(code)
        self.layers = nn.ModuleDict(layers)
        before = zip(layers, [INPUT, *layers])
        self.sources = {name: tuple((sources or {}).get(name, (last,))) for name, last in before}
        self._last_reader = {source: name for name, read in self.sources.items() for source in read}

    def forward(self, images: Tensor) -> Tensor:
        """See the class's text."""
        return self.trace(images)[0]

    def trace(self, images: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Logits, and the spikes of each spiking layer, `[T, B, ...]`."""
        x, spikes = self._before_answer(images)
        return self.answer(x), spikes

    def step_logits(self, images: Tensor) -> Tensor:
        """Each step's summand of the logits, `[T, B, classes]`, of a network that is not folded into integers."""
        return self.answer.summands(self._before_answer(images)[0])  # type: ignore[no-any-return]

    def first_not_finite(self, images: Tensor) -> str | None:
        """The first layer that gives NaN or infinity for these images; None where none does."""
        found: list[str] = []

        def look(name: str) -> Any:
            return lambda _module, _inputs, y: None if torch.isfinite(y).all() else found.append(name)

        hooks = [layer.register_forward_hook(look(name)) for name, layer in self.layers.items()]
        try:
            with torch.no_grad():
                self.trace(images)
        finally:
            for hook in hooks:
                hook.remove()
        return found[0] if found else None

    @property
    def answer(self) -> Any:
        """The last layer."""
        return self.layers[next(reversed(self.sources))]

    def _before_answer(self, images: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """What arrives at the last layer, and the spikes on the way."""
        signals, spikes = {INPUT: self.encode(images)}, {}
        *before, _ = self.layers.items()
        for name, layer in before:
            sources = self.sources[name]
            signals[name] = layer(*(signals[source] for source in sources))
            if isinstance(layer, (MultiStep, IntegerLIF)):
                spikes[name] = signals[name]
            for source in {source for source in sources if self._last_reader[source] == name}:
                del signals[source]
        (source,) = self.sources[next(reversed(self.sources))]
        return signals[source], spikes

    def quantize(self, bits: int) -> None:
        """Train with weights of that many bits from now on."""
        for module in self.layers.values():
            if isinstance(module, Synapses):
                module.quantize(bits)

    def settle_clips(self) -> None:
        """Choose the weight clips anew, where training is with few bits."""
        for module in self.layers.values():
            if isinstance(module, Synapses):
                module.settle_clips()

    def fold(self, graph: DeployGraph) -> None:
        """Compute with the weights of the graph that this network was lowered to (batch norm folded in, snapped), or
        with those of its integer version: then all is computed in integers, on the CPU."""
        if graph.arithmetic == "fixed":
            self._fold_integers(graph)
            return
        for name, module in self.layers.items():
            deployed = graph.by_name[name]
            if isinstance(module, Synapses) and isinstance(deployed, (Conv, Linear)):
                module.fold(deployed)

    def _fold_integers(self, graph: DeployGraph) -> None:
        known = bounds(graph)
        for name, module in self.layers.items():
            layer, shape = graph.by_name[name], graph.shapes[name]
            if isinstance(layer, (Conv, Linear)):
                self.layers[name] = IntegerSynapses(layer, known[name].signal)
            elif isinstance(layer, Product):
                self.layers[name] = Multiply(layer.equation, carrier(known[name].signal))
            elif isinstance(layer, Scale):
                self.layers[name] = nn.Identity()  # its factor is in the gain behind it
            elif isinstance(layer, Neuron):
                self.layers[name] = IntegerLIF(layer, shape)
            elif isinstance(layer, Readout):
                self.layers[name] = IntegerReadout(layer, shape)
            elif isinstance(module, PerStep) and isinstance(module.module, nn.AvgPool2d):
                module.module.divisor_override = 1  # integers are summed; the gain behind them divides
