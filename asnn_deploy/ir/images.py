"""InputCode: how an 8-bit image becomes T input frames.

Pixels are 8-bit integers everywhere in this project, so a coding is completely described by what each of the 256
pixel values becomes at each step: a table `[T, 256]` of small integers. Analog steps hold the pixel itself (0..255;
the factor 1/255 is folded into the weights that read it). Integer frames keep every synaptic sum exact.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from asnn_deploy.errors import DataError, GraphError
from asnn_deploy.ir.granularity import Shape
from asnn_deploy.ir.inputs import Input
from asnn_deploy.ir.preprocessing import PREPARATIONS
from asnn_deploy.ir.signals import Kind, Signal, spikes
from asnn_deploy.util.arrays import Array, frozen
from asnn_deploy.util.suggest import unknown_name

PIXEL_LEVELS = 256
PIXEL_MAX = 255


@dataclass(frozen=True, eq=False)
class InputCode(Input):
    """The frames of a coding, pixel value by pixel value.

    name: the coding's name.
    table: `[T, 256]` int32; `table[t, p]` is what a pixel of value p sends at step t.
    analog: `[T]` bool; True where the step carries the pixel itself instead of spikes.
    preparation: what the host does to an image first (see `preprocessing.py`); frames are those of prepared images.

    Raises GraphError where shapes disagree, an entry is negative, an analog step is not the identity, or the
    preparation is unknown.
    """

    name: str
    table: Array
    analog: Array
    preparation: str = "raw"
    kind: ClassVar[str] = "image"

    def __post_init__(self) -> None:
        object.__setattr__(self, "table", frozen(self.table, np.int32))
        object.__setattr__(self, "analog", frozen(self.analog, np.bool_))
        if self.table.ndim != 2 or self.table.shape[1] != PIXEL_LEVELS or self.analog.shape != self.table.shape[:1]:
            raise GraphError(
                f"coding {self.name!r}: table must be [T, 256] and analog [T], "
                f"found {self.table.shape} and {self.analog.shape}"
            )
        if self.table.min() < 0 or self.table.max() > PIXEL_MAX:
            raise GraphError(
                f"coding {self.name!r}: table entries must lie in 0..255, found {self.table.min()}..{self.table.max()}"
            )
        if self.preparation not in PREPARATIONS:
            raise GraphError(f"coding {self.name!r}: {unknown_name('preparation', self.preparation, PREPARATIONS)}")
        for t in np.flatnonzero(self.analog):
            if not np.array_equal(self.table[t], np.arange(PIXEL_LEVELS)):
                raise GraphError(f"coding {self.name!r}: step {t} is marked analog but does not hold the pixel itself")

    @classmethod
    def tabulate(
        cls,
        name: str,
        definition: Callable[[Array], Array],
        analog: npt.ArrayLike,
        levels: Sequence[int] = range(PIXEL_LEVELS),
        preparation: str = "raw",
    ) -> InputCode:
        """Run a coding's definition on all 256 pixel values.

        definition: maps pixels in [0, 1], float32 `[...]`, to frames `[T, ...]`; analog frames are those pixels.
        levels: how bright the definition takes each pixel value to be, 256 numbers 0..255; analog steps send the pixel
        itself all the same.
        """
        analog_steps = np.asarray(analog, dtype=bool)
        pixels = np.array(levels, dtype=np.float32) / np.float32(PIXEL_MAX)
        frames = definition(pixels)
        table = np.where(analog_steps[:, None], np.arange(PIXEL_LEVELS), np.rint(frames))
        return cls(name, table, analog_steps, preparation)

    @property
    def time_steps(self) -> int:
        """T."""
        return len(self.table)

    @property
    def largest(self) -> Array:
        """The largest value that each step can send, `[T]`."""
        return self.table.max(axis=1)  # type: ignore[no-any-return]

    def signal(self, step: int) -> Signal:
        """What a step can send: spikes, counts, or at an analog step the pixel itself."""
        most = float(self.table[step].max())
        return Signal(Kind.VALUES, np.zeros(1), np.full(1, most), 0) if self.analog[step] else spikes(most)

    def sent(self, samples: Array) -> Array:
        """See Input."""
        pixels = np.bincount(samples.reshape(-1), minlength=PIXEL_LEVELS)
        return np.where(self.analog[:, None], self.table != 0, self.table) @ pixels  # type: ignore[no-any-return]

    def check(self, samples: Array, shape: Shape, where: str) -> None:
        """Raise DataError naming `where` unless these are uint8 images `[N, *shape]`."""
        if samples.shape[1:] != shape:
            raise DataError(
                f"{where}: images are {samples.shape[1:]} (channels, height, width), the network takes {shape}"
            )
        if samples.dtype != np.uint8:
            raise DataError(f"{where}: images have type {samples.dtype}; the network takes uint8 pixels")

    def frame(self, images: Array, step: int) -> Array:
        """The frame at one step: uint8 images `[B, C, H, W]` to int32 `[B, C, H, W]`."""
        return self.table[step][images]  # type: ignore[no-any-return]

    def frames(self, images: Array) -> Array:
        """All frames: uint8 images `[B, C, H, W]` to int32 `[T, B, C, H, W]`."""
        return self.table[:, images]  # type: ignore[no-any-return]

    def jumps(self, step: int) -> list[tuple[int, int]]:
        """The step as a sum of thresholds: `frame = sum(w for level, w if pixel >= level)`, levels ascending from 0."""
        row = self.table[step].astype(int)
        rises = np.diff(row, prepend=0)
        return [(int(level), int(rises[level])) for level in np.flatnonzero(rises)]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, InputCode):
            return NotImplemented
        return (
            self.name == other.name
            and np.array_equal(self.table, other.table)
            and np.array_equal(self.analog, other.analog)
            and self.preparation == other.preparation
        )

    def __hash__(self) -> int:
        return hash((self.name, self.table.tobytes()))
