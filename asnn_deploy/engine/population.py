"""Compiled neurons: with the synapses that they alone read and a pooling of their spikes, as one unit."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np

from asnn_deploy.engine.compiled import Synapses
from asnn_deploy.engine.kernels.advance import advance
from asnn_deploy.engine.kernels.records import Events
from asnn_deploy.engine.layout import aligned, side_by_side, window
from asnn_deploy.engine.neurons import prepared
from asnn_deploy.engine.signals import carried_types, channels_first, channels_last, potential_type
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.layers import Conv, Linear, Neuron, Pool
from asnn_deploy.util.arrays import Array


class Population:
    """Neurons of any model, the synapses that they alone read, and a pooling of these neurons' spikes.

    layer: the synapses; None if something else makes the neurons' currents. pool: None for neurons that send their
    potential.
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
        self.shape, self.spiking = graph.shapes[neuron.name], neuron.definition.spikes
        self.neuron, self.outputs, self.watched, self.counted = neuron.name, outputs, watched, counted and self.spiking
        self.state_type, self.carried = potential_type(graph), carried_types(graph)[neuron.name]
        self.neurons = prepared(graph, neuron)
        self.pool, self.pool_shape = pool.name if pool else None, graph.shapes[pool.name] if pool else ()
        self.window = window(pool, self.pool_shape)
        self.room = len(neuron.definition.states), int(np.prod(self.shape))
        self.states: Array = np.zeros((0, *self.room))
        self.potentials: Array = np.zeros(0)
        self.emitted: Array = np.zeros(0)

    def reset(self, batch: int) -> None:
        """All states `[batch, states, neurons]` to zero."""
        if len(self.states) != batch or self.states.dtype != self.state_type:
            # Kept from batch to batch, and not by np.zeros: NumPy asks for huge pages only where it does not zero.
            self.states = np.empty((batch, *self.room), self.state_type)
        self.states.fill(0)

    def keep(self, samples: Array) -> None:
        """The states of these samples."""
        self.states = self.states[samples]

    def advance(self, steps: range, *inputs: Array) -> dict[str, Array]:
        """What the neurons send and pooled spikes, `[steps, B, ...]`, whichever are needed."""
        batch, neurons = inputs[0].shape[:2], self.room[1]
        sends = self.neuron in self.outputs
        spikes, self.potentials, pooled = (
            np.empty((*batch, size) if needed else (0, 0, 0), kind)
            for needed, size, kind in (
                (sends and self.spiking, neurons, np.uint8),
                (self.watched or (sends and not self.spiking), neurons, self.state_type),
                (self.pool in self.outputs, int(np.prod(self.pool_shape)), np.uint8),
            )
        )
        self.emitted = np.empty(batch if self.counted else (0, 0), np.int64)
        for part, at, arriving in self._arriving(steps, inputs[0]):
            advance(
                *(*arriving, self.neurons, part.start, self.states),
                *(spikes[at], self.potentials[at], pooled[at], self.window, self.emitted[at]),
            )
        sent = spikes if self.spiking else self.potentials.astype(self.carried)
        found = {self.neuron: (sent, self.shape), self.pool: (pooled, self.pool_shape)}
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
            yield run.part, run.at, (x[run.at], self.synapses.events(run), self.synapses.sums(run, x[run.at]))

    @property
    def potential(self) -> Array:
        """Membrane potentials after the latest steps, `[steps, B, *shape]`; only if watched."""
        return channels_first(self.potentials, self.shape)


def finished(currents: Array, shape: tuple[int, ...]) -> tuple[Any, ...]:
    """What the kernel takes if nothing is left to add up: currents `[steps, samples, neurons]`."""
    steps, samples, neurons = currents.shape
    weights, tables, bias = np.zeros(0, currents.dtype), np.zeros(steps, np.int64), np.zeros((0, 0), currents.dtype)
    nothing = Events(False, weights, tables, side_by_side(shape), bias, aligned(neurons, currents.dtype))
    return np.empty((steps, samples, 0), np.uint8), nothing, currents
