"""SpikingNetwork: an input code and a sequence of named layers over time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from asnn_deploy.graph import Conv, DeployGraph, Linear
from asnn_deploy.input_code import InputCode
from asnn_deploy.models.cells import MultiStep
from asnn_deploy.models.layers import Encode, Synapses


@contextmanager
def exact_sums() -> Iterator[None]:
    """Evaluation in which torch computes plain sums: no gradients, and none of NNPACK's Winograd kernels."""
    with torch.no_grad(), torch.backends.nnpack.flags(enabled=False):
        yield


class SpikingNetwork(nn.Module):
    """8-bit images `[B, C, H, W]` to logits `[B, classes]`.

    layers: name to module, in order; the last one is the answer. Spiking layers (MultiStep) are what `trace` returns,
    under their names.
    """

    def __init__(self, code: InputCode, input_shape: tuple[int, ...], layers: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.code = code
        self.input_shape = input_shape
        self.encode = Encode(code)
        self.layers = nn.ModuleDict(layers)

    def forward(self, images: Tensor) -> Tensor:
        """See the class's text."""
        return self.trace(images)[0]

    def trace(self, images: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Logits, and the spikes of each spiking layer, `[T, B, ...]`."""
        x, spikes = self.encode(images), {}
        for name, layer in self.layers.items():
            x = layer(x)
            if isinstance(layer, MultiStep):
                spikes[name] = x
        return x, spikes

    def fold(self, graph: DeployGraph) -> None:
        """Compute with the weights of the graph that this network was lowered to (batch norm folded in, snapped)."""
        for name, module in self.layers.items():
            deployed = graph.by_name[name]
            if isinstance(module, Synapses) and isinstance(deployed, (Conv, Linear)):
                module.fold(deployed)
