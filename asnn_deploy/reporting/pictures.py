"""Dense pictures as PNG in `data:` addresses: images, coded frames, spike maps, rasters.

Spikes are one colour whose opacity is their number, so that a picture suits dark and light pages and print.
"""

from __future__ import annotations

import base64
import io
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from asnn_deploy.reporting.example import Example
from asnn_deploy.util.arrays import Array
from asnn_deploy.util.drawing import plain_style

BLUE, GREY = (43, 134, 197), (128, 128, 128)
"""Both stand out on white and on the dark page."""
SHADES = 15
"""Opacities are rounded to so many, which keeps the files small."""
LARGEST_SIDE = 32
MOST_STEPS = 12
"""Maps of at most so many steps are drawn, spread over the run."""
PIXELS = 140_000
"""All rasters and all maps of a page have at most about so many pixels each."""


@dataclass(frozen=True)
class Layer:
    """A layer's pictures: address of its spike maps (steps side by side), of its raster, and what they show."""

    name: str
    neurons: int
    spikes: int
    maps: str
    raster: str
    neurons_per_column: int
    rows: int


@dataclass(frozen=True)
class Pictures:
    """Pictures of one sample. steps: the time steps that maps and frames show; frames: their address."""

    image: str
    frames: str
    steps: list[int]
    layers: list[Layer]
    steps_per_row: int


def pictures(example: Example) -> Pictures:
    """Draw one sample."""
    time_steps = len(example.frames)
    steps = sorted({round(k) for k in np.linspace(0, time_steps - 1, min(time_steps, MOST_STEPS))})
    count = max(len(example.spikes), 1)
    per_row = -(-time_steps // 48)
    rows = -(-time_steps // per_row)
    columns = max(24, min(360, PIXELS // (count * rows)))
    side = max(8, min(LARGEST_SIDE, int(math.sqrt(PIXELS / (count * len(steps))))))
    layers = []
    for name, spikes in example.spikes.items():
        flat = spikes.reshape(time_steps, -1)
        raster, each = _raster(flat, columns, per_row)
        maps = [_shrunk(_map(spikes[t]), side) for t in steps]
        layers.append(
            Layer(
                name,
                flat.shape[1],
                int(flat.sum(dtype=np.int64)),
                _shaded(_strip(maps)),
                _shaded(np.sqrt(raster)),  # few of many neurons fire at once; they shall still be seen
                each,
                rows,
            )
        )
    return Pictures(_image(example.image), _frames(example, steps), steps, layers, per_row)


def _map(spikes: Array) -> Array:
    """A signal at one step as a plane: `[C, H, W]` over channels, a vector folded into a near-square."""
    if spikes.ndim >= 3:
        plane = spikes.reshape(-1, *spikes.shape[-2:]).mean(axis=0)
    else:
        flat = spikes.reshape(-1).astype(float)
        width = math.ceil(math.sqrt(flat.size))
        plane = np.zeros(width * -(-flat.size // width))
        plane[: flat.size] = flat
        plane = plane.reshape(-1, width)
    return plane


def _shrunk(plane: Array, side: int) -> Array:
    """A plane with at most `side` rows and columns, by means over blocks."""
    for axis in (0, 1):
        each = -(-plane.shape[axis] // side)
        plane = np.stack([part.mean(axis=axis) for part in _parts(plane, each, axis)], axis=axis)
    return plane


def _parts(values: Array, each: int, axis: int) -> list[Array]:
    return np.split(values, range(each, values.shape[axis], each), axis=axis)


def _strip(planes: list[Array]) -> Array:
    """Planes side by side, each in the middle of a square, with a margin between them."""
    side = max(max(plane.shape) for plane in planes)
    margin = max(1, round(0.04 * side))
    cell = side + 2 * margin
    strip = np.zeros((side, cell * len(planes)))
    for k, plane in enumerate(planes):
        y, x = (side - plane.shape[0]) // 2, margin + (side - plane.shape[1]) // 2
        strip[y : y + plane.shape[0], k * cell + x : k * cell + x + plane.shape[1]] = plane
    return strip


def _raster(flat: Array, columns: int, per_row: int) -> tuple[Array, int]:
    """Spikes `[T, neurons]` as rows of time and columns of neurons, and the neurons in a column."""
    each = -(-flat.shape[1] // columns)
    by_neurons = np.stack([part.mean(axis=1) for part in _parts(flat, each, 1)], axis=1)
    return np.stack([part.mean(axis=0) for part in _parts(by_neurons, per_row, 0)]), each


def _frames(example: Example, steps: list[int]) -> str:
    """The coded image at each of some steps: values in grey, spikes in the spikes' colour."""
    planes = [_map(np.abs(example.frames[t])) for t in steps]
    most = max((float(p.max()) for p, t in zip(planes, steps) if not example.analog[t]), default=0.0) or 1.0
    scaled = [p / (example.largest if example.analog[t] else most) for p, t in zip(planes, steps)]
    strip = _strip([_shrunk(plane, 2 * LARGEST_SIDE) for plane in scaled])
    grey = np.repeat([bool(example.analog[t]) for t in steps], strip.shape[1] // len(steps))
    return _png(_painted(strip, np.where(grey[None, :, None], GREY, BLUE)))


def _image(image: Array) -> str:
    """The image itself: in colour where it has three channels, else their mean in grey."""
    channels = image if len(image) == 3 else np.repeat(image.mean(axis=0, keepdims=True).round(), 3, axis=0)
    return _png(np.moveaxis(channels.astype(np.uint8), 0, -1))


def _shaded(values: Array) -> str:
    peak = float(values.max(initial=0.0)) or 1.0
    return _png(_painted(values / peak, np.array(BLUE)))


def _painted(values: Array, colour: Array) -> Array:
    """Values 0 to 1 as opacities of a colour: uint8 `[H, W, 4]`. What is not nothing stays visible."""
    alpha = np.ceil(np.clip(values, 0, 1) * SHADES - 1e-9) / SHADES
    painted = np.zeros((*values.shape, 4), np.uint8)
    painted[..., :3] = colour
    painted[..., 3] = np.rint(255 * alpha)
    return painted


@plain_style()
def _png(pixels: Array) -> str:
    """Pixels uint8 `[H, W, 3 or 4]` as a PNG in a `data:` address."""
    from matplotlib.image import imsave  # takes long to import, and only reports need it

    file = io.BytesIO()
    metadata: dict[str, Any] = {"Software": None}  # the same bytes whatever matplotlib's version
    imsave(file, np.ascontiguousarray(pixels), format="png", metadata=metadata, pil_kwargs={"optimize": True})
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
