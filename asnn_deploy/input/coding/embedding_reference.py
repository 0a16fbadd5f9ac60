"""Embedding coding as the reference code of ASNN has it: sums of latency planes whose thresholds follow T, not 15.

Planes i = 0..14 are made as latency coding makes its frames: a pixel fires in plane i if it is >= 1 - (i+1)/T, and is
then set to 0. From i = T-1 on the threshold is 0 or below, so every pixel fires in every plane. Step b = 0..3 sends the
number of planes in which the pixel fires and bit b of i+1 is set; further steps send nothing. So a step sends counts up
to 8, and at T = 4 all pixels send the counts of planes 3..14 and at most one more.
Source: the reference code of ASNN, arXiv 2408.12407 (`lenet_spiking.py`, "embedding"; it has T = 7). Thresholds are
float32, which is what torch compares a float32 image with.
"""

from __future__ import annotations

import numpy as np

from asnn_deploy.input.coding.base import Coding
from asnn_deploy.input.coding.embedding import BITS, LEVELS
from asnn_deploy.input.coding.latency import latency_frames
from asnn_deploy.util.arrays import Array


def reference_frames(pixels: Array, steps: int, intervals: int) -> Array:
    """The first `steps` >= 4 frames with thresholds `1 - (i+1)/intervals`, `[steps, ...]`, whole numbers 0..8."""
    planes = latency_frames(pixels, LEVELS, intervals)
    frames = np.zeros((steps, *planes.shape[1:]), dtype=np.float32)
    for bit in range(BITS):
        frames[bit] = sum(planes[i] for i in range(LEVELS) if (i + 1) >> bit & 1)
    return frames


class EmbeddingReference(Coding):
    """See the module's text."""

    name = "embedding-reference"
    summary = "the reference code's embedding: counts of latency planes over the first 4 steps"

    def check(self, time_steps: int) -> str | None:
        """At least the four bits; the reference code fails on fewer."""
        return None if time_steps >= BITS else f"needs at least {BITS} time steps"

    def frames(self, pixels: Array, time_steps: int) -> Array:
        """See the module's text."""
        return reference_frames(pixels, time_steps, time_steps)


coding = EmbeddingReference()
