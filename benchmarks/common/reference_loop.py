"""A network as the ASNN reference code runs it: a loop of eager torch modules, one time step after another.

Written from the paper's equations (arXiv 2408.12407) for any `SpikingNetwork`, whose weights it copies.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from asnn_deploy.ir.graph import INPUT
from asnn_deploy.models.cells import MultiStep
from asnn_deploy.models.layers import Synapses
from asnn_deploy.models.network import SpikingNetwork


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
    """`v = leak[t] v + gain[t] I`, spike where v > 1, `v = v - spike`; the answer is the mean of `scale[t] x[t]`."""

    def __init__(self, network: SpikingNetwork) -> None:
        super().__init__()
        self.network = copy.deepcopy(network).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]

    def forward(self, images: Tensor) -> Tensor:
        """Logits `[B, classes]`."""
        network = self.network
        frames = network.encode(images).contiguous()
        *layers, (answer, readout) = network.layers.items()
        potentials: dict[str, Any] = {}
        total: Any = 0.0
        for t, frame in enumerate(frames):
            signals = {INPUT: frame}
            for name, layer in layers:
                read = [signals[source] for source in network.sources[name]]
                if isinstance(layer, Synapses):
                    k, scale = layer.index[t], layer.input_scale[t]
                    x = layer.weights[k](read[0] if scale == 1 else read[0] * scale)
                    signals[name] = layer.norms[k](x) if layer.norms else x
                elif isinstance(layer, MultiStep):
                    p: Any = layer.cell.p
                    v = p.leak[t] * potentials.get(name, 0.0) + p.gain[t] * read[0]
                    signals[name] = Surrogate.apply(v - 1)
                    potentials[name] = v - signals[name]
                else:
                    signals[name] = layer(*(x[None] for x in read))[0]
            total = total + readout.scale[t] * signals[network.sources[answer][0]]
        return total / len(frames)
