"""Paths: what a signal without synapses reads, and with it the windows, layouts and parameter tables of populations."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from asnn_deploy.fitting.network import Geometry, Table
from asnn_deploy.fitting.reach import Window
from asnn_deploy.ir.fixed_point import ACCUMULATOR_BITS, GAIN_BITS, LEAK_BITS, STATE_BITS
from asnn_deploy.ir.layers import Layer, Readout, Shape
from asnn_deploy.ir.step_table import StepTable

PARAMETER_BITS = {
    "leak": LEAK_BITS,
    "current_leak": LEAK_BITS,
    "gain": GAIN_BITS,
    "gain_shift": 5,
    "threshold": STATE_BITS,
    "bias": STATE_BITS,
    "scale": GAIN_BITS,
    "du": 12,
    "dv": 12,
    "vth": 17,
    "bias_mant": 13,
    "bias_exp": 3,
}
"""Widths of the integer versions' parameters; one that is not listed takes 32 bits."""
UNKNOWN_BITS = 32


@dataclass(frozen=True, eq=False)
class Path:
    """A signal without synapses: what it reads of one source, linearly.

    index: `[T]`, which scaling holds. first: the signal's first channel that this source gives.
    """

    source: str
    channels: int
    rows: Window
    cols: Window
    index: tuple[int, ...]
    late: int = 0
    first: int = 0

    @property
    def plain(self) -> bool:
        """Whether nothing was pooled on the way."""
        return all(np.array_equal(w.touches, np.eye(w.outputs, dtype=bool)) for w in (self.rows, self.cols))


def windows_of(layer: Layer, rows: Window, cols: Window) -> tuple[Window, Window]:
    """The two windows of a layer that reads signals of so many rows and columns; a 1-D one leaves columns alone."""
    sizes = (rows.outputs, cols.outputs)
    if layer.sliding is None:
        return Window.whole(sizes[0]), Window.whole(sizes[1])
    found = [Window.sliding(*x) for x in zip(sizes, *layer.sliding[:4])]
    return found[0], found[1] if len(found) > 1 else Window.same(sizes[1])


def folded(window: Window, path: Window) -> Window:
    """A window reading the path's source itself."""
    return window if np.array_equal(path.touches, np.eye(path.outputs, dtype=bool)) else window.before(path)


def joined(index: tuple[int, ...], *tables: StepTable) -> tuple[int, ...]:
    """Which set of all tables' values holds at each step."""
    sets = list(zip(index, *(table.index.tolist() for table in tables)))
    places = {values: i for i, values in enumerate(dict.fromkeys(sets))}
    return tuple(places[values] for values in sets)


def boxed(shape: Shape) -> Geometry:
    """A shape as channels, rows and columns."""
    return (shape[0], shape[1] if len(shape) > 1 else 1, prod(shape[2:]))


def table_of(layer: Layer, key: str, table: StepTable, shape: Shape, geometry: Geometry) -> Table:
    summed = isinstance(layer, Readout) and key == "bias"
    bits = ACCUMULATOR_BITS if summed else PARAMETER_BITS.get(key, UNKNOWN_BITS)
    return Table(layer.name, key, bits, _grain(table.shape, shape, geometry), tuple(table.index.tolist()))


def _grain(given: Shape, shape: Shape, geometry: Geometry) -> tuple[bool, bool, bool]:
    """Along which of channels, rows and columns a parameter differs."""
    if not given or prod(given) == 1:
        return (False, False, False)
    if len(shape) == 1 and geometry != (shape[0], 1, 1):
        return (True, True, True)
    if len(given) == 1:
        return (True, False, False)
    box = boxed(given)
    return (box[0] > 1, box[1] > 1, box[2] > 1)
