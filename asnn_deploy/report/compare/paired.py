"""Paired differences, B minus A on the same samples, and their 95 % intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from asnn_deploy.energy.running import NORMAL_95, half_width
from asnn_deploy.util.arrays import Array

METHOD = {
    "difference": "B minus A, sample by sample, then the mean.",
    "counts and energies": "Mean of the paired differences -+ t s / sqrt(n) by Student's t, with their standard "
    "deviation s (n - 1 in the denominator).",
    "accuracy": "Adjusted Wald interval for paired proportions (Bonett and Price 2012, J. Educ. Behav. Stat. 37, "
    "479-488): with b samples that only B answers right and a that only A does, p = (b + 1) / (n + 2) and "
    "q = (a + 1) / (n + 2), the interval is p - q -+ 1.96 sqrt((p + q - (p - q)^2) / (n + 2)). Its centre is drawn "
    "towards 0, so the difference (b - a) / n is not its middle.",
    "reading": "The interval says where the mean difference over all images like these would lie. It holds for the "
    "networks as they were trained, once each: another seed may give another difference. It says nothing of the "
    "constants' uncertainty, which is the range from low to high.",
}


@dataclass(frozen=True)
class Difference:
    """A mean paired difference. standard_error, low95 and high95 are None where there is one sample only."""

    mean: float
    standard_error: float | None
    low95: float | None
    high95: float | None

    @property
    def excludes_zero(self) -> bool | None:
        """Whether 0 lies outside the interval; None where there is none."""
        if self.low95 is None or self.high95 is None:
            return None
        return self.low95 > 0 or self.high95 < 0


def difference_of_means(a: Array, b: Array) -> Difference:
    """Of numbers `[N]` of the same samples; see METHOD."""
    apart = b - a
    mean = float(apart.mean())
    if len(apart) < 2:
        return Difference(mean, None, None, None)
    std = float(apart.std(ddof=1))
    half = half_width(std, len(apart))
    return Difference(mean, std / math.sqrt(len(apart)), mean - half, mean + half)


def difference_of_shares(a: Array, b: Array) -> Difference:
    """Of right answers, bool `[N]`, of the same samples; see METHOD. The standard error is the adjusted one."""
    count = len(a)
    only_a, only_b = int(np.count_nonzero(a & ~b)), int(np.count_nonzero(b & ~a))
    mean = (only_b - only_a) / count
    if count < 2:
        return Difference(mean, None, None, None)
    p, q = (only_b + 1) / (count + 2), (only_a + 1) / (count + 2)
    error = math.sqrt((p + q - (p - q) ** 2) / (count + 2))
    return Difference(mean, error, max(-1.0, p - q - NORMAL_95 * error), min(1.0, p - q + NORMAL_95 * error))
