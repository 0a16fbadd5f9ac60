"""`asnn-deploy list`."""

from __future__ import annotations

import click


@click.command("list", epilog="Example: asnn-deploy list")
def command() -> None:
    """Show presets, codings, exporters, targets, simulators (available or why not), chips and energy profiles."""
    from asnn_deploy.cli.common import table
    from asnn_deploy.energy import NO_PROFILE, load_profile, profile_names
    from asnn_deploy.fit import chip_names, load_chip
    from asnn_deploy.input.coding import CODINGS
    from asnn_deploy.training.presets import PRESETS

    table(
        "Presets",
        ["name", "coding", "steps", "data"],
        [(n, p["coding"], p["time_steps"], p["data"]) for n, p in PRESETS.items()],
    )
    table("Codings", ["name", ""], [(c.name, c.summary) for c in CODINGS.values()])
    for group in ("exporters", "targets", "simulators"):
        table(group.capitalize(), ["name", ""], plugin_rows(group))
    table("Chips", ["name", ""], [(n, load_chip(n).title) for n in chip_names()])
    table(
        "Energy profiles",
        ["name", "kind", ""],
        [(n, load_profile(n).kind, load_profile(n).source) for n in profile_names()],
    )
    for chip, reason in NO_PROFILE.items():
        click.echo(f"{chip}: no profile: {reason}")


def plugin_rows(group: str) -> list[tuple[str, str]]:
    """Each registered exporter, target or simulator: available, or why not."""
    from asnn_deploy.deploy.registry import find, names
    from asnn_deploy.errors import MissingDependency

    rows = []
    for name in names(group):
        try:
            reason = find(group, name).unavailable()
        except MissingDependency as error:
            reason = str(error)
        rows.append((name, f"not available: {reason}" if reason else "available"))
    return rows
