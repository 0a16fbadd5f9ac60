"""Embedding coding: the binary code of a pixel's brightness level, one bit a step.

15 level planes are made as latency coding makes its frames (with 15 intervals; the last plane, threshold 0, is all
ones). Step b sums the planes whose index plus one has bit b set: planes 0,2,4,..14; then 1,2,5,6,9,10,13,14; then
3..6, 11..14; then 7..14. A pixel in plane k and in the last one counts twice where both have the bit.
Source: the reference code of ASNN, arXiv 2408.12407.
"""

from __future__ import annotations

import numpy as np

from asnn_deploy.coding.latency import latency_frames
from asnn_deploy.step_table import Array

LEVELS = 15
BITS = 4


def embedding_frames(pixels: Array) -> Array:
    """The four frames, `[4, ...]`, values 0, 1 or 2."""
    planes = latency_frames(pixels, LEVELS, LEVELS)
    return np.stack([sum(planes[k] for k in range(LEVELS) if (k + 1) >> bit & 1) for bit in range(BITS)])


class Embedding:
    """See the module's text."""

    name = "embedding"
    summary = "the binary code of 15 brightness levels over 4 steps"

    def check(self, time_steps: int) -> str | None:
        """Exactly the four bits."""
        return None if time_steps == BITS else f"has exactly {BITS} time steps"

    def analog(self, time_steps: int) -> Array:
        """No step."""
        return np.zeros(time_steps, dtype=bool)

    def frames(self, pixels: Array, time_steps: int) -> Array:
        """See the module's text."""
        return embedding_frames(pixels)


class HybridEmbedding:
    """The analog image at step 0, then the four embedding frames."""

    name = "hybrid-embedding"
    summary = "the analog image at step 0, then the embedding's 4 frames"

    def check(self, time_steps: int) -> str | None:
        """The image and four bits."""
        return None if time_steps == BITS + 1 else f"has exactly {BITS + 1} time steps"

    def analog(self, time_steps: int) -> Array:
        """Step 0."""
        return np.arange(time_steps) == 0

    def frames(self, pixels: Array, time_steps: int) -> Array:
        """See the module's text."""
        return np.concatenate([np.float32(pixels)[None], embedding_frames(pixels)])
