"""Numbers in float32 that give, by the arithmetic of whoever reads them, exactly what was meant."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from asnn_deploy.util.arrays import Array

STEPS = (0, 1, -1, 2, -2, 3, -3)
"""Neighbours in float32 that are tried, the nearest first."""
ULP = 2.0**-23
"""How far apart numbers of float32 are, at most, as a share of them."""
PARTS = (0.125, -0.125, 0.25, -0.25, 0.375, -0.375, 0.5, -0.5)
"""Numbers of float64 between them that are tried where those will not do."""


class Goal(NamedTuple):
    """What a reader makes of a stored number, and what that must be in float32."""

    reads: Callable[[Array], Array]
    wanted: Array

    def met(self, value: Array) -> Array:
        """Whether it is, for each element."""
        return self.reads(value).astype(np.float32) == self.wanted.astype(np.float32)  # type: ignore[no-any-return]


def stored(guess: Array, goals: Sequence[Goal], wide: bool) -> tuple[Array, Array]:
    """Return the numbers to store, and what the first reader makes of them.

    guess: about what they are; goals: readers, the most important first; wide: float64 may be stored if no float32 will
    do. Numbers that meet no goal are the nearest to the guess.
    """
    shape = np.broadcast_shapes(np.shape(guess), *(np.shape(goal.wanted) for goal in goals))
    guess = np.ascontiguousarray(np.broadcast_to(guess, shape), np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        near = [n for n in _neighbours(guess) if np.isfinite(n).all()]
        best, score = _best(near, goals)
        if wide and (score < 2 ** len(goals) - 1).any():
            best, score = _best([best, guess, *(n * (1 + part * ULP) for n in near for part in PARTS)], goals)
    read = goals[0].reads(best).astype(np.float32).astype(np.float64) if goals else best
    return best, read


def _neighbours(guess: Array) -> list[Array]:
    """The nearest numbers of float32; 0 for itself."""
    bits = guess.astype(np.float32).reshape(guess.shape).view(np.int32)
    return [(bits + np.int32(step) * (bits != 0)).view(np.float32).astype(np.float64) for step in STEPS]


def _best(values: Sequence[Array], goals: Sequence[Goal]) -> tuple[Array, Array]:
    """Each element's first value that meets the most, and what it meets, as a binary number."""
    best, score = values[0], np.full(values[0].shape, -1.0)
    for value in values:
        met = sum((goal.met(value) * 2.0 ** (len(goals) - place - 1) for place, goal in enumerate(goals)), 0.0)
        best, score = np.where(met > score, value, best), np.maximum(met, score)
    return best, score
