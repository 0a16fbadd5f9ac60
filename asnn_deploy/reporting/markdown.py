"""Text in Markdown pages."""

from __future__ import annotations

import re

SPECIAL = re.compile(r"[\\`*<>\[\]|~$]|(?<![^\W_])_|_(?![^\W_])|&(?=#?\w+;)|(?<!\S)#")
"""What CommonMark 0.31 and GitHub's tables, strikethrough and formulas read as markup; `_` within a word is not."""


def escaped(text: str) -> str:
    """Return a text on one line that Markdown shows as it stands."""
    return SPECIAL.sub(r"\\\g<0>", " ".join(text.splitlines()))
