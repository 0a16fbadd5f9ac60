"""The trained network in integers: torch modules that take the place of its own in an integer graph.

They compute `asnn_deploy.ir.fixed_point` in torch's integers, independently of the NumPy executors. Sums of weights are
left to floating point where the overflow proof shows that it carries them exactly. All take `[T, B, ...]`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from asnn_deploy.ir.layers import Neuron, Readout, Synapses
from asnn_deploy.ir.neurons import Parameters
from asnn_deploy.ir.step_table import StepTable
from asnn_deploy.models.operations import TorchIntegers

FLOAT32_EXACT = 2**24


class IntegerSynapses(nn.Module):
    """A convolution or linear layer with integer weights; what leaves are whole numbers in floating point.

    largest: the largest magnitude of any sum.
    """

    def __init__(self, layer: Synapses, largest: float) -> None:
        super().__init__()
        self.layer = layer
        self.carrier = carrier(largest)
        self.weights = [torch.tensor(weight, dtype=self.carrier) for weight in layer.weight.values]

    def forward(self, x: Tensor) -> Tensor:
        """See the class's text."""
        return torch.stack([self.at(t, part.to(self.carrier)) for t, part in enumerate(x)])

    def at(self, t: int, x: Tensor) -> Tensor:
        """The sums at step t, `[B, ...]`."""
        layer, weight = self.layer, self.weights[self.layer.weight.index[t]]
        if layer.sliding is None:
            return functional.linear(x, weight)
        convolve = functional.conv1d if weight.dim() == 3 else functional.conv2d
        _, stride, padding, dilation, groups = layer.sliding
        return convolve(x, weight, None, stride, padding, dilation, groups)  # type: ignore[arg-type]


class IntegerNeuron(nn.Module):
    """A population of neurons in integers, by its model's definition; what it sends leaves in float32."""

    def __init__(self, layer: Neuron, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.model, self.steps = layer.definition, next(iter(layer.parameters.values())).time_steps
        self.parameters_at = [
            Parameters({k: torch.as_tensor(v) for k, v in vars(p).items() if k != "reset"}, layer.firing)
            for p in (layer.parameters_at(t, shape, np.int64, fixed=True) for t in range(self.steps))
        ]

    def forward(self, x: Tensor) -> Tensor:
        """See the class's text."""
        zero = torch.zeros_like(x[0], dtype=torch.int64)
        state, found = self.model.before(self.parameters_at[0], zero, zero.__add__), []
        ops: Any = TorchIntegers()
        for current, p in zip(x, self.parameters_at):
            sent, state = self.model.step_fixed(ops, state, current.long(), p)
            found.append(sent.float())
        return torch.stack(found)


class IntegerReadout(nn.Module):
    """The answer: an integer sum over the steps times its unit, `[B, classes]` float64."""

    def __init__(self, layer: Readout, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.unit = layer.unit
        self.scale = _per_step(layer.scale, shape)
        self.bias = None if layer.bias is None else _per_step(layer.bias, shape)

    def forward(self, x: Tensor) -> Tensor:
        """See the class's text."""
        total = torch.zeros_like(x[0], dtype=torch.int64)
        for t, current in enumerate(x):
            total = total + current.long() * self.scale[t] + (0 if self.bias is None else self.bias[t])
        return total.double() * self.unit


def carrier(largest: float) -> torch.dtype:
    """Return the floating-point type in which integer sums up to a magnitude are exact."""
    return torch.float32 if largest < FLOAT32_EXACT else torch.float64


def _per_step(table: StepTable, shape: tuple[int, ...]) -> list[Tensor]:
    return [torch.tensor(table.at(t, over=shape), dtype=torch.int64) for t in range(table.time_steps)]
