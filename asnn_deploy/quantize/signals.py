"""Integer signals and what they are worth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from asnn_deploy.analysis.intervals import Interval
from asnn_deploy.analysis.ranges import delayed
from asnn_deploy.ir.step_table import StepTable
from asnn_deploy.util.arrays import Array


@dataclass(frozen=True)
class Signal:
    """What an integer signal is worth: `value = integer * unit[t] + bias[t]`.

    unit: `[T, C]` or `[T, 1]`; bias: `[T, C]` of a current, None where there is none; interval: the integer's.
    """

    unit: Array
    interval: Interval
    bias: Array | None = None

    def later(self, delay: int) -> Signal:
        """That many steps later."""
        unit = np.concatenate([self.unit[:1].repeat(delay, axis=0), self.unit])[: len(self.unit)]
        bias = None if self.bias is None else delayed(self.bias, delay)
        return Signal(unit, self.interval.later(delay), bias)


def integer_table(values: list[Array], shape: tuple[int, ...]) -> StepTable:
    """Per-step integers in the coarsest granularity that holds them: `()`, `[C]`, or what broadcasts to the shape."""
    stacked = np.stack(np.broadcast_arrays(*values)).astype(np.int32)
    each = stacked[0].size
    if each == 1:
        return StepTable.per_step(stacked.reshape(len(values)))
    return StepTable.per_step(stacked.reshape(len(values), -1) if stacked.shape[1] == each == shape[0] else stacked)
