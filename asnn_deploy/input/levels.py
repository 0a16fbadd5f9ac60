"""Levels: how bright a coding takes each of the 256 pixel values to be, which is where its thresholds lie.

Evenly spaced thresholds take a pixel for what it is. Equal-mass thresholds lie at the quantiles of the training pixels,
which is the same as even thresholds on the share of training pixels that are no brighter. Both are a rising table of
256 numbers, and with that part of the input code's own table, which every format carries exactly.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from asnn_deploy.errors import ConfigError
from asnn_deploy.ir.images import PIXEL_LEVELS, PIXEL_MAX
from asnn_deploy.util.arrays import Array


def equal_mass(images: Array) -> list[int]:
    """Levels 0..255 of the pixel values 0..255, by the pixels of uint8 images.

    `levels[p]` is the share of the pixels above 0 that are at most p, in units of 1/255. Pixels of 0, the background of
    many images, send nothing in most codings and would fill half of all thresholds: they keep level 0 and do not count.
    Pixel values that do not occur take the level of the next darker one; equal values stay together, so steps have
    equal mass up to ties. Where all pixels are 0, levels are even.
    """
    counts = np.bincount(images.reshape(-1), minlength=PIXEL_LEVELS)
    counts[0] = 0
    if not counts.any():
        return list(range(PIXEL_LEVELS))
    levels: list[int] = np.rint(PIXEL_MAX * np.cumsum(counts) / counts.sum()).astype(int).tolist()
    return levels


def check_levels(levels: list[int]) -> None:
    """Raise ConfigError where levels are no rising table of 256 numbers from 0 to 255."""
    rises = all(a <= b for a, b in pairwise(levels))
    if len(levels) != PIXEL_LEVELS or not rises or min(levels) < 0 or max(levels) > PIXEL_MAX:
        raise ConfigError(
            f"levels: {len(levels)} numbers from {min(levels, default=0)} to {max(levels, default=0)}"
            f"{'' if rises else ', which fall'}; "
            f"needed are {PIXEL_LEVELS} from 0 to {PIXEL_MAX} that do not fall; leave them out to have them made"
        )
