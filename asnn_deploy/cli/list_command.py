"""`asnn-deploy list`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from asnn_deploy.cli.common import json_option, say

if TYPE_CHECKING:
    from asnn_deploy.deploy.plugins import Plugin, Plugins
    from asnn_deploy.util.discover import Parts

T = TypeVar("T")


Rows = list[tuple[Any, ...]]


@click.command("list", epilog="Example: asnn-deploy list")
@json_option
def command(json_file: Path | None) -> None:
    """Show what there is: presets, data sets, targets, chips, ...

    Also codings, networks, neurons, losses, energy profiles, exporters and simulators; and why one is not available.
    """
    from asnn_deploy.cli.common import write_json
    from asnn_deploy.cli.tables import table
    from asnn_deploy.energy import NO_PROFILE

    groups = parts()
    for title, (columns, rows) in groups.items():
        table(title, columns, rows)
    for chip, reason in NO_PROFILE.items():
        say(f"{chip}: no profile: {reason}")
    keys = {title: [column or "about" for column in columns] for title, (columns, _) in groups.items()}
    write_json(json_file, {title: [dict(zip(keys[title], row)) for row in rows] for title, (_, rows) in groups.items()})


def parts() -> dict[str, tuple[list[str], Rows]]:
    """What there is, by its kind: columns, and a row for each part."""
    from asnn_deploy.deploy.registry import EXPORTERS, SIMULATORS, TARGETS
    from asnn_deploy.energy import load_profile, profile_names
    from asnn_deploy.fitting.chip import CHIPS, load_chip
    from asnn_deploy.input.coding import CODINGS
    from asnn_deploy.input.data import SOURCES
    from asnn_deploy.ir.neurons import MODELS
    from asnn_deploy.models.config import ALIASES
    from asnn_deploy.models.networks import NETWORKS
    from asnn_deploy.training.losses import LOSSES
    from asnn_deploy.training.presets import PRESETS

    said = ["name", ""]
    presets: Rows = [(n, p["coding"], p["time_steps"], p["data"]) for n, p in PRESETS.items()]
    trained = [(name, f"{model} that learns its parameters for each time step") for name, model in ALIASES.items()]
    plugins: tuple[Plugins[Any], ...] = (EXPORTERS, TARGETS, SIMULATORS)
    profiles: Rows = [(n, load_profile(n).kind, load_profile(n).source) for n in profile_names()]
    return {
        "Presets": (["name", "coding", "steps", "data"], presets),
        "Data sets": (said, part_rows(SOURCES, lambda source: source.summary)),
        "Codings": (said, part_rows(CODINGS, lambda coding: coding.summary)),
        "Networks": (said, part_rows(NETWORKS, lambda network: network.summary)),
        "Neurons": (said, [*trained, *part_rows(MODELS, lambda model: model.summary)]),
        "Losses": (said, part_rows(LOSSES, lambda loss: loss.summary)),
        **{f"{found.what.capitalize()}s": (said, part_rows(found, availability)) for found in plugins},
        "Chips": (said, part_rows(CHIPS, lambda file: load_chip(file).title)),
        "Energy profiles": (["name", "kind", ""], profiles),
    }


def availability(plugin: Plugin) -> str:
    """Whether a plug-in can be used here, or why not."""
    reason = plugin.unavailable()
    return f"not available: {reason}" if reason else "available"


def part_rows(parts: Parts[T], said: Callable[[T], str]) -> Rows:
    """Each part and what is said of it, or why it cannot be used."""
    rows: Rows = []
    for name in parts:
        problem = parts.problem(name)
        try:
            text = f"not available: {problem}" if problem else said(parts[name])
        except Exception as error:  # whatever is wrong with a stranger's part
            text = f"not available: {' '.join(str(error).split())}"
        rows.append((name, text))
    return rows
