"""Mean, spread and interval of a stream of numbers, kept without the numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from asnn_deploy.util.arrays import Array

NORMAL_95 = 1.959963984540054
"""The 97.5 % quantile of the standard normal distribution."""


def half_width(std: float, count: int) -> float:
    """Half of the 95 % interval of a mean by Student's t; std: of the `count` samples, at least 2 (n - 1 in it)."""
    from scipy.special import stdtrit  # imported late: it takes longer than most commands

    return float(stdtrit(count - 1, 0.975)) * std / math.sqrt(count)


@dataclass(frozen=True)
class Spread:
    """Over the samples; std is the population's."""

    mean: float
    std: float
    min: float
    max: float


@dataclass(frozen=True)
class Interval:
    """A mean over samples and where the mean of all possible samples lies, with 95 % confidence.

    std: of the samples (n - 1 in the denominator). low95, high95: by Student's t, cut off at 0 since counts are not
    negative. All three None where there is one sample only.
    """

    mean: float
    std: float | None
    low95: float | None
    high95: float | None


class Running:
    """Batch by batch, for one number a sample or an array of them (Chan, Golub and LeVeque 1983)."""

    def __init__(self, *shape: int) -> None:
        self.count = 0
        self.mean, self.squares = np.zeros(shape), np.zeros(shape)
        self.min, self.max = np.full(shape, math.inf), np.full(shape, -math.inf)

    def add(self, values: Array) -> None:
        """Take in a batch, `[B, *shape]`; nothing where B is 0."""
        size = len(values)
        if not size:
            return
        mean = values.mean(axis=0)
        shift, total = mean - self.mean, self.count + size
        self.squares += ((values - mean) ** 2).sum(axis=0) + shift * shift * self.count * size / total
        self.mean = self.mean + shift * size / total
        self.count = total
        self.min, self.max = np.minimum(self.min, values.min(axis=0)), np.maximum(self.max, values.max(axis=0))

    def spread(self, mean: float) -> Spread:
        """The spread of single numbers around an exactly known mean."""
        return Spread(mean, math.sqrt(self.squares / self.count), float(self.min), float(self.max))

    def interval(self, *at: int) -> Interval:
        """The interval of one of the numbers."""
        mean = float(self.mean[at])
        if self.count < 2:
            return Interval(mean, None, None, None)
        std = math.sqrt(self.squares[at] / (self.count - 1))
        half = half_width(std, self.count)
        return Interval(mean, std, max(0.0, mean - half), mean + half)
