"""Error texts for names that do not exist."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from difflib import get_close_matches


def unknown_name(what: str, given: str, allowed: Iterable[str], planned: Collection[str] = ()) -> str:
    """`unknown preset 'digit-lenet'; did you mean 'digits-lenet'? (allowed: ...)`; or that it is planned."""
    choices = sorted(allowed)
    if given in planned:
        return f"{what} {given!r} is planned and not there yet (allowed: {', '.join(choices)})"
    near = [name for name in choices if name.endswith(f".{given}")] or get_close_matches(
        given, choices, n=1, cutoff=0.5
    )
    hint = f"; did you mean {near[0]!r}?" if near else ""
    allowed_text = ", ".join(choices) or "none"
    if near and len(allowed_text) > 200:
        return f"unknown {what} {given!r}{hint}"
    return f"unknown {what} {given!r}{hint} (allowed: {allowed_text})"
