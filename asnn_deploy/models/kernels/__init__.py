"""Fused kernels: all time steps of a layer of neurons in one pass, forward and backward.

`cells.lif_step` is the definition, step by step in Norse. The kernels give the same spikes, bit by bit in float32, and
its gradients; what they save is traffic: the membrane potential never leaves the registers or the cache between steps.
How to add one: a file like `lif_cpu.py` with `forward` and `backward`, and its line in `_backend`.
"""

from __future__ import annotations

import importlib.util
import math
import os
from itertools import takewhile
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
"""Triton's own switch: its kernels then run in Python on the CPU, so that they are tested where there is no GPU."""
CHANNELS_LAST = [0, 1, 3, 4, 2]


def available(device: torch.device) -> bool:
    """Whether there is a kernel for tensors on this device."""
    return device.type == "cpu" or (device.type == "cuda" and importlib.util.find_spec("triton") is not None)


def fused_lif(
    x: Tensor, v: Tensor | None, leak: Tensor, gain: Tensor, threshold: Tensor, to_zero: bool, attached: bool
) -> tuple[Tensor, Tensor]:
    """Spikes `[T, B, ...]`, in the type of x, of LIF neurons, and the membrane potentials `[B, ...]` that they leave.

    x: the input, `[T, B, ...]`. v: the membrane potentials before the first step, None for 0.
    leak, gain, threshold: `[T]`, or `[T, *granularity]`, where the granularity broadcasts against a sample's shape.
    to_zero: reset to zero, not by subtraction. attached: the reset passes gradients to the spikes.
    """
    axes = max(table.dim() for table in (leak, gain, threshold))
    aligned = (table.reshape(len(x), *table.shape[1:] or (1,) * (axes - 1)) for table in (leak, gain, threshold))
    tables = list(torch.broadcast_tensors(*aligned))
    if v is None:
        v = torch.zeros_like(x[0], dtype=leak.dtype)
    if x.dim() == 5 and not x.is_contiguous() and x.permute(CHANNELS_LAST).is_contiguous():
        if tables[0].dim() > 1:
            tables = [table.permute(0, 2, 3, 1) for table in tables]
        spikes, v = _by_rows(x.permute(CHANNELS_LAST), v.permute(0, 2, 3, 1), tables, to_zero, attached)
        return spikes.permute(0, 1, 4, 2, 3), v.permute(0, 3, 1, 2)
    return _by_rows(x, v, tables, to_zero, attached)


def _by_rows(x: Tensor, v: Tensor, tables: list[Tensor], to_zero: bool, attached: bool) -> tuple[Tensor, Tensor]:
    """The kernels see `[T, outer, G, inner]`: G parameters a step, each for `inner` neighbours in memory."""
    sample, grain = x.shape[2:], tables[0].shape[1:]
    shared = 0  # axes before the first one along which parameters differ: their positions are as good as samples
    while math.prod(grain) > 1 and grain[shared] == 1:
        shared += 1
    outer, sample, grain = math.prod(x.shape[1 : 2 + shared]), sample[shared:], grain[shared:]
    tables = [table.reshape(len(x), *grain) for table in tables]
    own = len(list(takewhile(lambda pair: pair[0] == pair[1], zip(sample, grain))))
    if math.prod(grain[own:]) > 1:  # parameters that are shared along one axis and differ along a later one
        own, tables = len(sample), [table.expand(-1, *sample) for table in tables]
    count = math.prod(sample[:own])
    tables = [table.reshape(len(x), count) for table in tables]
    before = v.contiguous().reshape(outer, count, -1)
    spikes, after = FusedLIF.apply(x.contiguous().reshape(len(x), *before.shape), before, *tables, to_zero, attached)
    return spikes.reshape(x.shape), after.reshape(v.shape)


class FusedLIF(torch.autograd.Function):
    """x `[T, outer, G, inner]`; the potentials before it `[outer, G, inner]`; leak, gain, threshold `[T, G]`."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any,
        x: Tensor,
        before: Tensor,
        leak: Tensor,
        gain: Tensor,
        threshold: Tensor,
        to_zero: bool,
        attached: bool,
    ) -> tuple[Tensor, Tensor]:
        """See the class's text."""
        tables = [table.contiguous() for table in (leak, gain, threshold)]
        spikes, after, potentials = _backend(x).forward(x, before, *tables, to_zero, any(ctx.needs_input_grad))
        ctx.save_for_backward(x, before, potentials, *tables)
        ctx.reset = to_zero, attached
        return spikes, after

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, grad_after: Tensor) -> Any:  # type: ignore[override]
        """See the class's text."""
        x, before, potentials, *tables = ctx.saved_tensors
        learned = any(ctx.needs_input_grad[2:5])
        grads = grad.contiguous(), grad_after
        return *_backend(x).backward(*grads, x, before, potentials, *tables, *ctx.reset, learned), None, None


def _backend(x: Tensor) -> Any:
    if x.device.type == "cuda" or INTERPRETED:
        from asnn_deploy.models.kernels import lif_triton

        return lif_triton
    from asnn_deploy.models.kernels import lif_cpu

    return lif_cpu
