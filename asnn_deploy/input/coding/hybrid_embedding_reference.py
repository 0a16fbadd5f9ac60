"""Hybrid embedding coding as the reference code of ASNN has it ("mix embedding"): the analog image, then its counts.

Step 0 is the analog image; step b+1, b = 0..3, is step b of `embedding-reference` with the same thresholds
1 - (i+1)/T; further steps send nothing. Source: the reference code of ASNN, arXiv 2408.12407.
"""

from __future__ import annotations

import numpy as np

from asnn_deploy.input.coding.base import Coding
from asnn_deploy.input.coding.embedding import BITS
from asnn_deploy.input.coding.embedding_reference import reference_frames
from asnn_deploy.util.arrays import Array


class HybridEmbeddingReference(Coding):
    """See the module's text."""

    name = "hybrid-embedding-reference"
    summary = "the analog image at step 0, then embedding-reference's counts"

    def check(self, time_steps: int) -> str | None:
        """At least the image and four bits; the reference code fails on fewer."""
        return None if time_steps > BITS else f"needs at least {BITS + 1} time steps"

    def analog(self, time_steps: int) -> Array:
        """Step 0."""
        return np.arange(time_steps) == 0

    def frames(self, pixels: Array, time_steps: int) -> Array:
        """See the module's text."""
        return np.concatenate([pixels.astype(np.float32)[None], reference_frames(pixels, time_steps - 1, time_steps)])


coding = HybridEmbeddingReference()
