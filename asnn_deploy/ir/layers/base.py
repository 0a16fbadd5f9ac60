"""What a layer is. A kind of layer answers for itself; everything else asks.

Shapes are those of one sample (no batch, no time): `(C, H, W)`, `(C, L)` or `(N,)`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from asnn_deploy.errors import GraphError, UnsupportedError
from asnn_deploy.ir import granularity
from asnn_deploy.ir.granularity import Shape
from asnn_deploy.ir.signals import Signal, Tracker
from asnn_deploy.ir.step_table import StepTable
from asnn_deploy.util.arrays import Array

if TYPE_CHECKING:
    from asnn_deploy.ir.worth import Choices, Worth


class Sliding(NamedTuple):
    """A window that slides over the spatial axes, one entry for each; its outputs read groups of channels apart."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int = 1


@dataclass(frozen=True)
class Layer:
    """Base of all layers. `name` is unique in its graph; letters, digits, `_`, `-` and `.` only.

    kind: its name in files and reports. inputs: how many signals it takes; None means two or more.
    synaptic: its work is counted in synaptic operations. weighted: it has weights, `weight [K, out, ...]`.
    fires: it has neurons. answers: it is what the network answers with.
    carries: it joins, moves, pools or scales what arrives, currents too; it has no synapses and no state.
    passes: it carries without factors, so that what leaves is of the type that arrived.
    adds: what leaves is the sum of what arrives. joins: the channels of what arrives stand one after another.
    keeps_channels: no element that leaves is made of two channels; so each may have its own unit.
    """

    name: str
    kind: ClassVar[str] = "layer"
    inputs: ClassVar[int | None] = 1
    synaptic: ClassVar[bool] = False
    weighted: ClassVar[bool] = False
    fires: ClassVar[bool] = False
    answers: ClassVar[bool] = False
    carries: ClassVar[bool] = False
    passes: ClassVar[bool] = False
    adds: ClassVar[bool] = False
    joins: ClassVar[bool] = False
    keeps_channels: ClassVar[bool] = False

    @property
    def takes_largest(self) -> bool:
        """Whether it gives the largest of what it reads, which no sum can."""
        return False

    @property
    def own_shape(self) -> Shape | None:
        """The shape that leaves it whatever enters; None if it depends on what enters."""
        return None

    @property
    def sliding(self) -> Sliding | None:
        """The window over which it reads; None if each element reads its own place, or all places."""
        return None

    def tables(self) -> dict[str, StepTable]:
        """Return the layer's step tables by name."""
        return {key: value for key, value in vars(self).items() if isinstance(value, StepTable)}

    def with_tables(self, change: Callable[[StepTable], StepTable]) -> Layer:
        """Return the layer with each of its tables changed."""
        changed: dict[str, Any] = {key: change(table) for key, table in self.tables().items()}
        return replace(self, **changed)

    def output_shape(self, *shapes: Shape) -> Shape:
        """Return the shape that leaves, given those that enter. Raises GraphError naming the layer and the shapes."""
        raise self.refuse("does not say what shape leaves it (its method `output_shape`)")

    def output_signal(self, t: int, x: Sequence[Signal], tracker: Tracker) -> Signal:
        """Return what leaves at step t, given what arrives then; `tracker` is the layer's own, from step to step."""
        raise self.refuse("does not say what kind of signal leaves it (its method `output_signal`)")

    def compute(self, t: int, *x: Array) -> Array:
        """Return its output at step t in NumPy, `[B, ...]` of `[B, ...]`: its definition, for a layer without state."""
        raise self.refuse("has no definition in NumPy (its method `compute`)")

    def quantized(self, x: Sequence[Worth], choices: Choices) -> tuple[Layer, Worth]:
        """Return its integer version, and what the integers that leave it are worth."""
        raise self.refuse("has no integer version (its method `quantized`)")

    def fan_out(self, shape: Shape) -> Array:
        """Return how many synapses leave each element of an input of that shape, `[K, *shape]` int64."""
        raise self.refuse("does not say which synapses it has (its method `fan_out`)")

    def factors(self) -> Array:
        """Return by what it multiplies the currents that it carries, `[T, C]`, `[T, 1]` or `[1, 1]` float64."""
        return np.ones((1, 1))

    def check_window(self, **sizes: tuple[int, ...]) -> None:
        """Raise GraphError unless kernel, stride and dilation are at least 1, and padding at least 0."""
        for what, values in sizes.items():
            least = 0 if what == "padding" else 1
            if min(values) < least:
                raise self.refuse(f"{what} {values} must be at least {least}")

    def check_granularity(self, key: str, table: StepTable, shape: Shape) -> None:
        """Raise GraphError unless a table's values are one for the layer, one for each channel or for each element."""
        if not granularity.fits(table.shape, shape):
            raise self.refuse(
                f"{key} has granularity {table.shape}; "
                f"allowed: () per layer, {shape[:1]} per channel, {shape} per neuron"
            )

    def refuse(self, problem: str) -> GraphError:
        """Return a GraphError that names this layer."""
        return GraphError(f"layer {self.name!r} ({self.kind}): {problem}")

    def unsupported(self, problem: str) -> UnsupportedError:
        """Return an UnsupportedError that names this layer."""
        return UnsupportedError(str(self.refuse(problem)))
