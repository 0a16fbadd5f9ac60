"""What travels between stages: one message per time step, `[rows, bytes]` uint8.

A row belongs to one sample. Its first byte is 1 where the row holds a sample; then come the signals that later
stages still need, each in its own type, one after the other. Because residual branches and delayed signals ride in
the same message, every hop is one channel, whatever the graph looks like. A message without samples is a bubble.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from asnn_deploy.engine.steppers import signal_type
from asnn_deploy.graph import INPUT, Add, DeployGraph, Flatten, Neuron, Pool, Product
from asnn_deploy.ranges import largest_values
from asnn_deploy.step_table import Array

ANSWER = "the answer"
"""The slot of the readout's running sum. Layer names have no spaces, so no slot of a layer's signal has this name."""
SUMMAND = "the summand"
"""The slot of the readout's summand at this step."""


def potential_of(neuron: str) -> str:
    """The slot of a neuron layer's membrane potential."""
    return f"potential of {neuron}"


@dataclass(frozen=True)
class Slot:
    """One signal's place in a row: its name, type, and shape for one sample."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Bytes per row."""
        return np.dtype(self.dtype).itemsize * math.prod(self.shape)


class Layout:
    """The slots of a message's rows, behind the byte that marks a row as filled."""

    def __init__(self, slots: Iterable[Slot]) -> None:
        self.slots = tuple(slots)
        self._spans: dict[str, tuple[Slot, int, int]] = {}
        end = 1
        for slot in self.slots:
            start, end = end, end + slot.nbytes
            self._spans[slot.name] = (slot, start, end)
        self.row_bytes = end

    def empty(self, rows: int) -> Array:
        """A bubble: `[rows, row_bytes]`, no row filled."""
        return np.zeros((rows, self.row_bytes), np.uint8)

    def pack(self, message: Array, samples: int, values: Mapping[str, Array]) -> Array:
        """Write `[samples, ...]` arrays into the first rows of a message, and mark the others as not filled."""
        message[:samples, 0] = 1
        message[samples:, 0] = 0
        if not samples:
            return message
        for slot, start, end in self._spans.values():
            rows = values[slot.name].reshape(samples, -1)
            if slot.dtype == "uint8":
                message[:samples, start:end] = rows
            else:
                message[:samples, start:end] = np.ascontiguousarray(rows, slot.dtype).view(np.uint8)
        return message

    def unpack(self, message: Array) -> dict[str, Array]:
        """The slots' arrays `[samples, ...]`, each in its slot's type; samples may be 0."""
        samples = filled(message)
        return {
            slot.name: np.ascontiguousarray(message[:samples, start:end]).view(slot.dtype).reshape(samples, *slot.shape)
            for slot, start, end in self._spans.values()
        }


def filled(message: Array) -> int:
    """How many rows of a message hold a sample."""
    return int(message[:, 0].sum())


def signal_slots(graph: DeployGraph) -> dict[str, Slot]:
    """A slot for each layer's signal and for "input": a byte where it holds counts up to 255, else the graph's type."""
    largest = largest_values(graph)
    native = np.dtype(signal_type(graph)).name
    counts = {INPUT}
    for layer in graph.layers:
        sums_up = isinstance(layer, (Flatten, Add, Product)) or (isinstance(layer, Pool) and layer.mode != "average")
        if isinstance(layer, Neuron) or (sums_up and all(e.source in counts for e in graph.inputs_of[layer.name])):
            counts.add(layer.name)
    return {
        name: Slot(name, "uint8" if name in counts and largest[name].max() <= 255 else native, shape)
        for name, shape in graph.shapes.items()
    }
