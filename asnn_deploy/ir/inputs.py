"""What enters a network: an image and its coding, or a sequence of frames. Whatever asks what enters asks the input.

An image enters as 8-bit pixels `[B, C, H, W]` and is coded into T frames (`images.py`). A sequence enters as frames
`[B, T, ...]`, as they are: spikes, counts up to a declared largest, or values.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from asnn_deploy.errors import DataError, GraphError
from asnn_deploy.ir.granularity import Shape
from asnn_deploy.ir.signals import Kind, Signal, spikes
from asnn_deploy.util.arrays import Array

LARGEST_COUNT = 255
"""Counts travel in bytes."""
KINDS = ("spikes", "counts", "values")
LEVELS = 127
"""The largest integer that stands for a value: 8 bits with a sign, as a graded spike of Loihi 2 can carry them."""


class Input(ABC):
    """What enters a network.

    name: of the coding, or "sequence". kind: "image" or "sequence". preparation: what the host does to a sample first.
    analog: at which steps values enter, and no spikes or counts, `[T]` bool.
    """

    kind: ClassVar[str]
    name: str
    analog: Any
    preparation: str = "raw"

    @property
    @abstractmethod
    def time_steps(self) -> int | None:
        """T; None if a sequence of any length may enter."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type in which samples enter."""
        return np.dtype(np.uint8)

    @property
    @abstractmethod
    def largest(self) -> Array:
        """The largest magnitude that each step can send, `[T]`."""

    @abstractmethod
    def signal(self, step: int) -> Signal:
        """What a step can send."""

    @abstractmethod
    def frames(self, samples: Array) -> Array:
        """The frames `[T, B, ...]` of a batch of samples."""

    def whole(self) -> tuple[Input, float]:
        """Return what enters the network's integer version, whole numbers, and what one of them is worth."""
        return self, 1.0

    @abstractmethod
    def sent(self, samples: Array) -> Array:
        """How many spikes, or at an analog step how many values other than 0, a batch sends at each step, `[T]`."""

    @abstractmethod
    def check(self, samples: Array, shape: Shape, where: str) -> None:
        """Raise DataError naming `where` unless these are samples that the network takes; shape: of a frame."""


@dataclass(frozen=True)
class SequenceInput(Input):
    """Frames as they are, one for each time step.

    steps: T; None for any number. values: "spikes" (0 or 1), "counts" (whole numbers up to `most`) or "values" (float32
    numbers of a magnitude up to `most`). unit: of values that enter an integer network, rounded to multiples of it.
    stated: False if nobody has said yet what enters, as in NIR files of other tools: `fed` settles it by the data.

    Raises GraphError for another kind, or counts that do not fit a byte.
    """

    steps: int | None
    values: str = "spikes"
    most: float = 1.0
    unit: float | None = None
    stated: bool = True
    kind: ClassVar[str] = "sequence"
    name: ClassVar[str] = "sequence"  # type: ignore[misc]

    def __post_init__(self) -> None:
        if self.values not in KINDS:
            raise GraphError(f"sequence of {self.values!r}; allowed: {', '.join(KINDS)}")
        if self.steps is not None and self.steps < 1:
            raise GraphError(f"sequence of {self.steps} time steps; allowed: at least 1, or None for any number")
        if self.values == "counts" and not (1 <= self.most <= LARGEST_COUNT and self.most == int(self.most)):
            raise GraphError(f"sequence of counts up to {self.most:g}; allowed: whole numbers, 1 to {LARGEST_COUNT}")
        if self.unit is not None and not (self.values == "values" and 0 < self.unit <= self.most):
            raise GraphError(
                f"sequence of {self.values} up to {self.most:g} with unit {self.unit}; only values have one"
            )
        if not 0 < self.most < np.inf or (self.values == "spikes" and self.most != 1):
            raise GraphError(f"sequence of {self.values} up to {self.most:g}; spikes are 0 or 1, values are finite")

    @property
    def time_steps(self) -> int | None:
        return self.steps

    @property
    def largest(self) -> Array:
        return np.full(self.steps or 1, self.most if self.unit is None else np.rint(self.most / self.unit))

    @property
    def analog(self) -> Array:  # type: ignore[override]
        return np.full(self.steps or 1, self.values == "values")

    def signal(self, step: int) -> Signal:
        if self.values == "values":
            most = self.largest[:1]
            return Signal(Kind.VALUES, -most, most, None if self.unit is None else 0)
        return spikes(self.most)

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.float32) if self.values == "values" else np.dtype(np.uint8)

    def frames(self, samples: Array) -> Array:
        frames = np.ascontiguousarray(samples.swapaxes(0, 1), self.dtype)
        return frames if self.unit is None else np.rint(frames.astype(np.float64) / self.unit).astype(np.int64)

    def whole(self) -> tuple[Input, float]:
        if self.values != "values" or self.unit is not None:
            return self, self.unit or 1.0
        return replace(self, unit=self.most / LEVELS), self.most / LEVELS

    def sent(self, samples: Array) -> Array:
        frames = self.frames(samples).reshape(samples.shape[1], -1)
        return np.count_nonzero(frames, axis=1) if self.values == "values" else frames.sum(axis=1, dtype=np.int64)

    def check(self, samples: Array, shape: Shape, where: str) -> None:
        samples = np.asarray(samples)
        steps = "T" if self.steps is None else str(self.steps)
        expected = f"[N, {', '.join([steps, *map(str, shape)])}]"
        fits = samples.ndim == 2 + len(shape) and samples.shape[2:] == shape
        if not fits or samples.shape[1] != (self.steps or samples.shape[1]):
            raise DataError(f"{where}: frames have shape {list(samples.shape)}, the network takes {expected}")
        if samples.shape[1] < 1:
            raise DataError(f"{where}: frames have no time steps; the network takes {expected}")
        if samples.dtype.kind not in "biuf":
            raise DataError(f"{where}: frames are of type {samples.dtype}; they must be numbers")
        if samples.size and not np.isfinite(samples).all():
            raise DataError(f"{where}: frames hold NaN or infinity; every value must be finite")
        self._check_values(samples, where)

    def fed(self, samples: Array) -> SequenceInput:
        """Return what enters a network that is fed such samples `[B, T, ...]`; itself if that was stated.

        Spikes if they are all 0 or 1, counts if they are whole and fit a byte, else values up to the largest.
        """
        if self.stated:
            return self
        low, high = (float(f(samples)) if samples.size else 0.0 for f in (np.min, np.max))
        if low >= 0 and high <= LARGEST_COUNT and bool((samples == np.rint(samples)).all()):
            kind = ("spikes", 1.0) if high <= 1 else ("counts", high)
        else:
            kind = ("values", max(-low, high))
        return replace(self, values=kind[0], most=kind[1], stated=True)

    def _check_values(self, samples: Array, where: str) -> None:
        if not self.stated:
            return
        low, high = (float(f(samples)) if samples.size else 0.0 for f in (np.min, np.max))
        if self.values != "values" and samples.size and not (samples == np.rint(samples)).all():
            raise DataError(f"{where}: frames hold numbers that are not whole; the network takes {self.values}")
        least = -self.most if self.values == "values" else 0.0
        if low < least or high > self.most:
            raise DataError(
                f"{where}: frames lie in {low:g}..{high:g}; "
                f"the network takes {self.values} from {least:g} to {self.most:g}"
            )


def described(name: str) -> str:
    """Return what enters, from the name of the input: `latency coding`; a sequence is not coded."""
    return "a sequence, given as it is" if name == SequenceInput.name else f"{name} coding"
