"""`asnn-deploy list`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from asnn_deploy.deploy.plugins import Plugin, Plugins
    from asnn_deploy.util.discover import Parts

T = TypeVar("T")


@click.command("list", epilog="Example: asnn-deploy list")
def command() -> None:
    """Show presets, data sets, codings, networks, neurons, losses, chips and energy profiles; exporters, targets and
    simulators (available or why not).
    """
    from asnn_deploy.cli.tables import table
    from asnn_deploy.deploy.registry import EXPORTERS, SIMULATORS, TARGETS
    from asnn_deploy.energy import NO_PROFILE, load_profile, profile_names
    from asnn_deploy.fit.chip import CHIPS, load_chip
    from asnn_deploy.input.coding import CODINGS
    from asnn_deploy.input.data import SOURCES
    from asnn_deploy.ir.neurons import MODELS
    from asnn_deploy.models.config import ALIASES
    from asnn_deploy.models.networks import NETWORKS
    from asnn_deploy.training.losses import LOSSES
    from asnn_deploy.training.presets import PRESETS

    table(
        "Presets",
        ["name", "coding", "steps", "data"],
        [(n, p["coding"], p["time_steps"], p["data"]) for n, p in PRESETS.items()],
    )
    table("Data sets", ["name", ""], part_rows(SOURCES, lambda source: source.summary))
    table("Codings", ["name", ""], part_rows(CODINGS, lambda coding: coding.summary))
    table("Networks", ["name", ""], part_rows(NETWORKS, lambda network: network.summary))
    trained = [(name, f"{model} that learns its parameters for each time step") for name, model in ALIASES.items()]
    table("Neurons", ["name", ""], [*trained, *part_rows(MODELS, lambda model: model.summary)])
    table("Losses", ["name", ""], part_rows(LOSSES, lambda loss: loss.summary))
    groups: tuple[Plugins[Any], ...] = (EXPORTERS, TARGETS, SIMULATORS)
    for plugins in groups:
        table(f"{plugins.what.capitalize()}s", ["name", ""], part_rows(plugins, availability))
    table("Chips", ["name", ""], part_rows(CHIPS, lambda file: load_chip(file).title))
    table(
        "Energy profiles",
        ["name", "kind", ""],
        [(n, load_profile(n).kind, load_profile(n).source) for n in profile_names()],
    )
    for chip, reason in NO_PROFILE.items():
        click.echo(f"{chip}: no profile: {reason}")


def availability(plugin: Plugin) -> str:
    """Whether a plug-in can be used here, or why not."""
    reason = plugin.unavailable()
    return f"not available: {reason}" if reason else "available"


def part_rows(parts: Parts[T], said: Callable[[T], str]) -> list[tuple[str, str]]:
    """Each part and what is said of it, or why it cannot be used."""
    rows = []
    for name in parts:
        problem = parts.problem(name)
        try:
            text = f"not available: {problem}" if problem else said(parts[name])
        except Exception as error:  # whatever is wrong with a stranger's part
            text = f"not available: {' '.join(str(error).split())}"
        rows.append((name, text))
    return rows
