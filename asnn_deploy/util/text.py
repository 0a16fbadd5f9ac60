"""Text from elsewhere, such as names of files and keys, shown where it can do no harm."""

from __future__ import annotations


def printable(text: str) -> str:
    """Return a text that stays on its line and moves nothing on a terminal: other characters as Python escapes them."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
