"""What an input coding is. How to write one: copy `direct.py`; it ends in `coding = ...`."""

from __future__ import annotations

from typing import Protocol

from asnn_deploy.util.arrays import Array


class Coding(Protocol):
    """One input coding.

    name: what `--coding` calls it.
    summary: one line for `asnn-deploy list`.
    """

    name: str
    summary: str

    def check(self, time_steps: int) -> str | None:
        """Why the coding cannot use that many steps, in a few words; None where it can."""

    def analog(self, time_steps: int) -> Array:
        """Which steps carry the image itself, `[T]` bool."""

    def frames(self, pixels: Array, time_steps: int) -> Array:
        """The definition: pixels in [0, 1], float32 `[...]`, to frames `[T, ...]`, float32."""
