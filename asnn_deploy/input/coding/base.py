"""What an input coding is. How to write one: copy `direct.py`; it ends in `coding = ...`."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from asnn_deploy.util.arrays import Array


class Coding(ABC):
    """One input coding.

    name: what the configuration calls it.
    summary: one line for `asnn-deploy list`.
    """

    name: str
    summary: str = ""

    def check(self, time_steps: int) -> str | None:
        """Return why the coding cannot use that many steps, in a few words; None if it can."""
        return None

    def analog(self, time_steps: int) -> Array:
        """Return which steps carry the image itself, `[T]` bool."""
        return np.zeros(time_steps, dtype=bool)

    @abstractmethod
    def frames(self, pixels: Array, time_steps: int) -> Array:
        """The definition: pixels in [0, 1], float32 `[...]`, to frames `[T, ...]`, float32."""
