"""The network's answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np

from asnn_deploy.ir.answers import RULES
from asnn_deploy.ir.fixed_point import ACCUMULATOR_BITS, GAIN_BITS, answer_unit, largest
from asnn_deploy.ir.granularity import Shape, by_channel, coarsest, over
from asnn_deploy.ir.layers.base import Layer
from asnn_deploy.ir.signals import Kind, Signal, Tracker
from asnn_deploy.ir.step_table import StepTable
from asnn_deploy.ir.worth import Choices, Worth
from asnn_deploy.util.arrays import Array


@dataclass(frozen=True)
class Readout(Layer):
    """The network's answer, made of `scale[t] * x[t] (+ bias[t])` at each step; see `ir/answers.py`.

    scale: `[K]` or `[K, classes]`; a mean over time has its 1/T in here.
    bias: `[K, classes]`, only in integer graphs (elsewhere the layer before carries it).
    unit: what one integer of an integer graph's answer is worth; 1 in float graphs.
    rule: how the steps make the answer: added up from step 0 on, or as `answers.RULES` has it.
    """

    scale: StepTable
    bias: StepTable | None = None
    unit: float = 1.0
    rule: str = "sum"
    kind: ClassVar[str] = "readout"
    answers: ClassVar[bool] = True

    def output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        if self.rule not in RULES:
            raise self.refuse(f"rule {self.rule!r}, allowed: {', '.join(RULES)}")
        self.check_granularity("scale", self.scale, shape)
        if self.bias is not None:
            self.check_granularity("bias", self.bias, shape)
        return shape

    def output_signal(self, t: int, x: Sequence[Signal], tracker: Tracker) -> Signal:
        """This step's summand; the running sum, with each step's partial sums, is a register."""
        low, high = x[0].times(*by_channel(self.scale.at(t).astype(np.float64), tracker.shape))
        if self.bias is not None:
            least, most = by_channel(self.bias.at(t).astype(np.float64), tracker.shape)
            low, high = low + np.minimum(least, 0), high + np.maximum(most, 0)
        before = tracker.state or (np.zeros(1), np.zeros(1))
        tracker.state = before[0] + low, before[1] + high
        tracker.reach("sum", *tracker.state)
        return Signal(Kind.VALUES, low, high)

    def compute(self, t: int, *x: Array) -> Array:
        """This step's summand; whoever runs the graph adds them up in order."""
        shape = x[0].shape[1:]
        y = x[0] * self.scale.at(t, over=shape)
        return y if self.bias is None else y + self.bias.at(t, over=shape)  # type: ignore[no-any-return]

    def quantized(self, x: Sequence[Worth], choices: Choices) -> tuple[Layer, Worth]:
        """Integer factors and biases in units of the answer, the finest for which every sum fits an accumulator."""
        steps, shape = range(choices.time_steps), choices.shape
        ((low, high),) = choices.bounds()
        reach = np.broadcast_to(np.maximum(-low, high), (len(steps), low.shape[1]))
        # A mean is a sum of smaller weights, so that integers stay integers.
        share, rule = (len(steps), "sum") if self.rule == "mean" else (1, self.rule)
        factors = [self.scale.at(t, over=shape).astype(np.float64) / share for t in steps]
        scale = [f * over(x[0].unit[t], shape) for t, f in enumerate(factors)]
        bias = [np.zeros(()) if x[0].bias is None else f * over(x[0].bias[t], shape) for t, f in enumerate(factors)]
        top = max(float(np.abs(s).max()) for s in scale) or 1.0

        def total(rounded: Callable[[Array], Array]) -> float:
            """The largest sum, of scales and biases as they are rounded."""
            parts = zip(scale, bias, reach)
            return float(np.max(sum(np.abs(rounded(s)) * over(r, shape) + np.abs(rounded(b)) for s, b, r in parts)))

        # A hundredth of room for the roundings of scales and biases.
        least = 1.01 * total(lambda values: values) / largest(ACCUMULATOR_BITS)
        unit = answer_unit(max(top / largest(GAIN_BITS), least))
        while total(partial(_in_units, unit=unit)) > largest(ACCUMULATOR_BITS):  # small integers round further
            unit = answer_unit(1.01 * unit)
        factor, offset = (_integers([np.rint(v / unit) for v in values], shape) for values in (scale, bias))
        unit = 1.0 if rule == "first-spike" else unit  # steps are counted
        return Readout(self.name, factor, offset, unit, rule), Worth(np.full((len(steps), 1), unit))


def _in_units(values: Array, unit: float) -> Array:
    return np.rint(values / unit)


def _integers(values: list[Array], shape: Shape) -> StepTable:
    return StepTable.per_step(coarsest(np.stack(np.broadcast_arrays(*values)), shape).astype(np.int32))
