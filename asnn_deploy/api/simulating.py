"""Simulators in a report: samples replayed on a simulated chip."""

from __future__ import annotations

from collections.abc import Sequence

from asnn_deploy.deploy.protocols import Simulator
from asnn_deploy.deploy.registry import SIMULATORS
from asnn_deploy.deploy.source import Source
from asnn_deploy.energy import Counter, Profile, energy, load_profile, load_profiles
from asnn_deploy.energy.estimate import Energy
from asnn_deploy.energy.simulation import Simulation
from asnn_deploy.engine.runner import run
from asnn_deploy.fitting import load_chip, place
from asnn_deploy.ir.trace import Record
from asnn_deploy.util.arrays import Array

SAMPLES = 3
"""Samples that a simulator replays unless others are asked for."""


def profiles_and_simulators(asked: Sequence[str]) -> tuple[list[Profile], list[Simulator]]:
    """Return what names stand for; none stands for all profiles and no simulator.

    A simulator brings the profile along that it is held against. Raises InputError for an unknown name (with the
    nearest one), ConfigError for a file that breaks the schema, MissingDependency for a simulator that is absent.
    """
    profiles = [name for name in asked if name not in SIMULATORS]
    simulators = [SIMULATORS.available(name) for name in dict.fromkeys(asked) if name in SIMULATORS]
    profiles += [s.constant_based for s in simulators if s.constant_based not in profiles]
    return load_profiles(profiles or None, list(SIMULATORS)), simulators


def simulate(
    source: Source, images: Array, simulators: Sequence[Simulator], samples: int = SAMPLES
) -> list[tuple[Simulation, str, Energy]]:
    """Replay the first samples on each simulator; with it, the profile it is held against and that one's energy.

    images: uint8 `[N, C, H, W]`. Raises UnsupportedError, TargetError as the simulators do, GraphError where the
    network has no placement.
    """
    if not simulators:
        return []
    images = images[:samples]
    trace = run(source.graph, images, Record(spikes=True))
    counter = Counter(source.graph)
    counter.add(images, trace)
    counts = counter.result()
    found = []
    for simulator in simulators:
        placement = place(source.graph, load_chip(simulator.chip))
        simulation = simulator.simulate(source.graph, images, trace, placement)
        profile = load_profile(simulator.constant_based)
        found.append((simulation, profile.name, energy(profile, counts)))
    return found
