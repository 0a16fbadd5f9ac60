"""The rule of the answer: how what the readout gives at each step becomes the network's answer.

    sum           added up from step 0 on; a weighted mean over time has its weights in the readout's scale
    mean          the sum, times 1/T: for sequences of any length
    maximum       the largest over time
    last          what the last step gives
    most-spikes   the sum, of spikes
    first-spike   how many steps follow on the first spike, that step included; 0 if there is none: the first one wins

Every rule is a running one: after each step there is an answer so far, which early exit takes.
"""

from __future__ import annotations

import numpy as np

from asnn_deploy.util.arrays import Array

RULES = ("sum", "mean", "maximum", "last", "most-spikes", "first-spike")


class Answer:
    """The answer so far, fed one step's summand `[B, classes]` after another."""

    def __init__(self, rule: str) -> None:
        self.rule, self.steps = rule, 0
        self._total: Array = np.zeros(0)
        self._seen: Array = np.zeros(0)

    def add(self, x: Array) -> Array:
        """Take in a step's summand, and return the answer so far, in the summand's type (a mean's may be fractions)."""
        first, self.steps = self.steps == 0, self.steps + 1
        if self.rule == "last":
            self._total = x
        elif self.rule == "maximum":
            self._total = x if first else np.maximum(self._total, x)
        elif self.rule == "first-spike":
            self._seen = x > 0 if first else self._seen | (x > 0)
            self._total = self._seen.astype(x.dtype) + (0 if first else self._total)
        else:  # from step 0 on: float sums depend on the order
            self._total = np.zeros_like(x) + x if first else self._total + x
        return self.now

    @property
    def now(self) -> Array:
        """The answer so far."""
        if self.rule != "mean":
            return self._total
        share = 1 / self.steps
        return self._total * (np.float32(share) if self._total.dtype == np.float32 else share)

    def keep(self, samples: Array) -> None:
        """Go on with some of the batch's samples only, by their indices."""
        self._total = self._total[samples]
        self._seen = self._seen[samples] if len(self._seen) else self._seen


def running(rule: str, summands: Array) -> Array:
    """Return the answer after each step, `[T, B, classes]`, of each step's summands."""
    answer = Answer(rule)
    return np.stack([answer.add(x) for x in summands])


def final(rule: str, summands: Array) -> Array:
    """Return the answer `[B, classes]` of all steps' summands `[T, B, classes]`."""
    answer = Answer(rule)
    for x in summands:
        answer.add(x)
    return answer.now
