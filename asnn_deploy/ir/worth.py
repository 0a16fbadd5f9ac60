"""What the integers of a quantised network are worth, while it is made.

A value is `integer * unit[t] + bias[t]`: synapses' biases travel behind their sums to the neuron that they drive. Every
layer says what leaves its integer version (`Layer.quantized`); `quantizing/integers.py` asks them in order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from asnn_deploy.ir.granularity import Shape
from asnn_deploy.ir.quantization import Quantization
from asnn_deploy.ir.step_table import StepTable
from asnn_deploy.util.arrays import Array

ROUNDINGS = 1e-12
"""What a handful of float64 roundings can make of a number, relatively: a few thousand times 2**-53."""


@dataclass(frozen=True, eq=False)
class Worth:
    """What the integers of one signal are worth.

    unit: `[T, C]`, or `[T, 1]` if all channels share it. bias: `[T, C]` of a current, None if there is none.
    """

    unit: Array
    bias: Array | None = None

    def later(self, delay: int) -> Worth:
        """That many steps later; before the first one arrives, 0 of the first unit."""
        if not delay:
            return self
        unit = np.concatenate([self.unit[:1].repeat(delay, axis=0), self.unit])[: len(self.unit)]
        return Worth(unit, None if self.bias is None else late(self.bias, delay))

    def parts(self) -> tuple[Array, Array]:
        """Return one unit for all channels, the largest, `[T, 1]`, and each channel's as a share of it, `[T, C]`."""
        if self.unit.shape[1] == 1:
            return self.unit, np.ones_like(self.unit)
        largest = np.abs(self.unit).max(axis=1, keepdims=True)
        whole = np.where(largest == 0, 1.0, largest)
        return whole, self.unit / whole

    def same_unit(self, other: Worth) -> bool:
        """Whether integers of both can be added: units are quotients, equal but for their float64 roundings."""
        return bool(np.allclose(self.unit, other.unit, rtol=ROUNDINGS, atol=0))


@dataclass(frozen=True, eq=False)
class Choices:
    """What a layer is told about its place when its integer version is made.

    shapes: of what enters; shape: of what leaves; time_steps: T. quantization: the graph's choices.
    weight: of synapses, on what arrives in one unit; weight_units: of these weights, `[T, C]` or `[T, 1]`.
    bounds: of the integers that arrive, one pair `[T, C]` for each input.
    """

    shapes: tuple[Shape, ...]
    shape: Shape
    time_steps: int
    quantization: Quantization
    weight: Callable[[], StepTable]
    weight_units: Callable[[], Array]
    bounds: Callable[[], list[tuple[Array, Array]]]


def late(values: Array, delay: int, before: float = 0.0) -> Array:
    """Return per-step values `[T, ...]` that many steps later; `before` until the first one arrives."""
    if not delay:
        return values
    return np.concatenate([np.full((delay, *values.shape[1:]), before), values])[: len(values)]
