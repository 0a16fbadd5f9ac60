"""What every pydantic schema here shares: the one line that says what is wrong with a file or a configuration."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Sequence

from pydantic import ValidationError

from asnn_deploy.util.text import printable

SHORT = reprlib.Repr()
SHORT.maxstring = SHORT.maxother = SHORT.maxlong = 80


def explain(
    error: ValidationError, unknown: Callable[[Sequence[str]], str] | None = None, within: Sequence[str] = ()
) -> str:
    """Return the first problem as `key = value found: what is expected`, on one line.

    unknown: what to say of a key that the schema does not have, given its path.
    within: the path of the section that was checked.
    """
    problems = error.errors(include_url=False)
    # A misspelt key is also a missing one; the spelling is what the user can mend.
    first = next((p for p in problems if p["type"] == "extra_forbidden"), problems[0])
    path = [*within, *(str(part) for part in first["loc"])]
    if unknown is not None and first["type"] == "extra_forbidden":
        return unknown(path)
    key = printable(".".join(path))
    if first["type"] == "missing":
        return f"{key}: is missing"
    message = first["msg"].removeprefix("Value error, ")
    message = printable(message if message[:2].isupper() else message[:1].lower() + message[1:])
    if first["type"] == "json_invalid":
        return message
    found = first["input"]
    if isinstance(found, (str, int, float, list, type(None))):
        return f"{key or 'the file'} = {SHORT.repr(found)}: {message}"
    return f"{key}: {message}" if key else message
