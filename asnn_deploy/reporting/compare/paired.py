"""Paired differences, B minus A on the same samples, and their 95 % intervals."""

from __future__ import annotations

import math

import numpy as np

from asnn_deploy.energy.running import NORMAL_95, half_width
from asnn_deploy.util.arrays import Array
from asnn_deploy.util.document import Document

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


class Difference(Document):
    """A mean paired difference; all else is None with one sample only. excludes_zero: 0 lies outside the interval."""

    mean: float
    standard_error: float | None
    low95: float | None
    high95: float | None
    excludes_zero: bool | None


def with_interval(
    mean: float, error: float | None = None, low: float | None = None, high: float | None = None
) -> Difference:
    """Return a mean difference with the interval from `low` to `high`; None, None if there is none."""
    excludes = None if low is None or high is None else bool(low > 0 or high < 0)
    return Difference(mean=mean, standard_error=error, low95=low, high95=high, excludes_zero=excludes)


def difference_of_means(a: Array, b: Array) -> Difference:
    """Of numbers `[N]` of the same samples; see METHOD."""
    apart = b - a
    mean = float(apart.mean())
    if len(apart) < 2:
        return with_interval(mean)
    std = float(apart.std(ddof=1))
    half = half_width(std, len(apart))
    return with_interval(mean, std / math.sqrt(len(apart)), mean - half, mean + half)


def difference_of_shares(a: Array, b: Array) -> Difference:
    """Of right answers, bool `[N]`, of the same samples; see METHOD. The standard error is the adjusted one."""
    count = len(a)
    only_a, only_b = int(np.count_nonzero(a & ~b)), int(np.count_nonzero(b & ~a))
    mean = (only_b - only_a) / count
    if count < 2:
        return with_interval(mean)
    p, q = (only_b + 1) / (count + 2), (only_a + 1) / (count + 2)
    error = math.sqrt((p + q - (p - q) ** 2) / (count + 2))
    return with_interval(mean, error, max(-1.0, p - q - NORMAL_95 * error), min(1.0, p - q + NORMAL_95 * error))
