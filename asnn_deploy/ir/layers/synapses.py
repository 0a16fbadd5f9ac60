"""Synapses: convolutions and linear maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np

from asnn_deploy.errors import GraphError
from asnn_deploy.ir.granularity import Shape, over
from asnn_deploy.ir.layers.base import Layer, Sliding
from asnn_deploy.ir.quantization import integer_weight
from asnn_deploy.ir.signals import Kind, Signal, Tracker, grid_exponent, on_grid
from asnn_deploy.ir.step_table import StepTable
from asnn_deploy.ir.worth import Choices, Worth
from asnn_deploy.util.arrays import Array


@dataclass(frozen=True)
class Synapses(Layer):
    """What all synapses share: sums of weights `[K, out, in, ...]` on what arrives, and a bias `[K, out]`."""

    weight: StepTable
    bias: StepTable | None = None
    synaptic: ClassVar[bool] = True
    weighted: ClassVar[bool] = True

    @cached_property
    def _sums(self) -> tuple[Array, Array]:
        """The sums of negative and of positive weights that reach each output, `[K, out]` float64 each."""
        rows = self.weight.values.astype(np.float64).reshape(*self.weight.values.shape[:2], -1)
        return np.minimum(rows, 0).sum(axis=2), np.maximum(rows, 0).sum(axis=2)

    @cached_property
    def grids(self) -> list[int | None]:
        """The grid exponent of each of the K weights; None if they are all zero."""
        return [grid_exponent(value) for value in self.weight.values]

    def row_sums(self, k: int) -> Array:
        """The sum of magnitudes of the k-th weight that reaches each output, `[out]` float64."""
        least, most = self._sums
        return most[k] - least[k]  # type: ignore[no-any-return]

    def output_signal(self, t: int, x: Sequence[Signal], tracker: Tracker) -> Signal:
        """Sums over all that arrives; any partial sum lies between that of the negative and that of the positive terms.

        They lie on the common grid of products and bias if no sum of magnitudes leaves it.
        """
        arriving, k = x[0].over_all(), int(self.weight.index[t])
        inhibits, excites = (sums[k] for sums in self._sums)
        low = excites * arriving.low + inhibits * arriving.high
        high = excites * arriving.high + inhibits * arriving.low
        bias = np.zeros(1) if self.bias is None else self.bias.at(t).astype(np.float64)
        total = self.row_sums(k) * arriving.largest + np.abs(bias)
        grid = on_grid(self.grid_at(t, arriving.grid), float(total.max(initial=0)))
        return Signal(Kind.CURRENTS, low + np.minimum(bias, 0), high + np.maximum(bias, 0), grid)

    def grid_at(self, t: int, arriving: int | None) -> int | None:
        """The grid exponent of products and bias at step t; None if what arrives has none."""
        if arriving is None:
            return None
        own = self.grids[int(self.weight.index[t])]
        bias = None if self.bias is None else grid_exponent(self.bias.at(t))
        found = [g for g in (None if own is None else own + arriving, bias) if g is not None]
        return min(found, default=arriving)

    def quantized(self, x: Sequence[Worth], choices: Choices) -> tuple[Layer, Worth]:
        """Integer weights; the bias travels on to the neuron that they drive."""
        (arriving,) = x
        if arriving.bias is not None:
            raise self.refuse("reads a current with a bias; only spikes, counts and the input can be read in integers")
        weight, units, bits = choices.weight(), choices.weight_units(), choices.quantization.bits
        known: dict[tuple[int, bytes], int] = {}
        values: list[Array] = []
        index = []
        for t, k in enumerate(weight.index.tolist()):
            place = known.setdefault((k, units[t].tobytes()), len(values))
            if place == len(values):
                values.append(integer_weight(weight.values[k], units[t], bits))
            index.append(place)
        bias = None if self.bias is None else self.bias.expanded().astype(np.float64)
        new = replace(self, weight=StepTable(np.stack(values), index), bias=None)
        return new, Worth(arriving.parts()[0] * units, bias)

    def on_shares(self, shares: Array) -> StepTable:
        """Return the weights on inputs that are worth shares `[T, C]` of one unit: each times its input's."""
        if (shares == 1).all():
            return self.weight
        outputs, each, *kernel = self.weight.shape[:2] + (1,) * (len(self.weight.shape) - 2)
        groups = self.sliding.groups if self.sliding else 1
        by_output = np.broadcast_to(shares, (len(shares), groups * each)).reshape(-1, groups, each)
        factors = by_output.repeat(outputs // groups, axis=1).reshape(-1, outputs, each, *kernel)
        return StepTable.per_step([self.weight.at(t) * factor for t, factor in enumerate(factors)])

    def bias_reads(self, shape: Shape) -> Array:
        """Return how many sums start from a bias that is not zero at each step, `[T]` int64; shape: of the output."""
        if self.bias is None:
            return np.zeros(self.weight.time_steps, dtype=np.int64)
        used: Array = (self.bias.values != 0).sum(axis=1, dtype=np.int64)
        return used[self.bias.index] * int(np.prod(shape[1:]))  # type: ignore[no-any-return]

    def biased(self, y: Array, t: int, shape: Shape) -> Array:
        """Return sums `[B, *shape]` with the bias of step t on them."""
        return y if self.bias is None else y + over(self.bias.at(t), shape)


@dataclass(frozen=True)
class Linear(Synapses):
    """Fully connected: `weight [K, out, in]`, `bias [K, out]`."""

    kind: ClassVar[str] = "linear"

    @property
    def own_shape(self) -> Shape | None:
        return self.weight.shape[:1]

    def output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        if len(self.weight.shape) != 2 or shape != self.weight.shape[1:]:
            raise self.refuse(f"weight {self.weight.shape} cannot read an input of shape {shape}")
        if self.bias is not None and self.bias.shape != self.weight.shape[:1]:
            raise self.refuse(f"bias shape {self.bias.shape}, expected {self.weight.shape[:1]}")
        return self.weight.shape[:1]

    def fan_out(self, shape: Shape) -> Array:
        return (self.weight.values != 0).sum(axis=1, dtype=np.int64)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Conv(Synapses):
    """1-D or 2-D convolution (cross-correlation, as in torch).

    weight `[K, C_out, C_in/groups, *kernel]`, bias `[K, C_out]`;
    stride, padding and dilation have one entry per spatial axis; padding is with zeros on both sides.
    """

    stride: tuple[int, ...] = (1, 1)
    padding: tuple[int, ...] = (0, 0)
    dilation: tuple[int, ...] = (1, 1)
    groups: int = 1
    kind: ClassVar[str] = "conv"

    @property
    def sliding(self) -> Sliding:
        return Sliding(self.weight.shape[2:], self.stride, self.padding, self.dilation, self.groups)

    def output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        if len(self.weight.shape) - 2 not in (1, 2):
            raise self.refuse(f"weight shape {self.weight.shape} is neither a 1-D nor a 2-D convolution's")
        c_out, c_in, *kernel = self.weight.shape
        if len(shape) != 1 + len(kernel):
            raise self.refuse(f"a {len(kernel)}-D convolution cannot read an input of shape {shape}")
        for what in ("stride", "padding", "dilation"):
            if len(getattr(self, what)) != len(kernel):
                raise self.refuse(f"{what} {getattr(self, what)} needs {len(kernel)} entries")
        self.check_window(kernel=tuple(kernel), stride=self.stride, padding=self.padding, dilation=self.dilation)
        if self.groups < 1 or shape[0] != c_in * self.groups or c_out % self.groups:
            raise self.refuse(f"weight {self.weight.shape} with groups={self.groups} cannot read {shape[0]} channels")
        if self.bias is not None and self.bias.shape != (c_out,):
            raise self.refuse(f"bias shape {self.bias.shape}, expected ({c_out},)")
        spatial = tuple(
            (n + 2 * p - d * (k - 1) - 1) // s + 1
            for n, k, s, p, d in zip(shape[1:], kernel, self.stride, self.padding, self.dilation)
        )
        if min(spatial) < 1:
            raise self.refuse(f"kernel {tuple(kernel)} does not fit into input {shape}")
        return (c_out, *spatial)

    def fan_out(self, shape: Shape) -> Array:
        return np.stack([self._fan_out(used, shape) for used in self.weight.values != 0])

    def _fan_out(self, used: Array, shape: Shape) -> Array:
        """One weight's: used `[C_out, C_in/groups, *kernel]` bool to `[C_in, *spatial]`."""
        kernel = used.shape[2:]
        # Weights that leave each input channel at each kernel position: the sum over the group's output channels.
        leaving = used.reshape(self.groups, -1, *used.shape[1:]).sum(axis=1, dtype=np.int64).reshape(shape[0], *kernel)
        fan = np.zeros(shape, dtype=np.int64)
        for offset in np.ndindex(kernel):
            reached = [
                positions(n, o, s, p, d, k)
                for n, o, s, p, d, k in zip(shape[1:], offset, self.stride, self.padding, self.dilation, kernel)
            ]
            read, weights = (slice(None), *reached), (slice(None), *offset)
            fan[read] += leaving[weights].reshape(-1, *(1,) * len(kernel))
        return fan


def positions(size: int, offset: int, stride: int, padding: int, dilation: int, kernel: int) -> slice:
    """Return the input positions along one axis that the kernel position `offset` reads, over all output positions."""
    outputs = (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
    start = offset * dilation - padding
    first = max(0, -(start // stride))  # the first output position whose reading lies inside the input
    last = min(outputs - 1, (size - 1 - start) // stride)
    if last < first:
        return slice(0, 0)
    return slice(start + first * stride, start + last * stride + 1, stride)


def same_padding(weight: Array, stride: Shape, dilation: Shape) -> tuple[Array, Shape]:
    """Return a convolution's weight `[out, in, *kernel]` and the padding on both sides that leave the input's size.

    Where that takes an odd number of zeros, torch puts the last one at the end (torch/nn/modules/conv.py,
    `_reversed_padding_repeated_twice`); a kernel with a zero in front does the same. Raises GraphError with the problem
    and the remedy.
    """
    if set(stride) != {1}:
        raise GraphError(f"padding 'same' with stride {stride} is not defined; write the padding in numbers")
    totals = [d * (k - 1) for k, d in zip(weight.shape[2:], dilation)]
    odd = [total % 2 for total in totals]
    if any(o and d != 1 for o, d in zip(odd, dilation)):
        raise GraphError(
            f"padding 'same' of kernel {weight.shape[2:]} with dilation {dilation} takes an odd number of zeros; "
            "write an odd kernel, or the padding in numbers"
        )
    framed = np.pad(weight, ((0, 0), (0, 0), *((o, 0) for o in odd)))
    return framed, tuple((total + o) // 2 for total, o in zip(totals, odd))
