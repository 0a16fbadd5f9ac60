"""Neurons read by torch: the operations of `asnn_deploy.ir.neurons.operations` on tensors, floats and integers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from norse.torch.functional.threshold import threshold as surrogate
from torch import Tensor

from asnn_deploy.errors import UnsupportedError
from asnn_deploy.ir.fixed_point import LEAK_SHIFT, STATE_BITS, largest
from asnn_deploy.ir.neurons.firing import Firing
from asnn_deploy.ir.neurons.operations import Membranes, immediate

SURROGATE_SLOPE = 2.0
"""Norse's "tanh" surrogate with slope 2 has the gradient of a sigmoid of slope 4, the one of ASNN's reference code."""


@dataclass(frozen=True)
class TorchFloats(Membranes):
    """Floats that train: `fire` has a surrogate gradient. attached: the reset passes gradients to the spikes.

    Products and sums are separate: a fused multiply-add rounds once where every other target rounds twice.
    """

    attached: bool = True

    def add(self, a: Tensor, b: Tensor) -> Tensor:
        """See Operations."""
        return a + b

    def sub(self, a: Tensor, b: Tensor) -> Tensor:
        """See Operations."""
        return a - b

    def mul(self, factor: Tensor, x: Tensor) -> Tensor:
        """See Operations."""
        return factor * x

    def div(self, x: Tensor, divisor: Tensor) -> Tensor:
        """See Operations."""
        return x / divisor

    def compare(self, v: Tensor, threshold: Tensor, firing: Firing) -> Tensor:
        """See Membranes. Only what fires once above its threshold trains. Raises UnsupportedError for anything else."""
        if not firing.plain:
            raise UnsupportedError("neurons that fire at their threshold or several times in a step cannot be trained")
        return surrogate(v - threshold, "tanh", SURROGATE_SLOPE)

    def drop(self, v: Tensor, threshold: Tensor, spikes: Tensor) -> Tensor:
        """See Membranes."""
        return v - (spikes if self.attached else spikes.detach()) * threshold

    def put(self, v: Tensor, value: Tensor | None, spikes: Tensor) -> Tensor:
        """See Membranes."""
        cleared = spikes if self.attached else spikes.detach()
        return v * (1 - cleared) + (0 if value is None else cleared * value)

    def hold(self, v: Tensor, minimum: Tensor) -> Tensor:
        """See Membranes."""
        return torch.relu(v - minimum) + minimum

    def fire(self, v: Tensor, threshold: Tensor, reset: str) -> tuple[Tensor, Tensor]:
        """See Operations."""
        immediate(reset)
        spikes = surrogate(v - threshold, "tanh", SURROGATE_SLOPE)
        cleared = spikes if self.attached else spikes.detach()
        return spikes, v * (1 - cleared) if reset == "zero" else v - cleared * threshold


class TorchIntegers(Membranes):
    """Int64 tensors: the arithmetic of `ir/fixed_point.py`, independently of the NumPy executors."""

    def add(self, a: Tensor, b: Tensor) -> Tensor:
        """See Operations."""
        return a + b

    def decay(self, leak: Tensor, x: Tensor) -> Tensor:
        """See Operations."""
        return _divide(x * leak, torch.tensor(LEAK_SHIFT))

    def scale(self, gain: Tensor, shift: Tensor, x: Tensor) -> Tensor:
        """See Operations."""
        return _divide(x * gain, shift)

    def align(self, x: Tensor, bits: int) -> Tensor:
        """See Operations."""
        return x * (1 << bits)

    def saturate(self, state: str, x: Tensor) -> Tensor:
        """See Operations."""
        return x.clamp(-largest(STATE_BITS), largest(STATE_BITS))

    def wrap(self, state: str, x: Tensor) -> Tensor:
        """See Operations."""
        whole = 1 << STATE_BITS
        return torch.where(x > whole // 2, x - whole, torch.where(x <= -whole // 2, x + whole, x))

    def sub(self, a: Tensor, b: Tensor) -> Tensor:
        """See Operations."""
        return a.to(torch.int64) - b.to(torch.int64)

    def settled(self, v: Tensor) -> Tensor:
        """See Membranes."""
        return self.saturate("v", v)

    def compare(self, v: Tensor, threshold: Tensor, firing: Firing) -> Tensor:
        """See Membranes."""
        if firing.many:
            return torch.where(v > 0, torch.div(v, threshold, rounding_mode="floor"), 0)
        return (v >= threshold if firing.at else v > threshold).to(v.dtype)

    def drop(self, v: Tensor, threshold: Tensor, spikes: Tensor) -> Tensor:
        """See Membranes."""
        return v - spikes * threshold

    def put(self, v: Tensor, value: Tensor | None, spikes: Tensor) -> Tensor:
        """See Membranes."""
        return torch.where(spikes > 0, torch.zeros_like(v) if value is None else value, v)

    def hold(self, v: Tensor, minimum: Tensor) -> Tensor:
        """See Membranes."""
        return torch.maximum(v, minimum)

    def fire(self, v: Tensor, threshold: Tensor, reset: str) -> tuple[Tensor, Tensor]:
        """See Operations."""
        immediate(reset)
        fired = v > threshold
        rest: Any = torch.zeros_like(v) if reset == "zero" else v - threshold
        return fired, torch.where(fired, rest, v)


def _divide(x: Tensor, exponent: Tensor) -> Tensor:
    """`x / 2**exponent` truncated towards zero."""
    return torch.div(x, torch.bitwise_left_shift(torch.tensor(1), exponent), rounding_mode="trunc")
