"""Units: what an executor runs, one after another. A unit stands for one layer, or for several fused ones."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

import numpy as np

from asnn_deploy.engine.compiled import Synapses
from asnn_deploy.engine.layout import poolable
from asnn_deploy.engine.population import Population
from asnn_deploy.engine.registers import NotCompilable
from asnn_deploy.engine.signals import carried_types, potential_type, signal_type
from asnn_deploy.engine.steppers import Firing, build
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.layers import Conv, Layer, Linear, Neuron, Pool
from asnn_deploy.util.arrays import Array


class Unit(Protocol):
    """layers: the layers it stands for; it reads what the first of them reads."""

    layers: tuple[str, ...]

    def reset(self, batch: int) -> None:
        """Begin a new batch: state to zero."""

    def keep(self, samples: Array) -> None:
        """Go on with some of the batch's samples only, by their indices."""

    def advance(self, steps: range, *inputs: Array) -> dict[str, Array]:
        """What leaves its layers during some steps, by name: `[steps, B, ...]`, from inputs `[steps, B, ...]`."""


class Stepwise:
    """A NumPy layer as a unit."""

    def __init__(self, graph: DeployGraph, layer: Layer, watched: bool, counted: bool) -> None:
        self.layers: tuple[str, ...] = (layer.name,)
        self.stepper = build(layer, graph)
        self.type, self.carried = signal_type(graph), carried_types(graph)[layer.name]
        self.watched, self.counted = watched and layer.fires, counted and layer in graph.spiking
        self.state_type = potential_type(graph)
        self.potential: Array = np.zeros(0)
        self.emitted: Array = np.zeros(0)

    def reset(self, batch: int) -> None:
        """See Unit."""
        self.stepper.reset(batch)

    def keep(self, samples: Array) -> None:
        """See Unit."""
        self.stepper.keep(samples)

    def advance(self, steps: range, *inputs: Array) -> dict[str, Array]:
        """See Unit."""
        wide = [x.astype(self.type, copy=False) for x in inputs]
        found, potentials = [], []
        for i, t in enumerate(steps):
            found.append(self.stepper.step(t, *(x[i] for x in wide)))
            if self.watched:
                assert isinstance(self.stepper, Firing)
                potentials.append(self.stepper.potential.astype(self.state_type))
        if potentials:
            self.potential = np.stack(potentials)
        if self.counted:
            self.emitted = np.stack([spikes.reshape(len(spikes), -1).sum(axis=1, dtype=np.int64) for spikes in found])
        return {self.layers[0]: np.stack(found).astype(self.carried, copy=False)}


class Memoryless:
    """A NumPy layer that is the same at every step, as a unit: all steps in one call."""

    def __init__(self, graph: DeployGraph, layer: Layer) -> None:
        self.layers: tuple[str, ...] = (layer.name,)
        self.stepper = build(layer, graph)
        self.carried = carried_types(graph)[layer.name]
        # If a sum fits a byte, so do all its summands and partial sums.
        self.type = self.carried if layer.passes else np.dtype(signal_type(graph))

    def reset(self, batch: int) -> None:
        """Nothing to do."""

    def keep(self, samples: Array) -> None:
        """Nothing to do."""

    def advance(self, steps: range, *inputs: Array) -> dict[str, Array]:
        """See Unit."""
        flat = (x.astype(self.type, copy=False).reshape(-1, *x.shape[2:]) for x in inputs)
        y = self.stepper.step(steps.start, *flat).astype(self.carried, copy=False)
        return {self.layers[0]: y.reshape(*inputs[0].shape[:2], *y.shape[1:])}


def plan_units(
    graph: DeployGraph,
    names: Collection[str],
    wanted: Collection[str] | None,
    watched: bool,
    counted: bool,
    compile_layers: bool,
) -> list[Unit]:
    """The units for the layers `names`, in order.

    wanted: the signals that are read from outside; None for all of them. watched: whether potentials are;
    counted: whether the numbers of spikes are.
    compile_layers: False computes every layer in NumPy, as the oracle does.
    """
    outside = set(graph.by_name) if wanted is None else set(wanted)
    outside |= {e.source for e in graph.edges if e.source in names and e.target not in names}
    outside |= {e.source for e in graph.edges if e.delay}
    units: list[Unit] = []
    done: set[str] = set()
    for layer in graph.layers:
        if layer.name in names and layer.name not in done:
            unit = _compiled(graph, layer, names, outside, watched, counted) if compile_layers else None
            if unit is None:
                same = compile_layers and not layer.fires and not layer.tables()
                unit = Memoryless(graph, layer) if same else Stepwise(graph, layer, watched, counted)
            units.append(unit)
            done.update(units[-1].layers)
    return units


def _compiled(
    graph: DeployGraph, layer: Layer, names: Collection[str], outside: set[str], watched: bool, counted: bool
) -> Unit | None:
    """The largest compiled unit that begins with a layer; None where it has no compiled form."""
    if not isinstance(layer, (Conv, Linear, Neuron)):
        return None
    synapses = None if isinstance(layer, Neuron) else layer
    neuron = layer if synapses is None else _only_reader(graph, synapses, names, outside)
    try:
        if isinstance(neuron, Neuron):
            readers = [graph.by_name[e.target] for e in graph.edges if e.source == neuron.name and not e.delay]
            pools = [r for r in readers if isinstance(r, Pool) and r.name in names and poolable(r)]
            pool = pools[0] if pools and neuron.definition.spikes else None
            outputs = {n for n in (neuron.name, pool.name if pool else "") if n in outside}
            outputs |= {pool.name} if pool else set()
            outputs |= {neuron.name} if not pool or len(readers) > 1 else set()
            return Population(graph, synapses, neuron, pool, outputs, watched, counted)
    except NotCompilable:
        pass  # a register may overflow: the parts, one by one
    try:
        return None if synapses is None else Synapses(graph, synapses)
    except NotCompilable:
        return None


def _only_reader(graph: DeployGraph, layer: Layer, names: Collection[str], outside: set[str]) -> Layer | None:
    """The layer that alone reads another, within the same step; None where there is none or more."""
    readers = [e.target for e in graph.edges if e.source == layer.name]
    return (
        graph.by_name[readers[0]] if len(readers) == 1 and layer.name not in outside and readers[0] in names else None
    )
