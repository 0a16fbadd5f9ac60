"""Text from elsewhere, such as names of files and keys, shown where it can do no harm."""

from __future__ import annotations


def is_unicode(text: str) -> bool:
    """Return whether a text can be written as UTF-8; names of files need not be text."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def printable(text: str) -> str:
    """Return a text that stays on its line and moves nothing on a terminal: other characters as Python escapes them."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
