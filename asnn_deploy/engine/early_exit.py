"""Confidence-based early exit: a sample is answered at the first time step where the network is sure enough.

Sureness is the softmax margin, the largest minus the second largest probability of the softmax of the logits summed so
far: the "breaking ties" score of Luo et al. 2005 (J. Mach. Learn. Res. 6, 589-613) as an exit rule in the manner of
BranchyNet (Teerapittayanon et al. 2016, arXiv 1709.01686), which stops at its own threshold on the softmax.

The threshold is chosen on one split and reported on another: `candidate_margins` of calibration logits, `Outcomes` of
both splits, `choose`, `curve`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from asnn_deploy.errors import InputError
from asnn_deploy.ir.answers import running
from asnn_deploy.ir.trace import Trace
from asnn_deploy.util.arrays import Array

CANDIDATES = 12
TOLERANCE = 0.005
"""Accuracy that an early exit may cost on the calibration split: half a point."""
MEANING = (
    "A sample is answered at the first time step where its softmax margin (largest minus second largest probability of "
    "the softmax of the logits summed so far) reaches the margin, else after the last step; the chosen margin is the "
    "smallest that costs at most the tolerance in accuracy on the calibration split, against answering after all steps"
)


def softmax_margin(logits: Array) -> Array:
    """The largest minus the second largest probability of each row's softmax, float64 `[B]`; 1 with a single class.

    logits: `[B, C]`. A row's margin depends on nothing but its own values: not on the other rows, nor on strides.
    """
    # One memory order, because NumPy's exp and sums round differently along other strides.
    values = np.array(logits, dtype=np.float64, order="C")
    if values.shape[1] < 2:
        return np.ones(len(values))
    values -= values.max(axis=1, keepdims=True)
    values = np.exp(values)
    values /= values.sum(axis=1, keepdims=True)
    values.sort(axis=1)
    return np.asarray(values[:, -1] - values[:, -2])


def running_logits(step_logits: Array, rule: str = "sum") -> Array:
    """The answer up to and including each step, `[T, B, C]`, of its summands `[T, B, C]`; see `ir/answers.py`."""
    return running(rule, step_logits) if len(step_logits) else step_logits


def step_margins(step_logits: Array, rule: str = "sum") -> Array:
    """The softmax margin after each step, `[T, B]`, of step logits `[T, B, C]`."""
    margins = [softmax_margin(logits) for logits in running_logits(step_logits, rule)]
    return np.stack(margins) if margins else np.zeros(step_logits.shape[:2])


def exit_steps(step_logits: Array, margin: float, rule: str = "sum") -> Array:
    """How many steps each sample runs before its softmax margin reaches `margin`: int64 `[B]`, 1..T; T where never.

    step_logits: `[T, B, C]`, the answer's summand at each step (`Trace.step_logits`). A margin of 0 exits after step
    1, one above 1 never. Raises InputError where the margin is negative or no number.
    """
    return first_reaching(step_margins(step_logits, rule), margin)


def first_reaching(margins: Array, margin: float) -> Array:
    """`exit_steps` for softmax margins `[T, B]` that are known already."""
    if not margin >= 0:
        raise InputError(f"exit margin: found {margin}; allowed: a number from 0 (after one step), above 1 means never")
    reached = margins >= margin
    reached[-1] = True
    return np.asarray(reached.argmax(axis=0) + 1)


def exit_logits(step_logits: Array, steps: Array, rule: str = "sum") -> Array:
    """The logits at each sample's exit, `[B, C]`, of step logits `[T, B, C]` and steps `[B]` in 1..T."""
    return np.asarray(running_logits(step_logits, rule)[steps - 1, np.arange(len(steps))])


def answers(step_logits: Array, steps: Array, rule: str = "sum") -> Array:
    """The class that is answered at each sample's exit, int64 `[B]`; the first of equals."""
    return np.asarray(exit_logits(step_logits, steps, rule).argmax(axis=1))


def at_exit(trace: Trace, margin: float) -> tuple[Trace, Array]:
    """A whole run as it would have been, had each sample stopped at its exit; and the steps that each ran, `[B]`.

    The logits are those at the exit, spikes after it are 0; nothing else is kept. Raises InputError where the trace
    holds no step logits.
    """
    if trace.step_logits is None:
        raise InputError(f"target {trace.target!r} recorded no logits of each step, which early exit needs")
    steps = exit_steps(trace.step_logits, margin, trace.rule)
    ran = np.arange(len(trace.step_logits))[:, None] < steps
    spikes = {
        name: fired * ran.reshape(*ran.shape, *[1] * (fired.ndim - 2)).astype(fired.dtype)
        for name, fired in trace.spikes.items()
    }
    return Trace(trace.target, exit_logits(trace.step_logits, steps, trace.rule), spikes), steps


def candidate_margins(step_logits: Array, count: int = CANDIDATES, rule: str = "sum") -> tuple[float, ...]:
    """Margins worth trying, increasing: 0, 1, and between them quantiles of what is seen before the last step.

    step_logits: `[T, N, C]` of the calibration split. Quantiles are rounded to two digits of their distance to 1, so
    that they can be typed; those that fall together are one, so there may be fewer than `count`.
    """
    seen = step_margins(step_logits, rule)[:-1]
    if not seen.size:
        return (0.0, 1.0)
    inner = np.quantile(seen, np.linspace(0, 1, count)[1:-1])
    return tuple(sorted({0.0, 1.0, *(_typeable(float(margin)) for margin in inner)}))


def _typeable(margin: float) -> float:
    return 1.0 if margin >= 1 else round(margin, 1 - math.floor(math.log10(1 - margin)))


class Outcomes:
    """What early exit at each of some margins does to a split, batch by batch."""

    def __init__(self, margins: Sequence[float], time_steps: int, rule: str = "sum") -> None:
        self.margins, self.time_steps, self.rule, self.samples = tuple(margins), time_steps, rule, 0
        self._correct = dict.fromkeys((*self.margins, math.inf), 0)
        self._after = {margin: np.zeros(time_steps, np.int64) for margin in self._correct}

    def add(self, step_logits: Array, labels: Array) -> dict[float, Array]:
        """Take in a batch's step logits `[T, B, C]` and labels `[B]`; returns each margin's exits `[B]`."""
        seen = step_margins(step_logits, self.rule)
        classes = running_logits(step_logits, self.rule).argmax(axis=2)
        self.samples += len(labels)
        exits = {margin: first_reaching(seen, margin) for margin in self._correct}
        for margin, steps in exits.items():
            self._correct[margin] += int((classes[steps - 1, np.arange(len(steps))] == labels).sum())
            self._after[margin] += np.bincount(steps - 1, minlength=self.time_steps)
        return {margin: exits[margin] for margin in self.margins}

    def accuracy(self, margin: float = math.inf) -> float:
        """The share of right answers; without a margin, of all steps' answers."""
        return self._correct[margin] / self.samples

    def exits(self, margin: float) -> list[float]:
        """The share of samples that answer after each step, T numbers."""
        return [int(count) / self.samples for count in self._after[margin]]

    def mean_steps(self, margin: float) -> float:
        """Time steps per sample."""
        return float(self._after[margin] @ np.arange(1, self.time_steps + 1)) / self.samples


def choose(calibration: Outcomes, tolerance: float = TOLERANCE) -> float | None:
    """The smallest margin whose accuracy on the calibration split is at most `tolerance` below all steps'.

    The smallest is the cheapest: a larger one never exits earlier. None where no margin is good enough.
    """
    least = calibration.accuracy() - tolerance
    return min((m for m in calibration.margins if calibration.accuracy(m) >= least), default=None)


def curve(
    calibration: Outcomes,
    test: Outcomes,
    costs: Mapping[float, Mapping[str, Any]],
    split: str = "train",
    tolerance: float = TOLERANCE,
) -> dict[str, Any]:
    """The report's `early_exit`: accuracy, steps and costs at each margin, and the margin that was chosen.

    costs: margin to `{"sops": operations per sample, "energy_joules": {profile: middle estimate}}`, of the test split.
    split: what the calibration samples are a part of.
    """
    chosen = choose(calibration, tolerance)
    points = [
        {
            "margin": margin,
            "calibration_accuracy": calibration.accuracy(margin),
            "accuracy": test.accuracy(margin),
            "mean_steps": test.mean_steps(margin),
            **costs[margin],
            "exits": test.exits(margin),
        }
        for margin in test.margins
    ]
    return {
        "meaning": MEANING,
        "calibration": {"split": split, "samples": calibration.samples, "accuracy": calibration.accuracy()},
        "curve": points,
        "chosen": None if chosen is None else {"margin": chosen, "tolerance": tolerance},
    }
