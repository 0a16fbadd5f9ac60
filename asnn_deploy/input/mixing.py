"""The order of samples that are read class by class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")
SEED = 0


def mixed(samples: Sequence[T]) -> list[T]:
    """Return samples in an order drawn by the seed, so that the first few are of all classes."""
    return [samples[i] for i in np.random.default_rng(SEED).permutation(len(samples))]
