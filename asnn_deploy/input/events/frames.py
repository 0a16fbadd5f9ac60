"""Events as frames `[T, 2, H, W]`, a channel for each polarity.

Time is cut into windows, half open: `bin` microseconds each, from 0 of the recording's clock on; or, without `bin`, T
equal ones from the first event to the last, which the last window includes. A pixel of a frame is 1 if any event fell
there ("spikes"), or how many did, up to `counts` ("counts").
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from asnn_deploy.errors import DataError
from asnn_deploy.input.choices import Choices
from asnn_deploy.input.events.recording import Recording, Sensor
from asnn_deploy.ir.inputs import LARGEST_COUNT
from asnn_deploy.util.arrays import Array

POLARITIES = 2
LONGEST_STEPS = 10_000
LONGEST_BIN = 10**9
"""Microseconds: a quarter of an hour."""
ROOM = 16 * 2**30
"""Bytes that all frames may take: they are held in memory, on a machine that need not be large."""


class FrameChoices(Choices):
    """time_steps: T. bin: microseconds of a window; null: the recording is cut into T. downsample: that many pixels in
    each direction become one. counts: the largest count of a pixel; null: spikes, 0 or 1."""

    time_steps: Annotated[int, Field(ge=1, le=LONGEST_STEPS, strict=True)] = 10
    bin: Annotated[int, Field(ge=1, le=LONGEST_BIN, strict=True)] | None = None
    downsample: Annotated[int, Field(ge=1, le=1024, strict=True)] = 1
    counts: Annotated[int, Field(ge=1, le=LARGEST_COUNT, strict=True)] | None = None


@dataclass
class Framing:
    """How a sensor's recordings become frames, and how many of their events no frame holds."""

    sensor: Sensor
    choices: FrameChoices
    events: int = field(default=0, init=False)
    outside: int = field(default=0, init=False)

    @property
    def kind(self) -> str:
        """What frames are made of, see `Data`."""
        return "spikes" if self.choices.counts is None else "counts"

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Of a recording's frames: T, polarities, height, width."""
        sides = (-(-side // self.choices.downsample) for side in (self.sensor.height, self.sensor.width))
        return (self.choices.time_steps, POLARITIES, *sides)  # type: ignore[return-value]

    def check_room(self, recordings: int, where: Path) -> None:
        """Raise DataError if the frames of a number of recordings take too much memory."""
        size = recordings * math.prod(self.shape)
        if size > ROOM:
            raise DataError(
                f"{where}: frames of {recordings:,} recordings take {size / 2**30:,.0f} GiB, at most "
                f"{ROOM / 2**30:.0f} GiB are allowed; take fewer time_steps, or a larger downsample"
            )

    def fill(self, frames: Array, recording: Recording) -> None:
        """Write a recording's frames into an array `[T, 2, H, W]` of uint8 zeros."""
        steps, polarities, height, width = self.shape
        step = self._step(recording.times)
        inside = step < steps
        self.events += len(step)
        self.outside += int(np.count_nonzero(~inside))
        across = self.choices.downsample
        rows, columns = recording.y[inside] // across, recording.x[inside] // across
        place = ((step[inside] * polarities + recording.polarity[inside]) * height + rows) * width + columns
        counts = np.bincount(place, minlength=frames.size)
        frames[...] = np.minimum(counts, self.choices.counts or 1).reshape(frames.shape)

    def _step(self, times: Array) -> Array:
        """The window of each event."""
        if self.choices.bin is not None:
            return times // self.choices.bin  # type: ignore[no-any-return]
        begun = times - times[0]
        return begun * self.choices.time_steps // (begun[-1] + 1)  # type: ignore[no-any-return]

    def left_out(self) -> str:
        """Return a note on events after the last window; empty if there are none."""
        if not self.outside:
            return ""
        return (
            f"{self.outside:,} of {self.events:,} events come after {self.choices.time_steps} windows of "
            f"{self.choices.bin:,} µs and are left out"
        )
