"""Energy: counts times a profile's published constants, as a range, and what it is made of.

Parts: synapses (accumulates and multiply-accumulates), neurons (updates), spikes (carrying them), memory (weights,
states and activations), static (power over the least possible time). A part that the profile does not know is 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from asnn_deploy.energy.prices import COUNTED, NANO, Prices, dense
from asnn_deploy.energy.profiles import Level, Profile
from asnn_deploy.energy.results import Counts
from asnn_deploy.energy.sizes import Sizes
from asnn_deploy.util.arrays import Array

LEVELS: tuple[Level, Level, Level] = ("low", "mid", "high")
PARTS = (*COUNTED, "static")


@dataclass(frozen=True)
class JouleRange:
    """An energy per sample, in joules."""

    low: float
    mid: float
    high: float


@dataclass(frozen=True)
class Breakdown:
    """The parts of the middle estimate, in joules; they add up to it."""

    synapses: float
    neurons: float
    spikes: float
    memory: float
    static: float


@dataclass(frozen=True)
class Energy:
    """What one profile says about one network, per sample.

    latency_seconds: the least time that a sample takes, where the profile knows one, else None.
    """

    energy_joules: JouleRange
    breakdown: Breakdown
    latency_seconds: float | None
    kind: str
    source: str


def energy(profile: Profile, counts: Counts) -> Energy:
    """The energy of one sample under a profile."""
    parts = {level: _parts(profile, counts, level) for level in LEVELS}
    totals = {level: math.fsum(asdict(part).values()) for level, part in parts.items()}
    return Energy(
        JouleRange(**totals),
        parts["mid"],
        latency(profile, counts, "mid"),
        profile.kind,
        profile.source,
    )


def latency(profile: Profile, counts: Counts, level: Level) -> float | None:
    """The least time that a sample takes, in seconds; None where the profile knows of none."""
    return None if profile.static is None else counts.mean_steps * profile.static.step.at(level) * NANO


def _parts(profile: Profile, counts: Counts, level: Level) -> Breakdown:
    prices = Prices(profile, counts.layers, level)
    amounts = (prices.counted * counts.table()).sum(axis=(1, 2)).tolist()
    return Breakdown(**dict(zip(COUNTED, amounts)), static=counts.mean_steps * prices.step)


def sample_energies(profile: Profile, layers: Sequence[Sizes], table: Array, steps: int) -> Array:
    """The middle estimate of single samples, joules `[B]`, from their counts `[B, layers, KEYS]` (see Counter.add)."""
    return Prices(profile, tuple(layers), "mid").energy(table, np.full(len(table), float(steps)))


def dense_energy(profile: Profile, counts: Counts) -> JouleRange:
    """The conventional network of the same topology: every connection once, one multiply-accumulate each."""
    return JouleRange(**{level: dense(profile, counts.layers, level) for level in LEVELS})
