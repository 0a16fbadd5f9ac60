"""What is replayed: a network's recorded spikes as populations on cores, and every synapse between them, one by one.

Neurons are driven by what they did, so the chip's simulator need not know their model. Pixels, pooled maps, sums of
signals, values and whatever is read through weights that change from step to step are sent by relays, which cost
nothing themselves: their messages and the synapses that they reach do. Layers follow each other as on the chip: a
neuron behind d others fires d time steps after the input that it answers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import ceil, prod
from typing import Protocol

import numpy as np

from asnn_deploy.analysis.flow import flow
from asnn_deploy.energy.signals import Replay
from asnn_deploy.errors import InputError, UnsupportedError
from asnn_deploy.ir.graph import INPUT, DeployGraph, Edge
from asnn_deploy.ir.layers import Layer, Neuron, Readout, Synapses
from asnn_deploy.ir.trace import Trace
from asnn_deploy.util.arrays import Array

NEURONS_PER_CORE = 1024
Pairs = tuple[Array, Array]


class Placement(Protocol):
    """Where neurons are: core numbers by layer, each an array of the layer's shape, and how many cores there are."""

    @property
    def core_of(self) -> Mapping[str, Array]: ...

    @property
    def cores(self) -> int: ...


@dataclass(frozen=True, eq=False)
class Population:
    """Neurons, or relays. cores `[n]`; fires `[T, N, n]` bool, each step `late` steps after the input's."""

    name: str
    cores: Array
    fires: Array
    late: int
    relays: bool


@dataclass(frozen=True, eq=False)
class Projection:
    """Synapses from one population to another: `pairs` of indices, sources and targets, each `[synapses]`."""

    source: str
    target: str
    pairs: Pairs
    convolution: bool


@dataclass(frozen=True, eq=False)
class Wiring:
    """Everything that a simulator needs. steps: of one sample, from its first input until its last sum is made;
    idle: how many of them it needs only because layers follow each other."""

    populations: tuple[Population, ...]
    projections: tuple[Projection, ...]
    cores: int
    samples: int
    steps: int
    idle: int

    @property
    def synapses(self) -> int:
        """How many connections there are."""
        return sum(len(projection.pairs[0]) for projection in self.projections)


def wire(graph: DeployGraph, images: Array, trace: Trace, placement: Placement) -> Wiring:
    """The replay of a trace: uint8 images `[N, C, H, W]`, their trace with spikes recorded, a placement of the neurons.

    Raises UnsupportedError naming the layer that has no synapses on Loihi, InputError where trace or placement do not
    belong to the graph.
    """
    return _Wirer(graph, images, trace, placement).wiring()


class _Wirer:
    def __init__(self, graph: DeployGraph, images: Array, trace: Trace, placement: Placement) -> None:
        self.graph, self.placement, self.samples = graph, placement, len(images)
        self.signals = Replay(graph).arriving(images, trace)
        self.spiking = {layer.name: flow(graph).arriving(layer.name)[0].events for layer in graph.synapses}
        pixels = prod(graph.input_shape)
        self.input_cores = (placement.cores + np.arange(pixels) // NEURONS_PER_CORE).reshape(graph.input_shape)
        self.populations = {neuron.name: self._neurons(neuron, trace) for neuron in graph.neurons}
        self.populations[graph.readout.name] = self._sums(graph.readout)
        self.projections: list[Projection] = []

    def wiring(self) -> Wiring:
        for layer in self.graph.layers:
            if layer.synaptic and not layer.weighted:
                raise UnsupportedError(
                    f"layer {layer.name!r} ({layer.kind}): Loihi has no synapse whose weight is a signal, so its "
                    "spikes cannot be replayed; leave this simulator out for this network"
                )
        for synapses in self.graph.synapses:
            self._project(synapses)
        idle = 1 + max(population.late for population in self.populations.values())
        cores = self.placement.cores + ceil(prod(self.graph.input_shape) / NEURONS_PER_CORE)
        populations = tuple(self.populations.values())
        _check_cores(populations)
        return Wiring(populations, tuple(self.projections), cores, self.samples, self.graph.time_steps + idle, idle)

    def _neurons(self, neuron: Neuron, trace: Trace) -> Population:
        if neuron.spiking == "many":
            raise neuron.unsupported(
                "sends several spikes in a step, Loihi 1 one; leave this simulator out for this network"
            )
        fires = trace.spikes[neuron.name].reshape(self.graph.time_steps, self.samples, -1) != 0
        return Population(neuron.name, self._placed(neuron), fires, self._depth(neuron.name), False)

    def _sums(self, readout: Readout) -> Population:
        cores = self._placed(readout)
        silent = np.zeros((self.graph.time_steps, self.samples, len(cores)), dtype=bool)
        return Population(readout.name, cores, silent, 0, False)

    def _placed(self, layer: Layer) -> Array:
        shape = self.graph.shapes[layer.name]
        found = np.shape(self.placement.core_of.get(layer.name, ()))
        if prod(found) != prod(shape) or not found:
            raise InputError(f"the placement gives cores {found} to layer {layer.name!r}, it has neurons {shape}")
        return np.asarray(self.placement.core_of[layer.name]).ravel()

    def _project(self, layer: Synapses) -> None:
        (edge,) = self.graph.inputs_of[layer.name]
        target = self._target(layer)
        used = list(_used(layer))
        for mask, steps in used:
            pairs = connections(layer, mask, self.graph.shapes[edge.source], self.graph.shapes[layer.name])
            for source in self._sources(layer, edge, steps, always=len(used) == 1):
                self.projections.append(Projection(source, target, pairs, layer.sliding is not None))

    def _sources(self, layer: Layer, edge: Edge, steps: Array, always: bool) -> list[str]:
        """The populations that send what a layer reads in the given steps `[T]`: neurons themselves, or relays.

        A count of k is sent by k relays, a value by one: Loihi 1 knows binary spikes only.
        """
        signal = self._behind_flatten(edge.source)
        if signal in self.populations and always and not edge.delay:
            return [signal]
        arriving = self.signals[layer.name][0].reshape(self.graph.time_steps, self.samples, -1)
        events = np.where(self.spiking[layer.name][:, None, None], arriving, arriving != 0) * steps[:, None, None]
        names = []
        for copy in range(int(events.max(initial=1))):
            when = "".join("01"[int(step)] for step in steps)
            names.append(f"{signal}/{edge.delay}/{when}/{copy}")
            if names[-1] not in self.populations:
                cores, late = self._home(signal).ravel(), self._depth(signal)
                self.populations[names[-1]] = Population(names[-1], cores, events > copy, late, True)
        return names

    def _behind_flatten(self, name: str) -> str:
        """What a signal is when flattening and reshaping, which leave every element in its order, are undone."""
        while name != INPUT:
            layer, edges = self.graph.by_name[name], self.graph.inputs_of[name]
            if not layer.passes or layer.sliding or len(edges) > 1 or edges[0].delay:
                break
            name = edges[0].source
        return name

    def _at_once(self, name: str) -> list[str]:
        """The signals that a layer reads in the same time step."""
        return [e.source for e in self.graph.inputs_of[name] if not e.delay]

    def _depth(self, name: str) -> int:
        """Neuron layers up to and including a signal's own."""
        if name == INPUT:
            return 0
        own = self.graph.by_name[name].fires
        return own + max((self._depth(source) for source in self._at_once(name)), default=0)

    def _home(self, name: str) -> Array:
        """The cores that a signal leaves from, an array of the signal's shape: those of the neurons that make it."""
        if name == INPUT:
            return self.input_cores
        layer, shape = self.graph.by_name[name], self.graph.shapes[name]
        if name in self.placement.core_of:
            return np.asarray(self.placement.core_of[name]).reshape(shape)
        if layer.weighted:
            return self.populations[self._target(layer)].cores.reshape(shape)
        if layer.joins:
            return np.concatenate([self._home(edge.source) for edge in self.graph.inputs_of[name]])
        cores = self._home(self._at_once(name)[0])
        if layer.sliding is None:
            return cores.reshape(shape)
        firsts = [
            np.clip(np.arange(n) * s - p, 0, size - 1)
            for n, s, p, size in zip(shape[1:], layer.sliding.stride, layer.sliding.padding, cores.shape[1:])
        ]
        return cores[np.ix_(np.arange(shape[0]), *firsts)]

    def _target(self, layer: Layer) -> str:
        """The population that adds up a synaptic layer's sums."""
        name, size = layer.name, prod(self.graph.shapes[layer.name])
        while True:
            reader = self.graph.readers(name)[0]
            name = reader.name
            if reader.fires or reader.answers:
                return name
            if not reader.carries or reader.sliding or prod(self.graph.shapes[name]) != size:
                raise UnsupportedError(
                    f"layer {layer.name!r} ({layer.kind}): its sums reach {name!r} ({reader.kind}) before any neuron, "
                    "which Loihi cannot hold; leave this simulator out for this network"
                )


def _used(layer: Synapses) -> Iterator[tuple[Array, Array]]:
    """Which weights are not zero, and the steps `[T]` bool in which it is these; one entry for each such set."""
    masks = layer.weight.values != 0
    _, firsts, kinds = np.unique(masks.reshape(len(masks), -1), axis=0, return_index=True, return_inverse=True)
    for kind, first in enumerate(firsts):
        yield masks[first], kinds.ravel()[layer.weight.index] == kind


def connections(layer: Synapses, used: Array, shape: tuple[int, ...], out_shape: tuple[int, ...]) -> Pairs:
    """Every synapse of a layer as flat indices of its input and output, each `[synapses]`.

    used: bool, of one weight's shape; shape, out_shape: of input and output for one sample.
    """
    if layer.sliding is None:
        outputs, inputs = np.nonzero(used)
        return inputs, outputs
    _, *geometry, groups = layer.sliding
    area, out_area = prod(shape[1:]), prod(out_shape[1:])
    per_group, outs = used.shape[1], used.shape[0] // groups
    places = np.indices(out_shape[1:]).reshape(len(out_shape) - 1, -1)
    sources, targets = [], []
    for at, offset in enumerate(np.ndindex(used.shape[2:])):
        window = zip(places, *geometry, offset)
        moved = [place * s - pad + d * o for place, s, pad, d, o in window]
        inside = np.all([(m >= 0) & (m < n) for m, n in zip(moved, shape[1:])], axis=0)
        read = np.ravel_multi_index([m[inside] for m in moved], shape[1:])
        out, channel = np.nonzero(used.reshape(*used.shape[:2], -1)[:, :, at])
        channel = channel + out // outs * per_group
        sources.append((channel[:, None] * area + read).ravel())
        targets.append((out[:, None] * out_area + np.flatnonzero(inside)).ravel())
    return np.concatenate(sources), np.concatenate(targets)


def _check_cores(populations: tuple[Population, ...]) -> None:
    load = np.bincount(np.concatenate([p.cores for p in populations if not p.relays]))
    if load.max() > NEURONS_PER_CORE:
        raise InputError(
            f"the placement puts {load.max():,} neurons on core {load.argmax()}, "
            f"a core of Loihi holds {NEURONS_PER_CORE:,}"
        )
