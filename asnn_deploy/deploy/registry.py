"""What an exporter, a target and a simulator are, and how they are found.

Built-in and third-party ones register alike, by the entry-point groups `asnn_deploy.exporters`, `asnn_deploy.targets`
and `asnn_deploy.simulators`; each entry point names an object with the attributes below. Nothing is imported before it
is asked for by name.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

from asnn_deploy.errors import InputError, MissingDependency
from asnn_deploy.util.suggest import unknown_name

if TYPE_CHECKING:
    pass


def _entry_points(group: str) -> dict[str, EntryPoint]:
    return {point.name: point for point in sorted(entry_points(group=f"asnn_deploy.{group}"), key=lambda p: p.name)}


def names(group: str) -> list[str]:
    """The registered names of a group: "exporters", "targets" or "simulators"."""
    return list(_entry_points(group))


def find(group: str, name: str) -> Any:
    """The exporter, target or simulator of that name, whether or not it is available.

    Raises InputError where the name is not registered, MissingDependency where its module cannot be imported.
    """
    points = _entry_points(group)
    if name not in points:
        raise InputError(unknown_name(group.removesuffix("s"), name, points))
    try:
        return points[name].load()
    except ImportError as error:
        raise MissingDependency(f"{group.removesuffix('s')} {name!r} cannot be loaded: {error}") from error


def available(group: str, name: str) -> Any:
    """Like `find`, but raises MissingDependency with the reason where it cannot be used here."""
    plugin = find(group, name)
    reason = plugin.unavailable()
    if reason:
        raise MissingDependency(f"{group.removesuffix('s')} {name!r} is not available: {reason}")
    return plugin
