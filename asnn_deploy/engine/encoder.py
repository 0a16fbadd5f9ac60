"""The input code's frames, compiled: the table of `InputCode`, looked up for all steps at once."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from asnn_deploy.engine.compiler import compiled
from asnn_deploy.engine.signals import channels_first
from asnn_deploy.ir.images import InputCode
from asnn_deploy.ir.inputs import Input
from asnn_deploy.util.arrays import Array


@compiled
def look_up(table: Any, pixels: Any, frames: Any) -> None:
    """`frames[t, b, i] = table[t, pixels[b, i]]`, all uint8."""
    for t in range(frames.shape[0]):
        row = table[t]
        for b in range(frames.shape[1]):
            for i in range(frames.shape[2]):
                frames[t, b, i] = row[pixels[b, i]]


def encode(code: Input, images: Array) -> Array:
    """The frames `[T, B, C, H, W]` of samples: of uint8 images `[B, C, H, W]` uint8 and channels-last in memory."""
    if not isinstance(code, InputCode):
        return code.frames(images)
    pixels = np.ascontiguousarray(np.moveaxis(images, 1, -1)).reshape(len(images), math.prod(images.shape[1:]))
    frames = np.empty((code.time_steps, *pixels.shape), np.uint8)
    look_up(code.table.astype(np.uint8), pixels, frames)
    return channels_first(frames, images.shape[1:])
