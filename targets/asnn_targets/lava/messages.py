"""What travels between stages: one message per time step, `[rows, bytes]` uint8.

A row belongs to one sample. Its first byte is 1 where the row holds a sample; then come the signals that later
stages still need, each in its own type and channels-last, one after the other. Because residual branches and delayed
signals ride in the same message, every hop is one channel, whatever the graph looks like. A message without samples
is a bubble.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from asnn_deploy.engine.signals import carried_types, channels_first, channels_last
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.util.arrays import Array

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
            rows = channels_last(values[slot.name][None])[0]
            if slot.dtype == "uint8":
                message[:samples, start:end] = rows
            else:
                message[:samples, start:end] = np.ascontiguousarray(rows, slot.dtype).view(np.uint8)
        return message

    def unpack(self, message: Array) -> dict[str, Array]:
        """The slots' arrays `[samples, ...]`, each in its slot's type; samples may be 0."""
        samples, found = filled(message), {}
        for slot, start, end in self._spans.values():
            rows = np.ascontiguousarray(message[:samples, start:end]).view(slot.dtype)
            found[slot.name] = channels_first(rows[None], slot.shape)[0]
        return found


def filled(message: Array) -> int:
    """How many rows of a message hold a sample."""
    return int(message[:, 0].sum())


def signal_slots(graph: DeployGraph) -> dict[str, Slot]:
    """A slot for each layer's signal and for "input", in the type that it is carried in."""
    types = carried_types(graph)
    return {name: Slot(name, types[name].name, shape) for name, shape in graph.shapes.items()}
