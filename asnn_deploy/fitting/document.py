"""What `fit --json` writes, as a model."""

from __future__ import annotations

from asnn_deploy.fitting.chip import System
from asnn_deploy.fitting.limits import Use
from asnn_deploy.util.document import Amount, Count, Document


class Capacity(Document):
    """Whether there is room, and the limit of size that binds."""

    fits: bool
    binding: Use


class Features(Document):
    """Whether the chip can do what the network asks, and what it cannot."""

    fits: bool
    missing: tuple[Use, ...]


class PopulationFit(Document):
    """One population over all its cores; axons_in, axons_out: of the core with the most."""

    name: str
    kind: str
    cores: Count
    neurons: Count
    synapse_bytes: Count
    parameter_bytes: Count
    state_bytes: Count
    axons_in: Count
    axons_out: Count
    constraint: str


class TwoSizes(Document):
    """Bytes with constant parameters, and with those of all steps."""

    static_bytes: Count
    per_step_bytes: Count


class PopulationStepTables(Document):
    """What one population's per-step parameters and weights cost."""

    name: str
    static_bytes: Count
    per_step_bytes: Count
    difference_bytes: int
    parameters: TwoSizes
    synapses: TwoSizes
    static_cores: Count
    cores: Count


class StepTables(Document):
    """What parameters that change from step to step cost on the chip, over all populations."""

    static_bytes: Count
    per_step_bytes: Count
    difference_bytes: int
    static_cores: Count
    cores: Count
    changes_cores: bool
    layers: tuple[PopulationStepTables, ...]


class CoreFit(Document):
    """One core: its number over all chips, its chip, whose neurons it holds, and the largest share of a limit used."""

    core: Count
    chip: Count
    layer: str
    neurons: Count
    synapse_bytes: Count
    utilisation: Amount


class FitDocument(Document):
    """A network on a chip.

    cores, chips: as many as it takes; chips_allowed: as many as it may take. utilisation: mean share of each limit.
    unverified: limits that have no published source.
    """

    chip: str
    fits: bool
    cores: Count
    chips: Count
    chips_allowed: Count
    cores_per_chip: Count
    weight_bits: Count
    binding: Use
    next_binding: Use
    capacity: Capacity
    features: Features
    suggestion: str | None
    system: System | None
    utilisation: dict[str, Amount]
    layers: tuple[PopulationFit, ...]
    step_tables: StepTables
    map: tuple[CoreFit, ...]
    unverified: tuple[str, ...]
    notes: tuple[str, ...]
