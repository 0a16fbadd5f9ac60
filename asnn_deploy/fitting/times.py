"""How long single operations of a chip take, as its file says."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import model_validator

from asnn_deploy.energy.profiles import Level, Levels
from asnn_deploy.fitting.sourced import Limit, Sourced
from asnn_deploy.util.toml_schema import Section


class Duration(Sourced, Levels):
    """How long something takes, with what is known of its range."""

    unit: Literal["ns"]


class Tiles(Limit):
    """Number of tiles, groups of cores that share a router."""

    unit: Literal["tiles"]


class Barrier(Section):
    """How long all cores wait for each other at the end of a time step, by the tiles that take part.

    one_tile, all_tiles: the two ends, `tiles` of one chip; in between it grows linearly.
    """

    one_tile: Duration
    all_tiles: Duration
    tiles: Tiles

    def at(self, level: Level, tiles: int) -> float:
        """Return the time for so many tiles, in ns; more than the chip has count as all that it has."""
        share = (min(tiles, self.tiles.value) - 1) / max(self.tiles.value - 1, 1)
        first, last = self.one_tile.at(level), self.all_tiles.at(level)
        return first + share * (last - first)


class Times(Section):
    """How long single operations of one chip take; one that is left out is counted as nothing, and said.

    synaptic_operation: one event that reaches one synapse.
    neuron_active, neuron_inactive: one neuron update with and without a spike.
    spike: the way of one spike to the core that it goes to.
    barrier: of one time step.
    """

    synaptic_operation: Duration | None = None
    neuron_active: Duration | None = None
    neuron_inactive: Duration | None = None
    spike: Duration | None = None
    barrier: Barrier | None = None

    @model_validator(mode="after")
    def _active_takes_longer(self) -> Times:
        active, inactive = self.neuron_active, self.neuron_inactive
        if active and inactive and any(active.at(level) < inactive.at(level) for level in get_args(Level)):
            raise ValueError("neuron_active must take at least as long as neuron_inactive, at low, mid and high")
        return self
