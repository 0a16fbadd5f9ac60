"""Placement: which neuron sits on which core."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

import numpy as np

from asnn_deploy.errors import GraphError
from asnn_deploy.fitting.build import build
from asnn_deploy.fitting.chip import Chip
from asnn_deploy.fitting.cut import Cutter, Grid, Outgoing
from asnn_deploy.fitting.limits import Use, core_uses
from asnn_deploy.fitting.load import Load
from asnn_deploy.fitting.network import Block, Network, Population
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.util.arrays import Array, frozen
from asnn_deploy.util.progress import phase

PASSES = 8
"""Over networks with loops, whose outgoing axons are known only when everything is cut."""


@dataclass(frozen=True)
class Core:
    """One core: its number, the population whose neurons it holds, which of them, and what that takes."""

    number: int
    layer: str
    block: Block
    load: Load


@dataclass(frozen=True, eq=False)
class Placement:
    """A network on the cores of a chip, or of several, one population's neurons on each core.

    grids: each population's cut. content: the cores in order of their numbers. unkept: limits of a core that one
    neuron alone breaks, so that no cut keeps them, and what that neuron needs.
    """

    chip: Chip
    network: Network
    grids: Mapping[str, Grid]
    content: tuple[Core, ...]
    unkept: tuple[Use, ...]

    @property
    def cores(self) -> int:
        """Number of cores, over all chips."""
        return len(self.content)

    @property
    def chips(self) -> int:
        """Number of chips."""
        return -(-self.cores // self.chip.limits.cores.value)

    @cached_property
    def core_of(self) -> Mapping[str, Array]:
        """Population name to the core of each neuron, int32 of the layer's shape, numbered over the whole network.

        Populations are the neuron layers, the last accumulators (under the readout's name), and relays (under the name
        of the pooling or of the synapses that they stand for). The chip is `core // cores of a chip`.
        """
        first, found = 0, {}
        for p in self.network.populations:
            found[p.name] = frozen((self.grids[p.name].numbers() + first).reshape(p.shape), dtype=np.int32)
            first += self.grids[p.name].cores
        return MappingProxyType(found)

    @property
    def destinations(self) -> Mapping[str, Array]:
        """Source ("input", a neuron layer or a relay) to how many cores a spike of each of its elements goes to, in C
        order, int64 `[elements]`."""
        found: dict[str, Array] = {}
        for population in self.network.populations:
            for projection in population.projections:
                outgoing = Outgoing.of(self.chip, projection, self.grids[population.name])
                reached = outgoing.cores_reached().reshape(-1)
                found[projection.source] = found.get(projection.source, 0) + reached
        return MappingProxyType(found)

    def of(self, layer: str) -> list[Core]:
        """The cores of one population."""
        return [core for core in self.content if core.layer == layer]

    def uses(self) -> list[Use]:
        """For each population and limit of a core, the use in the core that uses most of it; of a limit that no cut
        keeps, what one neuron needs."""
        worst: dict[tuple[str, str], Use] = {}
        for core in self.content:
            for use in core_uses(core.layer, core.load, self.chip):
                key = (use.layer, use.constraint)
                if key not in worst or use.value > worst[key].value:
                    worst[key] = use
        return list((worst | {(use.layer, use.constraint): use for use in self.unkept}).values())

    @property
    def broken(self) -> list[Use]:
        """The limits of a core that some population breaks."""
        return [use for use in self.uses() if use.broken]


def place(graph: DeployGraph, chip: Chip) -> Placement:
    """Place a network. What a float graph needs is taken from its integer version, where it has one.

    Raises UnsupportedError naming the layer where signals of different layouts meet.
    """
    return place_network(build(integers(graph)), chip)


def integers(graph: DeployGraph) -> DeployGraph:
    """The graph's integer version, which is what a chip runs; the graph itself where it has none."""
    from asnn_deploy.quantizing import quantize

    try:
        return quantize(graph)
    except GraphError:
        return graph


@phase("place neurons on cores")
def place_network(network: Network, chip: Chip) -> Placement:
    """Cut all populations, the last first: a population's outgoing axons depend on how its targets are cut.

    Around a loop that takes several passes; should they not settle, `Placement.broken` says what is exceeded.
    """
    grids: dict[str, Grid] = {}
    for _ in range(PASSES if _has_loops(network) else 1):
        before = dict(grids)
        for p in reversed(network.populations):
            least = before[p.name].cores if p.name in before else 1
            grids[p.name] = Cutter(chip, network, p, _outgoing(chip, network, p, grids)).best(least)
        if grids == before:
            break
    content: list[Core] = []
    unkept: list[Use] = []
    for p in network.populations:
        cutter = Cutter(chip, network, p, _outgoing(chip, network, p, grids))
        loads = cutter.loads(grids[p.name])
        unkept += cutter.unkept
        content += (Core(n, p.name, *x) for n, x in enumerate(zip(grids[p.name].blocks(), loads), len(content)))
    return Placement(chip, network, MappingProxyType(grids), tuple(content), tuple(unkept))


def _outgoing(chip: Chip, network: Network, population: Population, grids: Mapping[str, Grid]) -> list[Outgoing]:
    """What a population's projections ask of it, to all targets that are cut already."""
    leaving = network.leaving(population.name)
    return [Outgoing.of(chip, x, grids[target.name]) for target, x in leaving if target.name in grids]


def _has_loops(network: Network) -> bool:
    order = network.order
    return any(order.get(x.source, -1) >= order[p.name] for p in network.populations for x in p.projections)
