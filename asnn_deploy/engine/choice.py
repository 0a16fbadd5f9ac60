"""Events or dense products: whichever is faster for the input at hand, by measurement.

The cost of events is a straight line over their number; the dense product's does not depend on it. Each layer measures
the line and the constant once, on the first input that it sees. Both are exact, so the choice never shows.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

import numpy as np

from asnn_deploy.util.arrays import Array

TRIALS = 3
"""Each measurement is the best of so many; the first may compile."""
SAMPLES = 4
"""How many samples are measured."""


Work = Callable[[Array], object]
"""A layer's work at the steps at hand, for inputs `[steps, samples, :]`."""


class Choice:
    """One layer's, for one type of accumulator."""

    def __init__(self) -> None:
        self._measured = False
        self.empty = self.each = self.product = 0.0

    def takes_events(self, x: Array, events: Work, dense: Work) -> bool:
        """Whether events are the faster way for these inputs `[steps, samples, :]`; events, dense: the two ways."""
        if not self._measured:
            self._measure(np.ascontiguousarray(x[:, :SAMPLES]), events, dense)
        pieces = x.shape[0] * x.shape[1]
        return self.empty * pieces + self.each * int(np.count_nonzero(x)) <= self.product * pieces

    def _measure(self, x: Array, events: Work, dense: Work) -> None:
        """Seconds of a sample's step without events, of each event, and of a sample's dense step."""
        pieces, count = x.shape[0] * x.shape[1], int(np.count_nonzero(x))
        if not count:
            return
        self.empty = best(events, np.zeros_like(x)) / pieces
        self.each = max(best(events, x) - self.empty * pieces, 0.0) / count
        self.product = best(dense, x) / pieces
        self._measured = True


def best(work: Work, x: Array) -> float:
    """Seconds of the fastest of some trials."""
    seconds = []
    for _ in range(TRIALS):
        start = perf_counter()
        work(x)
        seconds.append(perf_counter() - start)
    return min(seconds)
