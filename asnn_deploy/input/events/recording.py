"""What a sensor recorded: one event for each change of a pixel."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from asnn_deploy.errors import DataError
from asnn_deploy.util.arrays import Array


@dataclass(frozen=True)
class Sensor:
    """A sensor's pixels: height and width."""

    height: int
    width: int


@dataclass(frozen=True, eq=False)
class Recording:
    """Events in their order: x, y (pixels from the upper left), polarity (0: darker, 1: brighter), each `[N]` integers;
    times `[N]` int64, microseconds of the recording's clock."""

    x: Array
    y: Array
    polarity: Array
    times: Array

    def check(self, sensor: Sensor, file: Path) -> None:
        """Raise DataError naming the file and the first event that lies beyond the sensor or before its forerunner."""
        beyond = np.flatnonzero((self.x < 0) | (self.x >= sensor.width) | (self.y < 0) | (self.y >= sensor.height))
        if beyond.size:
            i = int(beyond[0])
            raise DataError(
                f"{file}: event {i} lies at x = {self.x[i]}, y = {self.y[i]}, beyond the sensor's {sensor.width} x "
                f"{sensor.height} pixels; replace the file"
            )
        backwards = np.flatnonzero(np.diff(self.times) < 0)
        if backwards.size:
            i = int(backwards[0]) + 1
            raise DataError(
                f"{file}: event {i} is of {self.times[i]} µs, the one before of {self.times[i - 1]} µs; times must not "
                "run backwards; replace the file"
            )
