"""StepTable: parameters that may differ from time step to time step.

A table holds K distinct values and, for each of the T time steps, which of them is in force. Everything in this
project reads parameters through it, so nothing is special about adaptive neurons: a static parameter is K = 1, a leak
per step is K = T, and the two convolutions of a hybrid-coded input are one table with K = 2 and index (0, 1, 1, ...).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from asnn_deploy.errors import GraphError
from asnn_deploy.ir import granularity
from asnn_deploy.util.arrays import Array, frozen


class StepTable:
    """K values and which of them holds at each of T time steps.

    values: `[K, ...]`, read-only. The trailing shape is the granularity: `()` per layer, `[C]` per channel,
        `[C, H, W]` per neuron, or a weight's own shape.
    index: `[T]`, read-only, integers in `0..K-1`; `values[index[t]]` holds at step t.

    Two tables are equal when they have the same dtype, granularity and value at every step, however stored.
    Raises GraphError where an index points outside the values or a value is not finite.
    """

    __slots__ = ("index", "values")

    values: Array
    index: Array

    def __init__(self, values: npt.ArrayLike, index: npt.ArrayLike) -> None:
        value_array = frozen(values)
        index_array = frozen(index, dtype=np.int64)
        if value_array.ndim == 0 or index_array.ndim != 1 or index_array.size == 0:
            raise GraphError(
                f"step table: values need shape [K, ...] and index [T] with T >= 1, "
                f"found {value_array.shape} and {index_array.shape}"
            )
        if index_array.min() < 0 or index_array.max() >= len(value_array):
            raise GraphError(f"step table: index {index_array.tolist()} points outside its {len(value_array)} values")
        if not np.isfinite(value_array).all():
            raise GraphError("step table: holds NaN or infinity; every value must be finite")
        object.__setattr__(self, "values", value_array)
        object.__setattr__(self, "index", index_array)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"StepTable is frozen: cannot set {name}")

    def __reduce__(self) -> tuple[type[StepTable], tuple[Array, Array]]:
        return StepTable, (self.values, self.index)

    @classmethod
    def constant(cls, value: npt.ArrayLike, time_steps: int) -> StepTable:
        """The same value at every step (K = 1)."""
        return cls(np.asarray(value)[None], np.zeros(time_steps, dtype=np.int64))

    @classmethod
    def per_step(cls, values: npt.ArrayLike | Sequence[npt.ArrayLike]) -> StepTable:
        """One value for each step: `values[T, ...]`; steps with equal values share one (K <= T)."""
        stacked = np.asarray(values)
        kept: list[Array] = []
        index = []
        for value in stacked:
            for k, seen in enumerate(kept):
                if np.array_equal(seen, value):
                    index.append(k)
                    break
            else:
                index.append(len(kept))
                kept.append(value)
        return cls(np.stack(kept), index)

    @property
    def time_steps(self) -> int:
        """T."""
        return len(self.index)

    @property
    def shape(self) -> tuple[int, ...]:
        """The granularity: the shape of one value."""
        return self.values.shape[1:]

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the values."""
        return self.values.dtype

    def at(self, step: int, over: tuple[int, ...] | None = None) -> Array:
        """The value in force at a step; with `over`, as it broadcasts against signals of that shape."""
        value: Array = self.values[self.index[step]]
        return value if over is None else granularity.over(value, over)

    def expanded(self) -> Array:
        """All steps spelled out: `[T, ...]`."""
        return self.values[self.index]  # type: ignore[no-any-return]

    def over(self, shape: tuple[int, ...]) -> Array:
        """All steps as they broadcast against signals `[T, *shape]`."""
        ones = (1,) * (len(shape) - len(self.shape))
        return self.expanded().reshape(self.time_steps, *self.shape, *ones)  # type: ignore[no-any-return]

    def map(self, function: Any) -> StepTable:
        """A table with `function` applied to each of the K values."""
        return StepTable(np.stack([function(value) for value in self.values]), self.index)

    def astype(self, dtype: npt.DTypeLike) -> StepTable:
        """A table with its values converted."""
        return StepTable(self.values.astype(dtype), self.index)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, StepTable):
            return NotImplemented
        return (
            self.time_steps == other.time_steps
            and self.shape == other.shape
            and self.dtype == other.dtype
            and all(np.array_equal(self.at(t), other.at(t)) for t in range(self.time_steps))
        )

    def __hash__(self) -> int:
        return hash((self.time_steps, self.shape, str(self.dtype), self.at(0).tobytes()))

    def __repr__(self) -> str:
        return f"StepTable(K={len(self.values)}, T={self.time_steps}, shape={list(self.shape)}, {self.dtype})"
