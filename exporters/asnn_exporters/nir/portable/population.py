"""A population of neurons while it is made a node of NIR."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from asnn_deploy.errors import UnsupportedError
from asnn_deploy.ir.layers import Neuron, Shape
from asnn_deploy.util.arrays import Array
from asnn_exporters.nir.others.neurons import RELAXING
from asnn_exporters.nir.portable.target import Target

KINDS = {"lif": "LIF", "cuba-lif": "CubaLIF", "li": "LI", "if": "IF"}


@dataclass
class Population:
    """A population while it is written. p: its parameters, float64, as they meet a signal of its shape."""

    layer: Neuron
    shape: Shape
    target: Target
    model: str
    p: dict[str, Array]
    notes: list[str]

    @property
    def relaxing(self) -> bool:
        """Whether it is written as a membrane that relaxes."""
        return self.target.update(self.kind) in RELAXING

    @property
    def kind(self) -> str:
        """NIR's type of it."""
        return KINDS[self.model.removeprefix("relaxing-")]

    def refuse(self, problem: str) -> UnsupportedError:
        """Return an error that names the layer."""
        return self.layer.unsupported(problem)

    def note(self, text: str) -> None:
        """Note what is not exactly as it was, once."""
        line = f"layer {self.layer.name!r}: {text}"
        if line not in self.notes:
            self.notes.append(line)

    def note_rounding(self) -> None:
        """Note that the reader's float32 roundings are not the network's."""
        self.note(f"{self.target.who} rounds its steps otherwise; they are equal in real numbers")


def single(value: Array) -> Array:
    """Return a number as float32 holds it."""
    return np.asarray(value, np.float64).astype(np.float32).astype(np.float64)


def wide(value: Array, shape: Shape) -> Array:
    """Return a field for each element; float32, or float64 if it must be."""
    value = np.asarray(value)
    single = value.astype(np.float32)
    kept = single if (single == value).all() else value
    return np.ascontiguousarray(np.broadcast_to(kept, shape))


def powers(value: Array) -> bool:
    """Return whether all numbers are 0 or powers of two, by which a product is exact."""
    return bool(np.isin(np.abs(np.frexp(value)[0]), (0, 0.5)).all())


def span(value: Array) -> str:
    """Return the least and the largest number, as text."""
    low, high = float(np.min(value)), float(np.max(value))
    return f"{low:.9g}" if low == high else f"{low:.9g} to {high:.9g}"
