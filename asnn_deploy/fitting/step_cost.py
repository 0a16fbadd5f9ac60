"""What parameters that differ from step to step cost on a chip: leak, gain, bias and readout scale, and weights."""

from __future__ import annotations

from dataclasses import dataclass

from asnn_deploy.fitting.changes import static
from asnn_deploy.fitting.document import PopulationStepTables, StepTables, TwoSizes
from asnn_deploy.fitting.load import Load, core_load
from asnn_deploy.fitting.placement import Placement, place_network


@dataclass(frozen=True)
class LayerCost:
    """One population's bytes over all its cores, with constant parameters and with those of all steps, in the cut that
    the network with per-step parameters has; and the cores that each needs, each in its own best cut."""

    layer: str
    parameter_bytes: int
    static_parameter_bytes: int
    synapse_bytes: int
    static_synapse_bytes: int
    cores: int
    static_cores: int

    @property
    def bytes(self) -> int:
        """Parameters and synapses, per step."""
        return self.parameter_bytes + self.synapse_bytes

    @property
    def static_bytes(self) -> int:
        """Parameters and synapses, constant."""
        return self.static_parameter_bytes + self.static_synapse_bytes

    def document(self) -> PopulationStepTables:
        """Return its row in `fit --json`."""
        return PopulationStepTables(
            name=self.layer,
            static_bytes=self.static_bytes,
            per_step_bytes=self.bytes,
            difference_bytes=self.bytes - self.static_bytes,
            parameters=TwoSizes(static_bytes=self.static_parameter_bytes, per_step_bytes=self.parameter_bytes),
            synapses=TwoSizes(static_bytes=self.static_synapse_bytes, per_step_bytes=self.synapse_bytes),
            static_cores=self.static_cores,
            cores=self.cores,
        )


def step_cost(placement: Placement) -> list[LayerCost]:
    """The cost of each population's per-step parameters."""
    chip, constant = placement.chip, static(placement.network)
    elsewhere = place_network(constant, chip)
    costs = []
    for p in constant.populations:
        cores = placement.of(p.name)
        without = [core_load(chip, constant, p, core.block, core.load.axons_out) for core in cores]
        costs.append(
            LayerCost(
                layer=p.name,
                parameter_bytes=_parameter_bytes([core.load for core in cores]),
                static_parameter_bytes=_parameter_bytes(without),
                synapse_bytes=sum(core.load.synapse_bytes for core in cores),
                static_synapse_bytes=sum(load.synapse_bytes for load in without),
                cores=len(cores),
                static_cores=elsewhere.grids[p.name].cores,
            )
        )
    return costs


def _parameter_bytes(loads: list[Load]) -> int:
    return sum(-(-load.parameter_bits // 8) for load in loads)


def step_tables(costs: list[LayerCost]) -> StepTables:
    """Return totals and populations, as in `fit --json`."""
    static_cores, cores = sum(c.static_cores for c in costs), sum(c.cores for c in costs)
    static_bytes, per_step = sum(c.static_bytes for c in costs), sum(c.bytes for c in costs)
    return StepTables(
        static_bytes=static_bytes,
        per_step_bytes=per_step,
        difference_bytes=per_step - static_bytes,
        static_cores=static_cores,
        cores=cores,
        changes_cores=static_cores != cores,
        layers=tuple(c.document() for c in costs),
    )
