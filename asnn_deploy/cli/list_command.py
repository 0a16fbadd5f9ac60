"""`asnn-deploy list`."""

from __future__ import annotations

import click


@click.command("list", epilog="Example: asnn-deploy list")
def command() -> None:
    """Show presets, codings, exporters, targets, simulators (available or why not), chips and energy profiles."""
    from asnn_deploy.cli.common import table
    from asnn_deploy.deploy.registry import EXPORTERS, SIMULATORS, TARGETS
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
    for plugins in (EXPORTERS, TARGETS, SIMULATORS):
        reasons = {name: plugins.reason(name) for name in plugins}
        rows = [(name, f"not available: {reason}" if reason else "available") for name, reason in reasons.items()]
        table(f"{plugins.what.capitalize()}s", ["name", ""], rows)
    table("Chips", ["name", ""], [(n, load_chip(n).title) for n in chip_names()])
    table(
        "Energy profiles",
        ["name", "kind", ""],
        [(n, load_profile(n).kind, load_profile(n).source) for n in profile_names()],
    )
    for chip, reason in NO_PROFILE.items():
        click.echo(f"{chip}: no profile: {reason}")
