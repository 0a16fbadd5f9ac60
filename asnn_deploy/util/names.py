"""Names of layers that are made of others' names."""

from __future__ import annotations


def plain_name(name: str) -> str:
    """Return a name with what layers' names may not hold replaced by `_`."""
    return "".join(c if (c.isascii() and c.isalnum()) or c in "_-." else "_" for c in name)


def free_name(name: str, taken: set[str]) -> str:
    """Return the name, with a number if it is taken, and take it."""
    new, number = name, 2
    while new in taken:
        new, number = f"{name}_{number}", number + 1
    taken.add(new)
    return new
