"""Hybrid embedding coding: the analog image first, then the four frames of embedding coding.

Source: what the text of ASNN, arXiv 2408.12407, means. Its reference code does something else:
`hybrid-embedding-reference`.
"""

from __future__ import annotations

import numpy as np

from asnn_deploy.input.coding.base import Coding
from asnn_deploy.input.coding.embedding import BITS, embedding_frames
from asnn_deploy.util.arrays import Array


class HybridEmbedding(Coding):
    """See the module's text."""

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
        return np.concatenate([pixels.astype(np.float32)[None], embedding_frames(pixels)])


coding = HybridEmbedding()
