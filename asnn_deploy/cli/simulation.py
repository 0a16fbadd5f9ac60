"""Simulators in `asnn-deploy report`: `--profile` may name one beside the energy profiles."""

from __future__ import annotations

import click

from asnn_deploy.cli.completion import names

SAMPLES = 3
"""Samples that a simulator replays unless others are asked for. Held to `api` by a test: --help loads nothing."""

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
