"""Embedding coding: the binary code of a pixel's brightness level, one bit a step.

Brightness is cut into 15 levels, level 0 the brightest: a pixel is in level k = 0..14 when 1 - (k+1)/15 is the first
of the falling thresholds that it reaches. Step b = 0..3 fires where bit b of k+1 is set: the sum of level planes
0,2,4,..14, then 1,2,5,6,9,10,13,14, then 3..6 and 11..14, then 7..14. Each pixel is in one level (the quirk of latency
coding at its last step does not enter here), so the frames are binary.
Source: what the text of ASNN, arXiv 2408.12407, means. Its reference code does something else: `embedding-reference`.
"""

from __future__ import annotations

import numpy as np

from asnn_deploy.input.coding.base import Coding
from asnn_deploy.util.arrays import Array

LEVELS = 15
BITS = 4


def embedding_frames(pixels: Array) -> Array:
    """The four frames, `[4, ...]`, values 0 and 1."""
    thresholds = np.array([1 - (k + 1) / LEVELS for k in range(LEVELS)], dtype=np.float32)
    code = 1 + np.sum(pixels.astype(np.float32)[..., None] < thresholds, axis=-1)
    return np.stack([(code >> bit & 1).astype(np.float32) for bit in range(BITS)])


class Embedding(Coding):
    """See the module's text."""

    name = "embedding"
    summary = "the binary code of 15 brightness levels over 4 steps"

    def check(self, time_steps: int) -> str | None:
        """Exactly the four bits."""
        return None if time_steps == BITS else f"has exactly {BITS} time steps"

    def frames(self, pixels: Array, time_steps: int) -> Array:
        """See the module's text."""
        return embedding_frames(pixels)


coding = Embedding()
