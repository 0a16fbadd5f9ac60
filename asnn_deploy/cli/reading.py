"""Options for NIR files of other tools, and SOURCE opened with them."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from asnn_deploy.cli.completion import names

if TYPE_CHECKING:
    from asnn_deploy.deploy.reading import Reading
    from asnn_deploy.deploy.source import Source

TOOLS = ("snntorch", "norse", "sinabs", "spikingjelly", "rockpool", "spyx", "nengo", "lava-dl", "nir")
"""Held to the files in `asnn_deploy/conventions/` by a test, so that --help need not read them."""
RESETS = ("subtract", "delayed-subtract", "zero", "delayed-zero", "leftover-subtract", "early-subtract", "none")
UPDATES = ("integrated", "added", "relaxing", "dividing", "unit", "decaying")
ONLY = "NIR files of other tools only. "
OPTIONS = (
    click.option(
        "--from",
        "tool",
        shell_complete=names("tool"),
        metavar="TOOL",
        help=f"{ONLY}The tool that made it: {', '.join(TOOLS)}.",
    ),
    click.option("--dt", type=float, help=f"{ONLY}Length of a time step, in the file's unit; default: the tool's."),
    click.option("--reset", metavar="RULE", help=f"{ONLY}{', '.join(RESETS)}; default: zero, or the tool's."),
    click.option("--integration", metavar="euler|exponential", help=f"{ONLY}How a step is integrated."),
    click.option("--fires", metavar="above|at", help=f"{ONLY}Above the threshold only, or at it too."),
    click.option("--spikes", metavar="one|many", help=f"{ONLY}How often a neuron may fire in a step."),
    click.option("--update", metavar="RULE", help=f"{ONLY}How inputs enter: {', '.join(UPDATES)}."),
    click.option("--minimum", type=float, help=f"{ONLY}Lower bound of membrane potentials (Sinabs: min_v_mem)."),
    click.option("--node", "nodes", multiple=True, metavar="NODE:RULE=VALUE", help=f"{ONLY}A rule of one node only."),
    click.option("--round-delays", is_flag=True, help=f"{ONLY}Take delays as the nearest whole steps."),
    click.option("--snap", "snapped", is_flag=True, help=f"{ONLY}Move weights onto grids whose sums are exact."),
    click.option("--time-steps", type=click.IntRange(min=1), help=f"{ONLY}T, if the data do not say."),
    click.option(
        "--coding",
        shell_complete=names("coding"),
        metavar="NAME",
        help=f"{ONLY}Put an image, coded, before a network that reads frames.",
    ),
)
RULES = ("reset", "integration", "fires", "spikes", "update")


def reading_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to a command, which gets what they say as `reading`."""

    @wraps(function)
    def command(**given: Any) -> Any:
        from asnn_deploy.deploy.reading import Reading

        rules = {rule: given.pop(rule) for rule in RULES}
        given["nodes"] = tuple(node_rule(text) for text in given["nodes"])
        names = ("tool", "nodes", "dt", "minimum", "round_delays", "snapped", "time_steps", "coding")
        reading = Reading(rules=rules, **{name: given.pop(name) for name in names})
        return function(**given, reading=reading)

    for option in reversed(OPTIONS):
        command = option(command)
    return command


def node_rule(text: str) -> tuple[str, str, str]:
    """Return `NODE:RULE=VALUE` as its three parts. Raises InputError for anything else."""
    from asnn_deploy.errors import InputError

    start, equals, value = text.rpartition("=")
    node, colon, rule = start.rpartition(":")
    if not (equals and colon and node and rule and value):
        raise InputError(f"--node {text!r}: expected NODE:RULE=VALUE, such as lif2:reset=none")
    return node, rule, value


def opened_source(path: Path, reading: Reading) -> Source:
    """Open a SOURCE, and say on stderr by which rules a file of another tool is read, and what looks wrong with it."""
    from asnn_deploy.deploy.reading import doubts
    from asnn_deploy.deploy.source import open_source

    source = open_source(path, reading)
    if source.foreign is not None and source.graph.meaning is not None:
        click.echo(f"{path}: read {source.graph.meaning.in_words()}", err=True)
        for note in source.foreign.notes:
            click.echo(f"note: {note}", err=True)
        for doubt in doubts(source.graph):
            click.echo(f"warning: {doubt}", err=True)
    return source


def settle_without_data(source: Source) -> None:
    """Settle a network that no data were given for: spikes enter, over the steps that were stated.

    Raises InputError if no number of steps was.
    """
    from asnn_deploy.errors import InputError

    if source.graph.any_length:
        raise InputError(
            f"{source.path}: takes sequences of any length; give --time-steps T, or --data if the command has it"
        )
    if not getattr(source.graph.code, "stated", True):
        click.echo("note: spikes are taken to enter, 0 or 1", err=True)
    source.settle_for_spikes()
