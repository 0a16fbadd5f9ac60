"""The LIF kernel on CUDA, in Triton: the membrane potentials stay in registers over all steps.

x is seen as K positions by G granules, `K = outer * inner`, and worked on in tiles: many positions of one granule
where a granule's neighbours lie side by side in memory, some positions of many granules where granules do. So a tile
reads whole lines of memory either way, and sums its gradients of the parameters by itself.

Multiplications and additions are kept apart (`enable_fp_fusion=False`): a fused multiply-add rounds once where
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


@triton.jit  # type: ignore[untyped-decorator]
def lif_forward(  # type: ignore[no-untyped-def]
    x, before, spikes, after, potentials, leak, gain, threshold, steps, size, positions, granules, inner,
    ROWS: tl.constexpr, COLS: tl.constexpr, TO_ZERO: tl.constexpr, SAVE: tl.constexpr,
):  # fmt: skip
    """One tile: x to spikes, and the potentials before the reset where SAVE. Pointers go from step to step."""
    k = (tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS))[:, None]
    c = (tl.program_id(1) * COLS + tl.arange(0, COLS))[None, :]
    at = k // inner * inner * granules + k % inner + c * inner
    inside = (k < positions) & (c < granules)
    v = tl.load(before + at, inside, 0)
    for _ in range(steps):
        a = tl.load(leak + c, c < granules, 0)
        b = tl.load(gain + c, c < granules, 0)
        th = tl.load(threshold + c, c < granules, 0)
        u = a * v + b * tl.load(x + at, inside, 0).to(v.dtype)
        fired = u > th
        tl.store(spikes + at, tl.where(fired, 1.0, 0.0).to(spikes.dtype.element_ty), inside)
        if SAVE:
            tl.store(potentials + at, u, inside)
            potentials += size
        v = tl.where(fired, 0.0 if TO_ZERO else u - th, u)
        x += size
        spikes += size
        leak += granules
        gain += granules
        threshold += granules
    tl.store(after + at, v, inside)


@triton.jit  # type: ignore[untyped-decorator]
def lif_backward(  # type: ignore[no-untyped-def]
    grad, x, before, potentials, given, backwards, sums, leak, gain, threshold,
    steps, size, positions, granules, inner, last, last_table, table,
    ROWS: tl.constexpr, COLS: tl.constexpr, TO_ZERO: tl.constexpr, ATTACHED: tl.constexpr, LEARNED: tl.constexpr,
):  # fmt: skip
    """One tile, from the last step to the first; last: the last step's place, last_table: that of its parameters.

    backwards: the gradient of the last potentials, which becomes that of the first ones.
    sums: the tile's gradients of the parameters, `[3, tiles, T, G]`; table: the size of one of the three.
    """
    k = (tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS))[:, None]
    c = (tl.program_id(1) * COLS + tl.arange(0, COLS))[None, :]
    at = k // inner * inner * granules + k % inner + c * inner
    inside = (k < positions) & (c < granules)
    column = tl.program_id(1) * COLS + tl.arange(0, COLS)
    sums += tl.program_id(0) * steps * granules + last_table
    grad += last
    x += last
    given += last
    potentials += last
    leak += last_table
    gain += last_table
    threshold += last_table
    back = tl.load(backwards + at, inside, 0)
    for i in range(steps):
        a = tl.load(leak + c, c < granules, 0)
        b = tl.load(gain + c, c < granules, 0)
        th = tl.load(threshold + c, c < granules, 0)
        u = tl.load(potentials + at, inside, 0)
        h = tl.load(grad + at, inside, 0).to(u.dtype)
        fired = u > th
        if ATTACHED:
            h -= (u if TO_ZERO else th) * back
        e = tl.exp(-4 * tl.abs(u - th))  # 1 - tanh(2z)**2 = 4 e / (1 + e)**2: Norse's "tanh" surrogate of slope 2
        h *= 4 * e / ((1 + e) * (1 + e))
        g = h + (tl.where(fired, 0.0, back) if TO_ZERO else back)
        tl.store(given + at, (b * g).to(given.dtype.element_ty), inside)
        more = i + 1 < steps
        leak -= granules
        gain -= granules
        threshold -= granules
        potentials -= size
        if LEARNED:
            arrived = tl.load(x + at, inside, 0).to(u.dtype)
            w = tl.load(potentials + at, inside & more, 0)
            wth = tl.load(threshold + c, (c < granules) & more, 0)
            v = tl.where(w > wth, 0.0 if TO_ZERO else w - wth, w)
            v = tl.where(more, v, tl.load(before + at, inside & (i + 1 == steps), 0))
            of_threshold = -h if TO_ZERO else -h - tl.where(fired, back, 0.0)
            of_threshold = tl.where(inside, of_threshold, 0.0)
            tl.store(sums + column, tl.sum(g * v, 0), column < granules)
            tl.store(sums + table + column, tl.sum(g * arrived, 0), column < granules)
            tl.store(sums + 2 * table + column, tl.sum(of_threshold, 0), column < granules)
            sums -= granules
        back = a * g
        grad -= size
        x -= size
        given -= size
    tl.store(backwards + at, back, inside)


def forward(
    x: Tensor, before: Tensor, leak: Tensor, gain: Tensor, threshold: Tensor, to_zero: bool, save: bool
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Spikes `[T, outer, G, inner]`, in the type of x, the last membrane potentials after the reset, and where `save`
    those of all steps before it.

    before: the membrane potentials before the first step, `[outer, G, inner]`.
    """
    spikes, after, state = torch.empty_like(x), torch.empty_like(before), before.dtype
    potentials = torch.empty(x.shape if save else (1,), dtype=state, device=x.device)
    tables = [table.to(state) for table in (leak, gain, threshold)]
    tiles, grid = _tiles(x)
    lif_forward[grid](
        x,
        before,
        spikes,
        after,
        potentials,
        *tables,
        *_sizes(x),
        **tiles,
        TO_ZERO=to_zero,
        SAVE=save,
        enable_fp_fusion=False,
    )
    return spikes, after, potentials if save else None


def backward(
    grad: Tensor,
    grad_after: Tensor,
    x: Tensor,
    before: Tensor,
    potentials: Tensor,
    leak: Tensor,
    gain: Tensor,
    threshold: Tensor,
    to_zero: bool,
    attached: bool,
    learned: bool,
) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None, Tensor | None]:
    """Gradients of x, before, leak, gain and threshold; the last three None where none of them is learned."""
    given, backwards = torch.empty_like(x), grad_after.clone(memory_format=torch.contiguous_format)
    tables = [table.to(potentials.dtype) for table in (leak, gain, threshold)]
    tiles, grid = _tiles(x)
    shape = (3, grid[0], *leak.shape) if learned else (1,)
    sums = torch.empty(shape, dtype=potentials.dtype, device=x.device)
    flags = {"TO_ZERO": to_zero, "ATTACHED": attached, "LEARNED": learned}
    arrays = grad, x, before, potentials, given, backwards, sums, *tables
    steps, size, *_ = sizes = _sizes(x)
    places = (steps - 1) * size, (steps - 1) * leak.shape[1], grid[0] * leak.numel()
    lif_backward[grid](*arrays, *sizes, *places, **tiles, **flags, enable_fp_fusion=False)
    if not learned:
        return given, backwards, None, None, None
    of_leak, of_gain, of_threshold = sums.sum(1).to(leak.dtype)
    return given, backwards, of_leak, of_gain, of_threshold


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
