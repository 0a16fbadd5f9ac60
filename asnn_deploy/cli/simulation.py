"""Simulators in `asnn-deploy report`: `--profile` may name one beside the energy profiles."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from asnn_deploy.cli.completion import names

if TYPE_CHECKING:
    from asnn_deploy.deploy.protocols import Simulator
    from asnn_deploy.deploy.source import Source
    from asnn_deploy.energy import Profile
    from asnn_deploy.energy.estimate import Energy
    from asnn_deploy.energy.simulation import Simulation
    from asnn_deploy.util.arrays import Array

SAMPLES = 3
"""Samples that a simulator replays where nobody says how many."""

profile_option = click.option(
    "--profile",
    "profiles",
    shell_complete=names("profile"),
    multiple=True,
    metavar="NAME",
    help="Energy profile, FILE.toml of your own, or a simulator (see `list`); default: all profiles, no simulator.",
)
simulate_option = click.option(
    "--simulate-samples",
    type=click.IntRange(min=1),
    default=SAMPLES,
    show_default=True,
    metavar="N",
    help="Samples that a simulator replays.",
)


def profiles_and_simulators(asked: tuple[str, ...]) -> tuple[list[Profile], list[Simulator]]:
    """What `--profile` names; none stands for all profiles and no simulator.

    A simulator brings the profile along that it is held against. Raises InputError for an unknown name (with the
    nearest one), ConfigError for a file that breaks the schema, MissingDependency for a simulator that is absent.
    """
    from asnn_deploy.deploy.registry import SIMULATORS
    from asnn_deploy.energy import load_profiles

    profiles = [name for name in asked if name not in SIMULATORS]
    simulators = [SIMULATORS.available(name) for name in dict.fromkeys(asked) if name in SIMULATORS]
    profiles += [s.constant_based for s in simulators if s.constant_based not in profiles]
    return load_profiles(profiles or None, list(SIMULATORS)), simulators


def simulate(
    source: Source, images: Array, simulators: list[Simulator], samples: int = SAMPLES
) -> list[tuple[Simulation, str, Energy]]:
    """Replay the first samples on each simulator; with it, the profile it is held against and that one's energy.

    images: uint8 `[N, C, H, W]`. Raises UnsupportedError, TargetError as the simulators do, GraphError where the
    network has no placement.
    """
    if not simulators:
        return []
    from asnn_deploy.cli.common import track
    from asnn_deploy.energy import Counter, energy, load_profile
    from asnn_deploy.engine.runner import run
    from asnn_deploy.fitting import load_chip, place
    from asnn_deploy.ir.trace import Record

    images = images[:samples]
    trace = run(source.graph, images, Record(spikes=True))
    counter = Counter(source.graph)
    counter.add(images, trace)
    counts = counter.result()
    found = []
    for simulator in simulators:
        placement = place(source.graph, load_chip(simulator.chip))
        progress = partial(track, what=simulator.name)
        simulation = simulator.simulate(source.graph, images, trace, placement, progress)
        profile = load_profile(simulator.constant_based)
        found.append((simulation, profile.name, energy(profile, counts)))
    return found
