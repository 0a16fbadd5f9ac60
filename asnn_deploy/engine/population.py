"""Compiled LIF neurons: with the synapses that they alone read and a pooling of their spikes, as one unit."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np

from asnn_deploy.engine.compiled import Synapses
from asnn_deploy.engine.kernels import advance
from asnn_deploy.engine.layout import aligned, parameters, pooling, side_by_side, spread
from asnn_deploy.engine.registers import NotCompilable, covers
from asnn_deploy.engine.signals import channels_first, channels_last, potential_type
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.layers import Conv, Linear, Neuron, Pool
from asnn_deploy.util.arrays import Array

MODEL = "lif"
"""The neuron model whose compiled form is in `kernels.py`."""


class Population:
    """LIF neurons, the synapses that they alone read, and a pooling of these neurons' spikes.

    layer: the synapses; None where something else makes the neurons' currents.
    outputs: which of the neuron's and the pooling's signals are needed. watched: whether potentials are kept; counted:
    whether spikes are counted, to be read in `emitted`.
    Raises NotCompilable from the constructor if a register might overflow.
    """

    def __init__(
        self,
        graph: DeployGraph,
        layer: Conv | Linear | None,
        neuron: Neuron,
        pool: Pool | None,
        outputs: Collection[str],
        watched: bool,
        counted: bool,
    ) -> None:
        self.synapses = None if layer is None else Synapses(graph, layer)
        self.layers = tuple(part.name for part in (layer, neuron, pool) if part)
        self.neuron, self.outputs, self.watched, self.counted = neuron.name, outputs, watched, counted
        self.shape = graph.shapes[neuron.name]
        self.state_type = potential_type(graph)
        self.to_zero = neuron.reset == "zero"
        tables = parameters(graph, neuron)
        self.pitch, rows = spread([tables[key] for key in ("leak", "gain", "threshold", "bias")], self.shape)
        self.parameters = tuple(r.astype(self.state_type) for r in rows)
        shifts = tables.get("gain_shift")
        self.shifts = np.zeros(graph.time_steps, np.int32) if shifts is None else np.stack(shifts).astype(np.int32)
        if graph.arithmetic == "fixed" and not covers(graph, neuron, tables):
            raise NotCompilable(neuron.name)
        self.pool, self.pool_shape = pool.name if pool else None, graph.shapes[pool.name] if pool else ()
        self.pooling = pooling(pool, self.pool_shape)
        self.v: Array = np.zeros((0, 0))
        self.potentials: Array = np.zeros(0)
        self.emitted: Array = np.zeros(0)

    def reset(self, batch: int) -> None:
        """All potentials to zero."""
        if len(self.v) != batch:
            # Kept from batch to batch, and not by np.zeros: NumPy asks for huge pages only where it does not zero.
            self.v = np.empty((batch, int(np.prod(self.shape))), self.state_type)
        self.v.fill(0)

    def keep(self, samples: Array) -> None:
        """The potentials of these samples."""
        self.v = self.v[samples]

    def advance(self, steps: range, *inputs: Array) -> dict[str, Array]:
        """Spikes and pooled spikes `[steps, B, ...]`, whichever are needed."""
        room = inputs[0].shape[:2]
        spikes, self.potentials, pooled = (
            np.empty((*room, size) if needed else (0, 0, 0), kind)
            for needed, size, kind in (
                (self.neuron in self.outputs, self.v.shape[1], np.uint8),
                (self.watched, self.v.shape[1], self.state_type),
                (self.pool in self.outputs, int(np.prod(self.pool_shape)), np.uint8),
            )
        )
        self.emitted = np.empty(room if self.counted else (0, 0), np.int64)
        for part, at, arriving in self._arriving(steps, inputs[0]):
            advance(
                *(*arriving, self.v, tuple(p[part] for p in self.parameters), self.pitch, self.shifts[part]),
                *(self.to_zero, spikes[at], self.potentials[at], pooled[at], self.pooling, self.emitted[at]),
            )
        found = {self.neuron: (spikes, self.shape), self.pool: (pooled, self.pool_shape)}
        return {
            name: channels_first(signal, shape)
            for name, (signal, shape) in found.items()
            if name is not None and name in self.outputs
        }

    def _arriving(self, steps: range, x: Array) -> Iterator[tuple[slice, slice, tuple[Any, ...]]]:
        """Consecutive steps, where they are among those at hand, and what the kernel takes of the synapses."""
        if self.synapses is None:
            part, at = slice(steps.start, steps.stop), slice(0, len(steps))
            yield part, at, finished(channels_last(x.astype(self.state_type, copy=False)), self.shape)
            return
        x = channels_last(x.astype(self.synapses.carried, copy=False))
        for run in self.synapses.runs(steps):
            events = self.synapses.events(run)
            yield run.part, run.at, (x[run.at], *events, self.synapses.sums(run, x[run.at]))

    @property
    def potential(self) -> Array:
        """Membrane potentials after the latest steps, `[steps, B, *shape]`; only where watched."""
        return channels_first(self.potentials, self.shape)


def finished(currents: Array, shape: tuple[int, ...]) -> tuple[Any, ...]:
    """What the kernel takes where nothing is left to add up: currents `[steps, samples, neurons]`."""
    steps, samples, neurons = currents.shape
    nothing = np.empty((steps, samples, 0), np.uint8)
    weights, tables, bias = np.zeros(0, currents.dtype), np.zeros(steps, np.int64), np.zeros((0, 0), currents.dtype)
    return nothing, False, weights, tables, tuple(side_by_side(shape)), bias, aligned(neurons, currents.dtype), currents
