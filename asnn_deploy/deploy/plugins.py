"""Plug-ins: what exporters, targets and simulators have in common, and how they are found.

Ours and others' register alike, by the entry-point groups `asnn_deploy.exporters`, `asnn_deploy.targets` and
`asnn_deploy.simulators`; each entry point names an instance. Nothing is imported before it is asked for by name.
"""

from __future__ import annotations

from typing import TypeVar

from asnn_deploy.errors import MissingDependency
from asnn_deploy.util.discover import Parts


class Plugin:
    """The base of exporters, targets and simulators. name: what the command line and `list` call it."""

    name: str

    def unavailable(self) -> str | None:
        """Return why it cannot be used here (a package is missing), in one line; None if it can."""
        return None


P = TypeVar("P", bound=Plugin)


class Plugins(Parts[P]):
    """The plug-ins of one kind, by name. base: what they are; its name in lower case names the group."""

    def __init__(self, base: type[P]) -> None:
        what = base.__name__.lower()
        super().__init__(what, f"asnn_deploy.{what}s", base=base)

    def available(self, name: str) -> P:
        """Return the plug-in of that name. Raises MissingDependency with the reason if it cannot be used here."""
        part = self.find(name)
        reason = part.unavailable()
        if reason:
            raise MissingDependency(f"{self.what} {name!r} is not available: {reason}")
        return part

    def reason(self, name: str) -> str | None:
        """Return why a plug-in cannot be loaded or used here, in one line; None if it can."""
        return self.problem(name) or self.find(name).unavailable()
