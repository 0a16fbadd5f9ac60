"""Direct coding: the image itself at each step."""

from __future__ import annotations

import numpy as np

from asnn_deploy.input.coding.base import Coding
from asnn_deploy.util.arrays import Array


class Direct(Coding):
    """See the module's text."""

    name = "direct"
    summary = "the analog image at each step"

    def analog(self, time_steps: int) -> Array:
        """Every step."""
        return np.ones(time_steps, dtype=bool)

    def frames(self, pixels: Array, time_steps: int) -> Array:
        """The image, T times."""
        return np.stack([pixels] * time_steps)


coding = Direct()
