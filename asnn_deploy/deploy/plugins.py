"""Plug-ins: what exporters, targets and simulators have in common, and how they are found.

Ours and others' register alike, by the entry-point groups `asnn_deploy.exporters`, `asnn_deploy.targets` and
`asnn_deploy.simulators`; each entry point names an instance. Nothing is imported before it is asked for by name.
"""

from __future__ import annotations

from types import new_class
from typing import Any, TypeVar

from asnn_deploy.errors import InputError, MissingDependency
from asnn_deploy.util.discover import Parts


class Plugin:
    """The base of exporters, targets and simulators. name: what the command line and `list` call it."""

    name: str

    def unavailable(self) -> str | None:
        """Return why it cannot be used here (a package is missing), in one line; None if it can."""
        return None


P = TypeVar("P", bound=Plugin)
B = TypeVar("B")


class Plugins(Parts[P]):
    """The plug-ins of one kind, by name. base: what they are; its name in lower case names the group."""

    def __init__(self, base: type[P]) -> None:
        what = base.__name__.lower()
        super().__init__(what, f"asnn_deploy.{what}s")
        self.base = base

    def find(self, name: str) -> P:
        """Return the plug-in of that name, whether or not it can be used here; see `Parts.find`."""
        part = super().find(name)
        try:
            return adopted(part, self.base)
        except TypeError:
            raise InputError(
                f"{self.what} {name!r} is a {type(part).__name__}; it must be an instance of a class that inherits "
                f"from {self.base.__module__}.{self.base.__name__}"
            ) from None

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


def adopted(part: Any, base: type[B]) -> B:
    """Return an object as one of `base`: others' classes need not inherit, and get its defaults for what they lack."""
    if not isinstance(part, base):
        kind = type(part)
        grown = new_class(kind.__name__, (kind, base))
        object.__setattr__(part, "__class__", grown)
    return part  # type: ignore[no-any-return]
