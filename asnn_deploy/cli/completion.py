"""What the shell completes at Tab: the names of parts, and the keys of a configuration."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from typing import Any

import click

PARTS = {
    "preset": "asnn_deploy.training.presets:PRESETS",
    "coding": "asnn_deploy.input.coding:CODINGS",
    "data": "asnn_deploy.input.data:SOURCES",
    "neuron": "asnn_deploy.models.config:neuron_names",
    "chip": "asnn_deploy.fitting.chip:CHIPS",
    "target": "asnn_deploy.deploy.registry:TARGETS",
    "exporter": "asnn_deploy.deploy.registry:EXPORTERS",
    "tool": "asnn_deploy.conventions:tools",
    "profile": "asnn_deploy.energy:profile_names",
}
"""Where the names of each kind of part are: a mapping of them, or a function that lists them."""


def names(what: str) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    """Return click's callback that completes the names of a kind of part, or of "key", the configuration's keys."""

    def complete(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
        try:
            found = settings() if what == "key" else _names(PARTS[what])
            return sorted(name for name in found if name.startswith(begun))
        except Exception:  # at a prompt, no names are better than an error
            return []

    return complete


def _names(place: str) -> Iterable[str]:
    module, _, name = place.partition(":")
    found = getattr(import_module(module), name)
    return found() if callable(found) else found


def settings() -> Iterator[str]:
    """Yield the keys of the configuration that every run has, as `--set` takes them: `training.epochs=`."""
    from asnn_deploy.training.config import RunConfig

    yield from _keys(RunConfig, "")


def _keys(section: Any, before: str) -> Iterator[str]:
    for name, value in section.model_fields.items():
        inner = value.annotation
        if hasattr(inner, "model_fields"):
            yield from _keys(inner, f"{before}{name}.")
        else:
            yield f"{before}{name}="
