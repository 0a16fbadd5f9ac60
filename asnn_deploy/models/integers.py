"""The trained network in integers: torch modules that take the place of its own in an integer graph.

They compute `asnn_deploy.ir.fixed_point` in torch's integers, independently of the NumPy executors. Sums of weights are
left to floating point where the overflow proof shows that it carries them exactly. All take `[T, B, ...]`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from asnn_deploy.analysis.intervals import Interval
from asnn_deploy.ir.fixed_point import LEAK_SHIFT, STATE_BITS, largest
from asnn_deploy.ir.layers import Conv, Linear, Neuron, Readout
from asnn_deploy.ir.step_table import StepTable, over_axes

FLOAT32_EXACT = 2**24


class IntegerSynapses(nn.Module):
    """A convolution or linear layer with integer weights; what leaves are whole numbers in floating point."""

    def __init__(self, layer: Conv | Linear, sums: Interval) -> None:
        super().__init__()
        self.layer = layer
        self.carrier = carrier(sums)
        self.weights = [torch.tensor(weight, dtype=self.carrier) for weight in layer.weight.values]

    def forward(self, x: Tensor) -> Tensor:
        """See the class's text."""
        return torch.stack([self.at(t, part.to(self.carrier)) for t, part in enumerate(x)])

    def at(self, t: int, x: Tensor) -> Tensor:
        """The sums at step t, `[B, ...]`."""
        layer, weight = self.layer, self.weights[self.layer.weight.index[t]]
        if isinstance(layer, Linear):
            return functional.linear(x, weight)
        convolve = functional.conv1d if weight.dim() == 3 else functional.conv2d
        return convolve(x, weight, None, layer.stride, layer.padding, layer.dilation, layer.groups)  # type: ignore[arg-type]


class IntegerLIF(nn.Module):
    """A LIF population in integers; spikes leave as 0 or 1 in float32."""

    def __init__(self, layer: Neuron, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.reset = layer.reset
        self.tables = {key: _per_step(table, shape) for key, table in layer.parameters.items()}

    def forward(self, x: Tensor) -> Tensor:
        """See the class's text."""
        v, spikes = torch.zeros_like(x[0], dtype=torch.int64), []
        for t, current in enumerate(x):
            p = {key: values[t] for key, values in self.tables.items()}
            v = _divide(v * p["leak"], LEAK_SHIFT) + _divide(current.long() * p["gain"], p["gain_shift"]) + p["bias"]
            v = v.clamp(-largest(STATE_BITS), largest(STATE_BITS))
            fired = v > p["threshold"]
            v = torch.where(fired, 0 if self.reset == "zero" else v - p["threshold"], v)
            spikes.append(fired.float())
        return torch.stack(spikes)


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


def carrier(sums: Interval) -> torch.dtype:
    """The floating-point type in which integer sums are exact."""
    return torch.float32 if sums.magnitude.max() < FLOAT32_EXACT else torch.float64


def _per_step(table: StepTable, shape: tuple[int, ...]) -> list[Tensor]:
    return [torch.tensor(over_axes(table.at(t), shape), dtype=torch.int64) for t in range(table.time_steps)]


def _divide(x: Tensor, exponent: int | Tensor) -> Tensor:
    """`x / 2**exponent` truncated towards zero."""
    divisor = torch.bitwise_left_shift(torch.tensor(1), torch.as_tensor(exponent))
    return torch.div(x, divisor, rounding_mode="trunc")
