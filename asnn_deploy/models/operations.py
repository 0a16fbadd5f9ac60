"""Neurons read by torch: the operations of `asnn_deploy.ir.neurons.operations` on tensors, floats and integers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from norse.torch.functional.threshold import threshold as surrogate
from torch import Tensor

from asnn_deploy.ir.fixed_point import LEAK_SHIFT, STATE_BITS, largest

SURROGATE_SLOPE = 2.0
"""Norse's "tanh" surrogate with slope 2 has the gradient of a sigmoid of slope 4, the one of ASNN's reference code."""


@dataclass(frozen=True)
class TorchFloats:
    """Floats that train: `fire` has a surrogate gradient. attached: the reset passes gradients to the spikes.

    Products and sums are separate: a fused multiply-add rounds once where every other target rounds twice.
    """

    attached: bool = True

    def add(self, a: Tensor, b: Tensor) -> Tensor:
        """See Operations."""
        return a + b

    def mul(self, factor: Tensor, x: Tensor) -> Tensor:
        """See Operations."""
        return factor * x

    def fire(self, v: Tensor, threshold: Tensor, reset: str) -> tuple[Tensor, Tensor]:
        """See Operations."""
        spikes = surrogate(v - threshold, "tanh", SURROGATE_SLOPE)
        cleared = spikes if self.attached else spikes.detach()
        return spikes, v * (1 - cleared) if reset == "zero" else v - cleared * threshold


class TorchIntegers:
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

    def fire(self, v: Tensor, threshold: Tensor, reset: str) -> tuple[Tensor, Tensor]:
        """See Operations."""
        fired = v > threshold
        rest: Any = torch.zeros_like(v) if reset == "zero" else v - threshold
        return fired, torch.where(fired, rest, v)


def _divide(x: Tensor, exponent: Tensor) -> Tensor:
    """`x / 2**exponent` truncated towards zero."""
    return torch.div(x, torch.bitwise_left_shift(torch.tensor(1), exponent), rounding_mode="trunc")
