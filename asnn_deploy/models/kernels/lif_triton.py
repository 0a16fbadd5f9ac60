"""The LIF kernel on CUDA, in Triton: the membrane potentials stay in registers over all steps.

x is seen as K positions by G granules, `K = outer * inner`, and worked on in tiles: many positions of one granule
where a granule's neighbours lie side by side in memory, some positions of many granules where granules do. So a tile
reads whole lines of memory either way, and sums its gradients of the parameters by itself.

The backward pass needs the input, and the potentials before every SPAN-th step: it computes the others again, a span
of steps at a time, and holds them in registers. So a neuron's traffic is 8 bytes a step forward (float32 input and
spikes), 12 backward (input and both gradients), and 4 / SPAN more either way, which is next to the least possible.

Multiplications and additions are kept apart (OPTIONS): a fused multiply-add rounds once where
`cells.lif_step` rounds twice, and a spike in a million would differ. The state is float32 whatever the type of x.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

TILE = 512
COLUMNS = 64
OPTIONS = {"enable_fp_fusion": False}
SPAN = 4
"""Steps whose potentials the backward pass holds in registers."""


@triton.jit  # type: ignore[untyped-decorator]
def reset(u, threshold, TO_ZERO: tl.constexpr):  # type: ignore[no-untyped-def]
    """The potential u behind its spike, if it gave one."""
    return tl.where(u > threshold, 0.0 if TO_ZERO else u - threshold, u)


@triton.jit  # type: ignore[untyped-decorator]
def lif_forward(  # type: ignore[no-untyped-def]
    x, before, spikes, after, kept, leak, gain, threshold, steps, size, positions, granules, inner,
    ROWS: tl.constexpr, COLS: tl.constexpr, SPAN: tl.constexpr, TO_ZERO: tl.constexpr, SAVE: tl.constexpr,
):  # fmt: skip
    """One tile: x to spikes. Pointers go from step to step.

    kept: the potentials before every SPAN-th step but the first, where SAVE.
    """
    k = (tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS))[:, None]
    c = (tl.program_id(1) * COLS + tl.arange(0, COLS))[None, :]
    at = k // inner * inner * granules + k % inner + c * inner
    inside = (k < positions) & (c < granules)
    v = tl.load(before + at, inside, 0)
    for t in range(steps):
        if SAVE:  # noqa: SIM102 (this one is compiled away)
            if (t > 0) & (t % SPAN == 0):
                tl.store(kept + at, v, inside)
                kept += size
        a = tl.load(leak + c, c < granules, 0)
        b = tl.load(gain + c, c < granules, 0)
        th = tl.load(threshold + c, c < granules, 0)
        u = a * v + b * tl.load(x + at, inside, 0).to(v.dtype)
        tl.store(spikes + at, tl.where(u > th, 1.0, 0.0).to(spikes.dtype.element_ty), inside)
        v = reset(u, th, TO_ZERO)
        x += size
        spikes += size
        leak += granules
        gain += granules
        threshold += granules
    tl.store(after + at, v, inside)


@triton.jit  # type: ignore[untyped-decorator]
def lif_backward(  # type: ignore[no-untyped-def]
    grad, x, before, kept, given, backwards, sums, leak, gain, threshold,
    steps, size, positions, granules, inner, spans, table,
    ROWS: tl.constexpr, COLS: tl.constexpr, SPAN: tl.constexpr, TO_ZERO: tl.constexpr, ATTACHED: tl.constexpr,
    LEARNED: tl.constexpr,
):  # fmt: skip
    """One tile, from the last span of steps to the first; what a span has beyond the last step counts for nothing.

    backwards: the gradient of the last potentials, which becomes that of the first ones.
    sums: the tile's gradients of the parameters, `[3, tiles, T, G]`; table: the size of one of the three.
    """
    k = (tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS))[:, None]
    c = (tl.program_id(1) * COLS + tl.arange(0, COLS))[None, :]
    at = k // inner * inner * granules + k % inner + c * inner
    inside = (k < positions) & (c < granules)
    column = tl.program_id(1) * COLS + tl.arange(0, COLS)
    sums += tl.program_id(0).to(tl.int64) * steps * granules + column
    back = tl.load(backwards + at, inside, 0)
    for i in range(spans):
        span = tl.cast(spans - 1 - i, tl.int64)
        if span == 0:  # noqa: SIM108 (either may not be loaded)
            start = tl.load(before + at, inside, 0)
        else:
            start = tl.load(kept + (span - 1) * size + at, inside, 0)
        v = start
        potentials = ()
        inputs = ()
        for j in tl.static_range(SPAN):
            t = span * SPAN + j
            there = (c < granules) & (t < steps)
            a = tl.load(leak + t * granules + c, there, 0)
            b = tl.load(gain + t * granules + c, there, 0)
            th = tl.load(threshold + t * granules + c, there, 0)
            arrived = tl.load(x + t * size + at, inside & (t < steps), 0).to(v.dtype)
            u = a * v + b * arrived
            v = reset(u, th, TO_ZERO)
            potentials = potentials + (u,)  # type: ignore[assignment]  # noqa: RUF005
            inputs = inputs + (arrived,)  # type: ignore[assignment]  # noqa: RUF005
        for j in tl.static_range(SPAN - 1, -1, -1):
            t = span * SPAN + j
            there = (c < granules) & (t < steps)
            a = tl.load(leak + t * granules + c, there, 0)
            b = tl.load(gain + t * granules + c, there, 0)
            th = tl.load(threshold + t * granules + c, there, 0)
            u = potentials[j]
            h = tl.load(grad + t * size + at, inside & (t < steps), 0).to(u.dtype)
            if ATTACHED:
                h -= (u if TO_ZERO else th) * back
            e = tl.exp(-4 * tl.abs(u - th))  # 1 - tanh(2z)**2 = 4 e / (1 + e)**2: Norse's "tanh" surrogate of slope 2
            h *= 4 * e / ((1 + e) * (1 + e))
            g = h + (tl.where(u > th, 0.0, back) if TO_ZERO else back)
            tl.store(given + t * size + at, (b * g).to(given.dtype.element_ty), inside & (t < steps))
            if LEARNED:
                if j == 0:
                    v = start
                else:
                    v = reset(potentials[j - 1], tl.load(threshold + (t - 1) * granules + c, there, 0), TO_ZERO)
                of_threshold = -h if TO_ZERO else -h - tl.where(u > th, back, 0.0)
                of_threshold = tl.where(inside, of_threshold, 0.0)
                own = (column < granules) & (t < steps)
                tl.store(sums + t * granules, tl.sum(g * v, 0), own)
                tl.store(sums + table + t * granules, tl.sum(g * inputs[j], 0), own)
                tl.store(sums + table + table + t * granules, tl.sum(of_threshold, 0), own)
            back = tl.where(t < steps, a * g, back)
    tl.store(backwards + at, back, inside)


def forward(
    x: Tensor, before: Tensor, leak: Tensor, gain: Tensor, threshold: Tensor, to_zero: bool, save: bool
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Spikes `[T, outer, G, inner]`, in the type of x, the last membrane potentials after the reset, and where `save`
    those that the backward pass starts from, `[spans - 1, outer, G, inner]`.

    before: the membrane potentials before the first step, `[outer, G, inner]`.
    """
    spikes, after, state = torch.empty_like(x), torch.empty_like(before), before.dtype
    span, spans = _spans(len(x))
    kept = torch.empty((spans - 1 if save else 0, *before.shape), dtype=state, device=x.device)
    tables = [table.to(state) for table in (leak, gain, threshold)]
    tiles, grid = _tiles(x)
    flags = {"SPAN": span, "TO_ZERO": to_zero, "SAVE": save}
    arrays = x, before, spikes, after, kept, *tables
    lif_forward[grid](*arrays, *_sizes(x), **tiles, **flags, **OPTIONS)
    return spikes, after, kept if save else None


def backward(
    grad: Tensor,
    grad_after: Tensor,
    x: Tensor,
    before: Tensor,
    kept: Tensor,
    leak: Tensor,
    gain: Tensor,
    threshold: Tensor,
    to_zero: bool,
    attached: bool,
    learned: bool,
) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None, Tensor | None]:
    """Gradients of x, before, leak, gain and threshold; the last three None where none of them is learned."""
    given, backwards = torch.empty_like(x), grad_after.clone(memory_format=torch.contiguous_format)
    tables = [table.to(before.dtype) for table in (leak, gain, threshold)]
    tiles, grid = _tiles(x)
    shape = (3, grid[0], *leak.shape) if learned else (1,)
    sums = torch.empty(shape, dtype=before.dtype, device=x.device)
    span, spans = _spans(len(x))
    flags = {"SPAN": span, "TO_ZERO": to_zero, "ATTACHED": attached, "LEARNED": learned}
    arrays = grad, x, before, kept, given, backwards, sums, *tables
    sizes = *_sizes(x), spans, grid[0] * leak.numel()
    lif_backward[grid](*arrays, *sizes, **tiles, **flags, **OPTIONS)
    if not learned:
        return given, backwards, None, None, None
    of_leak, of_gain, of_threshold = sums.sum(1).to(leak.dtype)
    return given, backwards, of_leak, of_gain, of_threshold


def _spans(steps: int) -> tuple[int, int]:
    """The length of a span of steps, and how many there are of them."""
    spans = triton.cdiv(steps, SPAN)
    return triton.cdiv(steps, spans), spans


def _sizes(x: Tensor) -> tuple[int, int, int, int, int]:
    """Steps, elements of a step, positions, granules, and neighbours that share a granule."""
    steps, outer, granules, inner = x.shape
    return steps, outer * granules * inner, outer * inner, granules, inner


def _tiles(x: Tensor) -> tuple[dict[str, Any], tuple[int, int]]:
    """A tile's sides, and how many tiles there are of them."""
    _, _, positions, granules, inner = _sizes(x)
    columns = 1 if inner > 1 else min(COLUMNS, triton.next_power_of_2(granules))
    rows = TILE // columns
    return {"ROWS": rows, "COLS": columns}, (triton.cdiv(positions, rows), triton.cdiv(granules, columns))
