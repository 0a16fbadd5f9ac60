"""The energies in `report.json`, as models: profiles, simulations, and the conventional networks."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator

from asnn_deploy.energy.baselines import BreakEven
from asnn_deploy.energy.estimate import Breakdown, JouleRange
from asnn_deploy.util.document import LARGEST, Amount, Count, Document


def _ordered(energy: JouleRange) -> JouleRange:
    if not 0 <= energy.low <= energy.mid <= energy.high <= LARGEST:
        raise ValueError(
            f"0 <= low <= mid <= high <= {LARGEST:g} must hold, found {energy.low}, {energy.mid}, {energy.high}"
        )
    return energy


Joules = Annotated[JouleRange, AfterValidator(_ordered)]


class Constant(Document):
    """A published amount that a profile rests on."""

    name: str
    kind: str | None = None
    process: str | None = None
    low: float
    mid: float
    high: float
    source: str
    unit: str


class ProfileRow(Document):
    """One profile's energy of a sample; low and high of a simulated one are the 95 % interval of its mean.

    chip: the chip whose latency belongs to it, if it has one.
    """

    energy_joules: Joules
    breakdown: Breakdown
    latency_seconds: Amount | None
    kind: Literal["measured", "simulated", "estimated"]
    source: str
    latency_is_lower_bound: bool
    chip: str | None = None
    title: str
    process: str
    spike_counts: str
    leaves_out: tuple[str, ...]
    constants: tuple[Constant, ...]


class SimulatedRow(Document):
    """What a simulator replayed, and the ratio to a constant-based figure of the same samples."""

    samples: Count
    interval: str
    energy_joules: Joules
    energy_alone_joules: JouleRange
    latency_seconds: JouleRange
    time_steps_simulated: Count
    delivered_events: Amount
    cores: Count
    connections: Count
    constant_based: str
    constant_based_joules: JouleRange
    constant_based_breakdown: Breakdown
    ratio: Amount | None


class AnnBaseline(Document):
    """The conventional network; energy by profile, None if the profile's hardware runs no such network."""

    macs: Count
    energy_joules: dict[str, JouleRange | None]


class QnnBaseline(Document):
    """Its quantised form."""

    bits: Count
    macs: Count
    energy_joules: dict[str, JouleRange | None]


class BaselineRows(Document):
    """The conventional networks of the same topology."""

    ann: AnnBaseline
    qnn: QnnBaseline


class BreakEvenRows(Document):
    """How often neurons may fire before the network costs as much as a conventional one."""

    meaning: str
    profile: str
    spike_rate: Amount | None
    spikes_per_synapse: Amount | None
    against: tuple[BreakEven, ...]
