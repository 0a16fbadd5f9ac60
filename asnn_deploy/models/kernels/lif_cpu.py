"""The LIF kernel on the CPU, compiled: blocks of neurons that stay in the cache over all steps, forward and backward.

Loops: `lif_loops.py`. Nothing but the input is kept for the backward pass: it computes the potentials again, which
costs less than to write them to memory and read them back. Samples are shared out among torch's number of threads;
what is added up is added in the same order however many there are.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from asnn_deploy.models.kernels import lif_loops
from asnn_deploy.models.kernels.lif_loops import BLOCK
from asnn_deploy.util.arrays import Array

PARTS = 8
"""Sums over samples are formed in so many parts, whatever the number of threads."""


def forward(
    x: Tensor, before: Tensor, leak: Tensor, gain: Tensor, threshold: Tensor, to_zero: bool, _save: bool
) -> tuple[Tensor, Tensor, None]:
    """Spikes `[T, outer, G, inner]`, in the type of x, and the last membrane potentials; the others are not kept.

    before: the membrane potentials before the first step, `[outer, G, inner]`.
    """
    inputs, start, *tables = _arrays(x, before, leak, gain, threshold)
    spikes, after = np.empty_like(inputs), np.empty_like(start)
    _shared(
        lambda first, last, _: lif_loops.forward(inputs, start, spikes, after, *tables, to_zero, first, last),
        inputs.shape[1],
    )
    fired = torch.from_numpy(spikes).reshape(x.shape).to(x.dtype)
    return fired, torch.from_numpy(after).reshape(before.shape), None


def backward(
    grad: Tensor,
    grad_after: Tensor,
    x: Tensor,
    before: Tensor,
    _potentials: None,
    leak: Tensor,
    gain: Tensor,
    threshold: Tensor,
    to_zero: bool,
    attached: bool,
    learned: bool,
) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None, Tensor | None]:
    """Gradients of x, before, leak, gain and threshold; the last three None where none of them is learned."""
    inputs, start, *tables = _arrays(x, before, leak, gain, threshold)
    outputs = grad.to(torch.from_numpy(inputs).dtype).reshape(inputs.shape).numpy()
    given, back = np.empty_like(inputs), grad_after.reshape(start.shape).numpy().copy()
    flags = to_zero, attached, learned
    sums = np.zeros((3, PARTS, *tables[0].shape)) if learned else np.zeros((3, PARTS, 1, 1, 1))
    _shared(
        lambda first, last, part: lif_loops.backward(
            inputs, start, outputs, given, back, *tables, *flags, sums[:, part], first, last
        ),
        inputs.shape[1],
    )
    states = torch.from_numpy(given).reshape(x.shape).to(x.dtype), torch.from_numpy(back).reshape(before.shape)
    if not learned:
        return *states, None, None, None
    steps, _, count, inner = x.shape
    each = sums.sum(1).reshape(3, steps, -1, count, inner if tables[0].shape[2] > 1 else 1).sum((2, 4))
    of_leak, of_gain, of_threshold = torch.from_numpy(each).to(leak.dtype)
    return *states, of_leak, of_gain, of_threshold


def _arrays(x: Tensor, before: Tensor, *tables: Tensor) -> list[Array]:
    """x as `[T, rows, run]`, before as `[rows, run]`, and tables `[T, P, run or 1]`: row r has the parameters r mod P.

    Runs are made as long as a block, where they can: each one has its price.
    """
    steps, outer, count, inner = x.shape
    wide = torch.float64 if x.dtype == torch.float64 else torch.float32
    rows, shape = outer * count, (steps, count, 1)
    if count > 1 and inner < BLOCK // 2:  # parameters of their own for all that is in a sample
        tables = tuple(table.repeat_interleave(inner, 1) for table in tables)
        rows, shape = outer, (steps, 1, count * inner)
    if shape[1] == 1:  # samples, or positions, side by side in one run
        size = count * inner
        merged = max(m for m in range(1, max(BLOCK // size, 1) + 1) if outer % m == 0)
        rows = outer // merged
        if shape[2] > 1:
            tables, shape = tuple(table.repeat(1, merged) for table in tables), (steps, 1, merged * size)
    # Copied: a storage that NumPy has seen cannot be freed, as FSDP does with gathered weights.
    copies = (table.reshape(shape).clone() for table in tables)
    arrays = [x.reshape(steps, rows, -1), before.reshape(rows, -1), *copies]
    return [array.detach().to(wide).contiguous().numpy() for array in arrays]


def _shared(work: Callable[[int, int, int], Any], rows: int) -> None:
    """`work(first, last, part)` for all parts of the rows."""
    edges = [rows * part // PARTS for part in range(PARTS + 1)]
    parts = iter(list(zip(edges, edges[1:], range(PARTS))))  # a list's iterator hands out each part once

    def some() -> None:
        for part in parts:
            work(*part)

    helpers = min(torch.get_num_threads(), PARTS) - 1
    helped = [_pool(helpers).submit(some) for _ in range(helpers)]
    some()
    for helper in helped:
        helper.result()


@lru_cache(maxsize=1)
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, "lif")
