"""Cutting one population into boxes, one for each core: the fewest cores under all limits.

Tried are all grids of channels, rows and columns whose largest box differs. A grid is charged with its cores, and with
the cores that its sources would need for their outgoing axons: a cut by channels makes every source neuron reach every
core, a cut by rows only a few.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import pairwise, product

import numpy as np

from asnn_deploy.fitting.chip import Chip
from asnn_deploy.fitting.limits import Use, core_uses
from asnn_deploy.fitting.load import Load, core_load, population_axons, slots_out
from asnn_deploy.fitting.network import Block, Geometry, Network, Population, Projection
from asnn_deploy.ir.graph import INPUT
from asnn_deploy.util.arrays import Array


@dataclass(frozen=True)
class Grid:
    """A population's cut: the number of ranges along channels, rows and columns."""

    geometry: Geometry
    counts: Geometry

    @property
    def cores(self) -> int:
        """Number of boxes."""
        return self.counts[0] * self.counts[1] * self.counts[2]

    def cuts(self, axis: int) -> Array:
        """Where the ranges along an axis begin, and its end; sizes differ by at most 1."""
        return np.arange(self.counts[axis] + 1) * self.geometry[axis] // self.counts[axis]

    def ranges(self, axis: int) -> list[tuple[int, int]]:
        """(start, stop) of the ranges along an axis."""
        return list(pairwise(self.cuts(axis).tolist()))

    def blocks(self) -> Iterator[Block]:
        """The boxes: columns fastest, then rows, then channels."""
        yield from product(self.ranges(0), self.ranges(1), self.ranges(2))

    def numbers(self) -> Array:
        """Which box each neuron is in, of the population's geometry."""
        places = [np.repeat(np.arange(n), np.diff(self.cuts(axis))) for axis, n in enumerate(self.counts)]
        c, r, w = np.ix_(*places)
        return (c * self.counts[1] + r) * self.counts[2] + w  # type: ignore[no-any-return]


@dataclass(frozen=True, eq=False)
class Outgoing:
    """What one projection asks of its source's table of outgoing axons, given the target's cut.

    first, last: the target's channel ranges that each source channel reaches, `[channels]`. rows, cols: how many of
    the target's ranges each position reaches. slots: entries for each target core. shared: one entry serves all
    channels of a position that lie on one core.
    """

    first: Array
    last: Array
    rows: Array
    cols: Array
    slots: int
    shared: bool

    @classmethod
    def of(cls, chip: Chip, projection: Projection, grid: Grid) -> Outgoing:
        """Of a projection whose target is cut by the grid."""
        each_in, each_out = projection.inputs // projection.groups, projection.outputs // projection.groups
        group = np.arange(projection.inputs) // each_in
        cuts = grid.cuts(0)
        return cls(
            first=np.searchsorted(cuts, group * each_out, side="right") - 1,
            last=np.searchsorted(cuts, (group + 1) * each_out - 1, side="right") - 1,
            rows=projection.rows.chunks_reached(grid.cuts(1)),
            cols=projection.cols.chunks_reached(grid.cuts(2)),
            slots=slots_out(chip, projection),
            shared=population_axons(chip, projection) is not None,
        )

    def cores_reached(self) -> Array:
        """How many of the target's cores each neuron of the source sends its spikes to, of the source's geometry."""
        return np.multiply.outer(np.multiply.outer(self.last - self.first + 1, self.rows), self.cols)

    def entries(self, grid: Grid) -> Array:
        """Entries in each core of the source, cut by a grid: `[cores]`."""
        starts = grid.cuts(0)[:-1]
        if self.shared:
            channels = self.last[grid.cuts(0)[1:] - 1] - self.first[starts] + 1
        else:
            channels = np.add.reduceat(self.last - self.first + 1, starts)
        rows = np.add.reduceat(self.rows, grid.cuts(1)[:-1])
        cols = np.add.reduceat(self.cols, grid.cuts(2)[:-1])
        return np.multiply.outer(np.multiply.outer(channels, rows), cols).ravel() * self.slots


class Cutter:
    """Finds the grid of one population. outgoing: what the projections that leave it ask of it."""

    def __init__(self, chip: Chip, network: Network, population: Population, outgoing: Sequence[Outgoing]) -> None:
        self.chip, self.network, self.population, self.outgoing = chip, network, population, outgoing
        self._signatures: dict[tuple[object, ...], int] = {}
        self._loads: dict[tuple[int, int, int, int], Load] = {}
        self._alike = cache(self._ranges_alike)

    def best(self, least_cores: int = 1) -> Grid:
        """The grid of the fewest cores, at least so many. Limits in `unkept` are left out of account."""
        geometry = self.population.geometry
        ignored = {use.constraint for use in self.unkept}
        found, least = Grid(geometry, geometry), (float("inf"), float("inf"))
        for grid in self._grids(ignored, least_cores):
            if grid.cores > least[0]:
                break
            pressure = self._pressure(grid)
            score = (grid.cores + pressure[0], pressure[1])
            if score < least and not any(use.broken and use.constraint not in ignored for use in self._worst(grid)):
                found, least = grid, score
        return found

    @cached_property
    def unkept(self) -> list[Use]:
        """The limits that not even one neuron on a core of its own keeps, and how much it needs."""
        worst: dict[str, Use] = {}
        for use in self._worst(Grid(self.population.geometry, self.population.geometry)):
            if use.broken and (use.constraint not in worst or use.value > worst[use.constraint].value):
                worst[use.constraint] = use
        return list(worst.values())

    def loads(self, grid: Grid) -> list[Load]:
        """What each core of a grid holds."""
        alike = [self._alike(axis, grid.counts[axis])[0] for axis in range(3)]
        kinds = product(alike[0], alike[1], alike[2])
        axons = self.axons_out(grid).tolist()
        return [self._load(block, kind, out) for block, kind, out in zip(grid.blocks(), kinds, axons)]

    def axons_out(self, grid: Grid) -> Array:
        """Outgoing entries of each core of a grid, `[cores]`."""
        return sum((x.entries(grid) for x in self.outgoing), start=np.zeros(grid.cores, dtype=np.int64))

    def _grids(self, ignored: set[str], least: int) -> list[Grid]:
        """Grids by number of cores, from the least that neurons and outgoing axons allow."""
        limits, geometry = self.chip.limits, self.population.geometry
        if "neurons per core" not in ignored:
            least = max(least, -(-self.population.neurons // limits.neurons.value))
        if limits.axons_out is not None and "axons out per core" not in ignored:
            least = max(least, -(-int(self.axons_out(Grid(geometry, (1, 1, 1)))[0]) // limits.axons_out.value))
        c, r, w = (sorted({-(-n // size) for size in range(1, n + 1)}) for n in geometry)
        grids = (Grid(geometry, counts) for counts in product(c, r, w))
        return sorted((g for g in grids if g.cores >= least), key=lambda g: g.cores)

    def _worst(self, grid: Grid) -> Iterator[Use]:
        """Uses that no core of a grid exceeds: one core of each kind, with the most axons of any."""
        most = int(self.axons_out(grid).max())
        c, r, w = (self._alike(axis, grid.counts[axis])[1].items() for axis in range(3))
        for (c_kind, channels), (r_kind, rows), (w_kind, cols) in product(c, r, w):
            load = self._load((channels, rows, cols), (c_kind, r_kind, w_kind), most)
            yield from core_uses(self.population.name, load, self.chip)

    def _load(self, block: Block, kind: tuple[int, int, int], axons_out: int) -> Load:
        key = (*kind, axons_out)
        if key not in self._loads:
            self._loads[key] = core_load(self.chip, self.network, self.population, block, axons_out)
        return self._loads[key]

    def _pressure(self, grid: Grid) -> tuple[float, int]:
        """Cores that the sources need for their outgoing axons, and the number of these axons, the host's included."""
        limit = self.chip.limits.axons_out
        own = total = 0
        for p in self.population.projections:
            source = (p.inputs, p.rows.inputs, p.cols.inputs)
            axons = int(Outgoing.of(self.chip, p, grid).entries(Grid(source, (1, 1, 1)))[0])
            total += axons
            own += axons * (p.source != INPUT)
        return own / limit.value if limit is not None else 0.0, total

    def _ranges_alike(self, axis: int, count: int) -> tuple[list[int], dict[int, tuple[int, int]]]:
        """Of an axis cut into so many ranges: the kind of each, and one range of each kind."""
        counts: Geometry = (count, count, count)
        kinds, found = [], {}
        for each in Grid(self.population.geometry, counts).ranges(axis):
            signature = (axis, *_signature(self.population, axis, each))
            kind = self._signatures.setdefault(signature, len(self._signatures))
            kinds.append(kind)
            found[kind] = each
        return kinds, found


def _signature(population: Population, axis: int, each: tuple[int, int]) -> tuple[object, ...]:
    """What of a range along one axis a core's content depends on."""
    if axis == 0:
        overlaps = tuple(tuple(sorted(p.overlaps(*each).items())) for p in population.projections)
        return (each[1] - each[0], overlaps)
    windows = [(p.rows, p.cols)[axis - 1] for p in population.projections]
    return (each[1] - each[0], tuple(window.reach(*each) for window in windows))
