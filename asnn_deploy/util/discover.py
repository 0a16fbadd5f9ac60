"""Finding parts by file: every module of a package that defines a named object adds it, without a list to keep."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from pkgutil import iter_modules
from typing import Any


def discover(package: str, path: Iterable[str], attribute: str) -> dict[str, Any]:
    """The object called `attribute` of each module in a package, by the object's own `name`, sorted by it."""
    found = {}
    for info in iter_modules(list(path)):
        part = getattr(import_module(f"{package}.{info.name}"), attribute, None)
        if part is not None:
            found[part.name] = part
    return dict(sorted(found.items()))
