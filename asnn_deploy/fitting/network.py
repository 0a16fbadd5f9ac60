"""What `fit` knows of a network: populations, and the synapses that drive them, as sizes without weights.

A population is a neuron layer, the readout's accumulators, or a relay: something between two neuron layers that a chip
needs neurons for, because its cores have neurons and synapses and nothing else (see `docs/fit.md`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import prod

import numpy as np

from asnn_deploy.fitting.reach import Window
from asnn_deploy.ir.layers import Shape
from asnn_deploy.util.arrays import Array

Geometry = tuple[int, int, int]
"""Channels, rows, columns."""
Block = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
"""A box of neurons: (start, stop) of channels, rows and columns."""


@dataclass(frozen=True, eq=False)
class Projection:
    """Synapses from one source to one population.

    layer: the synaptic layer, whose weights they are; source: a population, "input", or an external layer.
    rows, cols: the windows along the source's axes. inputs: the source's channels; outputs: the population's.
    pattern: how many steps' worth of different weights, `index [T]` of them.
    steps_late: time steps between a spike's arrival and its effect beyond the usual one.
    dense: a linear layer's synapses, which can be stored without the targets' indices.
    unit: weights are all 1 (relays, identity).
    first: the synapses' first input channel that the source is; signals whose channels are joined are several sources.
    """

    layer: str
    source: str
    rows: Window
    cols: Window
    inputs: int
    outputs: int
    groups: int
    index: tuple[int, ...]
    steps_late: int = 0
    dense: bool = False
    unit: bool = False
    first: int = 0

    @property
    def tables(self) -> int:
        """K: different weights over the steps."""
        return len(set(self.index))

    @cached_property
    def store(self) -> tuple[object, ...]:
        """Equal for projections whose synapses a core stores once: the same weights read in the same way."""
        return (self.layer, self.rows.key, self.cols.key, self.steps_late, self.first)

    def overlaps(self, start: int, stop: int) -> dict[int, int]:
        """Output channels from start to stop: how many of them an input channel drives -> how many such channels."""
        each_out, each_in = self.outputs // self.groups, self.inputs // self.groups
        found: dict[int, int] = {}
        for group in range(start // each_out, (stop - 1) // each_out + 1):
            size = min(stop, (group + 1) * each_out) - max(start, group * each_out)
            found[size] = found.get(size, 0) + each_in
        return found

    def fan_in(self) -> Array:
        """Synapses that end at each position, `[rows, cols]`; all channels alike."""
        return np.multiply.outer(self.rows.touches.sum(1), self.cols.touches.sum(1)) * (self.inputs // self.groups)

    def fan_out(self) -> Array:
        """Synapses that leave each position of the source, `[rows, cols]`; all channels alike."""
        return np.multiply.outer(self.rows.touches.sum(0), self.cols.touches.sum(0)) * (self.outputs // self.groups)


@dataclass(frozen=True)
class Table:
    """A parameter of a population.

    grain: the axes (channels, rows, columns) along which values differ. index: `[T]`, which value holds when.
    neuronal: a parameter of the neurons, not of the synapses' bias that the neurons add.
    """

    layer: str
    name: str
    bits: int
    grain: tuple[bool, bool, bool]
    index: tuple[int, ...]

    @property
    def values(self) -> int:
        """K: different values over the steps."""
        return len(set(self.index))

    def entries(self, sizes: Geometry) -> int:
        """How many numbers a block of these sizes needs for one step."""
        return prod(n if differs else 1 for n, differs in zip(sizes, self.grain))

    def stored_bits(self, sizes: Geometry) -> int:
        """Bits in a core: K values, and for K > 1 the index of the value in force, for all T steps."""
        selector = len(self.index) * (self.values - 1).bit_length()
        return self.values * self.entries(sizes) * self.bits + selector


@dataclass(frozen=True, eq=False)
class Population:
    """Neurons of one layer.

    kind: "neuron", "readout", "pool" (relays that fire where any input does) or "relay" (that pass values on).
    shape: the layer's; geometry: the same as channels, rows and columns, flattening undone.
    states: state variables of each neuron. reset: one of `ir.meaning.RESETS`, or "" if they do not fire.
    potentials: which of `fit.chip.Potential` they need.
    """

    name: str
    kind: str
    shape: Shape
    geometry: Geometry
    states: int
    reset: str
    potentials: tuple[str, ...]
    tables: tuple[Table, ...]
    projections: tuple[Projection, ...]

    @property
    def neurons(self) -> int:
        """Number of neurons."""
        return prod(self.geometry)

    def fan_in(self) -> int:
        """Most synapses that end at one neuron."""
        return int(np.sum([p.fan_in() for p in self.projections], axis=0).max()) if self.projections else 0


@dataclass(frozen=True)
class Obstacle:
    """Something of the network that no core of any chip does: it is left to the host."""

    layer: str
    constraint: str


@dataclass(frozen=True, eq=False)
class Network:
    """A network as populations in the graph's order.

    weight_bits: of every weight. payload: source name -> bits of the largest value that it sends.
    obstacles: layers that the host would have to compute.
    """

    populations: tuple[Population, ...]
    time_steps: int
    weight_bits: int
    payload: dict[str, int]
    obstacles: tuple[Obstacle, ...] = field(default=())

    @cached_property
    def by_name(self) -> dict[str, Population]:
        """Populations by name."""
        return {p.name: p for p in self.populations}

    @cached_property
    def order(self) -> dict[str, int]:
        """Population name to its place in the order."""
        return {p.name: i for i, p in enumerate(self.populations)}

    @cached_property
    def depths(self) -> dict[str, int]:
        """Population name to how many time steps after the input it answers."""
        return depths(self.populations)

    def leaving(self, name: str) -> list[tuple[Population, Projection]]:
        """The projections that leave a source, with the populations that they reach."""
        return [(p, x) for p in self.populations for x in p.projections if x.source == name]

    def fan_out(self, population: Population) -> int:
        """Most synapses that leave one neuron of a population."""
        found = self.leaving(population.name)
        return int(np.sum([x.fan_out() for _, x in found], axis=0).max()) if found else 0


def depths(populations: Sequence[Population]) -> dict[str, int]:
    """Population name to how many time steps after the input it answers: one step after all that it reads.

    What comes back from a population at or behind the reader is older anyway and makes nobody wait.
    """
    depth: dict[str, int] = {}
    for p in populations:
        depth[p.name] = 1 + max((depth.get(x.source, 0) for x in p.projections), default=0)
    return depth
