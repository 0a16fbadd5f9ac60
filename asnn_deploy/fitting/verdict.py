"""Fit: whether a network goes on a chip, what binds, what per-step parameters cost, and what would make it fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from asnn_deploy.fitting.chip import Chip, System
from asnn_deploy.fitting.document import Capacity, CoreFit, Features, FitDocument, PopulationFit
from asnn_deploy.fitting.limits import Use, core_uses, cores, feature_uses, neuron_uses
from asnn_deploy.fitting.placement import Core, Placement, place, place_network
from asnn_deploy.fitting.step_cost import LayerCost, step_cost, step_tables
from asnn_deploy.ir.graph import DeployGraph


@dataclass(frozen=True, eq=False)
class Fit:
    """A placed network, held against a chip's limits.

    placement: which neuron on which core. chips: how many chips it may take.
    """

    placement: Placement
    chips: int = 1

    def __repr__(self) -> str:
        placement = self.placement
        verdict = "fits" if self.fits else "does not fit"
        return f"<Fit: {placement.chip.name}, {verdict}, {placement.cores:,} cores, binding: {self.binding}>"

    @property
    def fits(self) -> bool:
        """Whether no limit is broken, neither of size nor of what neurons and spikes can be."""
        return self.capacity_fits and not any(use.broken for use in self.features)

    @property
    def capacity_fits(self) -> bool:
        """Whether there is room: cores, neurons, memory, axons, fan-in and fan-out."""
        return not any(use.broken for use in self.capacity)

    @cached_property
    def features(self) -> list[Use]:
        """What the network asks of the chip's neurons and spikes, whatever its size."""
        return feature_uses(self.placement.network, self.placement.chip)

    @cached_property
    def capacity(self) -> list[Use]:
        """The use of every limit of size, those that bind first.

        What is broken comes first: limits that no cut keeps, then the number of cores. Then what keeps the layer with
        the most cores from having fewer, then the others by the share used.
        """
        placement, chip = self.placement, self.placement.chip
        number = {name: grid.cores for name, grid in placement.grids.items()}
        total = cores(placement.network, number, chip, self.chips)
        local = [*placement.uses(), *neuron_uses(placement.network, chip)]
        leading = largest([use for use in placement.uses() if use.layer == total.layer])

        def order(use: Use) -> tuple[bool, bool, bool, float]:
            return (not use.broken, use.broken and use is total, use != leading, -use.share)

        return sorted([*local, total], key=order)

    @property
    def ranking(self) -> list[Use]:
        """What binds, the most binding first, one use for each kind of limit: broken features, then sizes."""
        broken = sorted((use for use in self.features if use.broken), key=lambda use: -use.share)
        kinds: dict[str, Use] = {}
        for use in [*broken, *self.capacity]:
            kinds.setdefault(use.constraint, use)
        return list(kinds.values())

    @property
    def binding(self) -> Use:
        """The limit that binds."""
        return self.ranking[0]

    @property
    def next_binding(self) -> Use:
        """The limit of another kind that would bind next; there are always two: cores and neurons."""
        return self.ranking[1]

    @cached_property
    def step_cost(self) -> list[LayerCost]:
        """What per-step parameters cost, population by population."""
        return step_cost(self.placement)

    @cached_property
    def suggestion(self) -> str | None:
        """The smallest change that would make the network fit; None where it fits, or where none was found."""
        from asnn_deploy.fitting.suggestion import suggest

        return None if self.fits else suggest(self)

    @property
    def system(self) -> System | None:
        """The smallest published machine with enough chips, where one chip is not enough."""
        enough = [s for s in self.placement.chip.systems if s.chips >= self.placement.chips]
        return min(enough, key=lambda s: s.chips) if self.placement.chips > 1 and enough else None

    def changed(self, network: Any) -> Fit:
        """The same question for another network."""
        return Fit(place_network(network, self.placement.chip), self.chips)

    def utilisation(self) -> dict[str, float]:
        """Cores used of those there are; of each limit of a core, the mean share over the cores used."""
        placement = self.placement
        shares: dict[str, list[float]] = {}
        for core in placement.content:
            for use in core_uses(core.layer, core.load, placement.chip):
                shares.setdefault(use.constraint, []).append(use.share)
        of_chip = placement.cores / (placement.chip.limits.cores.value * self.chips)
        return {"cores": of_chip} | {key: sum(values) / len(values) for key, values in shares.items()}

    def document(self) -> FitDocument:
        """Return what `fit --json` writes."""
        placement, chip = self.placement, self.placement.chip
        return FitDocument(
            chip=chip.name,
            fits=self.fits,
            cores=placement.cores,
            chips=placement.chips,
            chips_allowed=self.chips,
            cores_per_chip=chip.limits.cores.value,
            weight_bits=placement.network.weight_bits,
            binding=self.binding,
            next_binding=self.next_binding,
            capacity=Capacity(fits=self.capacity_fits, binding=self.capacity[0]),
            features=self._features(),
            suggestion=self.suggestion,
            system=self.system,
            utilisation=self.utilisation(),
            layers=tuple(self._layer(p.name, p.kind) for p in placement.network.populations),
            step_tables=step_tables(self.step_cost),
            map=tuple(self._core(core) for core in placement.content),
            unverified=tuple(chip.unverified()),
            notes=tuple(chip.notes),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the same as plain JSON values."""
        return self.document().to_json()

    def _features(self) -> Features:
        broken = tuple(use for use in self.features if use.broken)
        return Features(fits=not broken, missing=broken)

    def _layer(self, name: str, kind: str) -> PopulationFit:
        """One population's row."""
        loads = [core.load for core in self.placement.of(name)]
        return PopulationFit(
            name=name,
            kind=kind,
            cores=len(loads),
            neurons=sum(load.neurons for load in loads),
            synapse_bytes=sum(load.synapse_bytes for load in loads),
            parameter_bytes=sum(-(-load.parameter_bits // 8) for load in loads),
            state_bytes=sum(load.state_bits for load in loads) // 8,
            axons_in=max(load.axons_in for load in loads),
            axons_out=max(load.axons_out for load in loads),
            constraint=largest([use for use in self.capacity if use.layer == name]).constraint,
        )

    def _core(self, core: Core) -> CoreFit:
        """One core of the map."""
        chip = self.placement.chip
        return CoreFit(
            core=core.number,
            chip=core.number // chip.limits.cores.value,
            layer=core.layer,
            neurons=core.load.neurons,
            synapse_bytes=core.load.synapse_bytes,
            utilisation=max(use.share for use in core_uses(core.layer, core.load, chip)),
        )


def largest(uses: Sequence[Use]) -> Use:
    """The use with the largest share."""
    return max((use for use in uses if use.constraint != "cores"), key=lambda use: use.share)


def fit(graph: DeployGraph, chip: Chip, chips: int = 1) -> Fit:
    """Place a network on so many chips at most and hold it against their limits.

    Raises UnsupportedError naming the layer where signals of different layouts meet.
    """
    return Fit(place(graph, chip), chips)
