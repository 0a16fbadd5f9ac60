"""Latency coding ("time" in the ASNN reference code): the brighter a pixel, the earlier its one spike.

For i = 0..T-1 a pixel fires at step i when it is >= 1 - (i+1)/T, and is then set to 0. At the last step the threshold
is 0, so that every pixel fires there, also those that have fired before: a quirk of the reference code, kept under
this name.
"""

from __future__ import annotations

import numpy as np

from asnn_deploy.input.coding.base import Coding
from asnn_deploy.util.arrays import Array


def latency_frames(pixels: Array, steps: int, intervals: int) -> Array:
    """The first `steps` frames of latency coding over `intervals` thresholds `1 - (i+1)/intervals`."""
    remaining = np.array(pixels, dtype=np.float32)
    frames = []
    for i in range(steps):
        fires = remaining >= np.float32(1 - (i + 1) / intervals)
        remaining[fires] = 0
        frames.append(fires.astype(np.float32))
    return np.stack(frames)


class Latency(Coding):
    """See the module's text."""

    name = "latency"
    summary = "one spike a pixel, the brighter the earlier; at the last step every pixel fires"

    def frames(self, pixels: Array, time_steps: int) -> Array:
        """See the module's text."""
        return latency_frames(pixels, time_steps, time_steps)


coding = Latency()
