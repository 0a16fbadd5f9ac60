"""Hybrid latency coding ("mix time"): the analog image first, then T-1 latency frames.

Step 0 is the image, read by a convolution of its own; step i+1, i = 0..T-2, is the latency frame with threshold
1 - (i+1)/T. Source: ASNN, arXiv 2408.12407, and its reference code.
"""

from __future__ import annotations

import numpy as np

from asnn_deploy.input.coding.base import Coding
from asnn_deploy.input.coding.latency import latency_frames
from asnn_deploy.util.arrays import Array


class HybridLatency(Coding):
    """See the module's text."""

    name = "hybrid-latency"
    summary = "the analog image at step 0, then latency frames"

    def check(self, time_steps: int) -> str | None:
        """At least one latency frame."""
        return None if time_steps >= 2 else "needs at least 2 time steps"

    def analog(self, time_steps: int) -> Array:
        """Step 0."""
        return np.arange(time_steps) == 0

    def frames(self, pixels: Array, time_steps: int) -> Array:
        """See the module's text."""
        return np.concatenate([pixels.astype(np.float32)[None], latency_frames(pixels, time_steps - 1, time_steps)])


coding = HybridLatency()
