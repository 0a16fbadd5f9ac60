"""Tables as plain text: names and numbers are never broken. A table that is too wide wraps its prose; if that is not
enough, its rows stand below each other."""

from __future__ import annotations

import math
import shutil
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import click
from rich.cells import cell_len

GAPS = (2, 1)
"""Spaces between columns: the most for which there is room."""
INDENT = 2
"""Spaces before what stands below the first cell of a row."""
WORDS = ("", "kind", "coding", "data", "against", "verdict", "step tables", "binds")
"""Columns that hold words, which stand on the left; the first column always does."""
PROSE = 24
"""Cells that a column of whole sentences is given at least."""
GLUE = "\u00a0"
"""Stands for a space at which no line may end."""


def table(title: str, columns: Sequence[str], rows: Iterable[Iterable[Any]]) -> None:
    """Print a table, as wide as the terminal; in a pipe, as wide as it is."""
    width = terminal_width()
    if title:
        click.echo("\n".join(wrapped(title, width)))
    for line in laid_out(columns, [[str(cell) for cell in row] for row in rows], width):
        click.echo(line)  # which takes the bold out where none is shown


def terminal_width() -> int | None:
    """Return the columns of the terminal that standard output is; None if it is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def laid_out(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int | None) -> list[str]:
    """Return the lines of a table of at most `width` cells, None for any number."""
    cells = [columns, *([_glued(text) for text in row] for row in rows)]
    full = [max(cell_len(row[i]) for row in cells) for i in range(len(columns))]
    longest = [max(_longest(row[i]) for row in cells) for i in range(len(columns))]
    least = [max(word, PROSE) if whole > PROSE else word for whole, word in zip(full, longest)]
    room = math.inf if width is None else width
    gap = next((gap for gap in GAPS if sum(least) + gap * (len(columns) - 1) <= room), None)
    if gap is None:
        return _stacked(columns, cells[1:], int(room))
    widths = _shared_out(full, least, room - gap * (len(columns) - 1))
    left = [i == 0 or column in WORDS for i, column in enumerate(columns)]
    head, *body = (_row(row, widths, left, gap) for row in cells)
    return [*(click.style(line, bold=True) for line in head), *(line for row in body for line in row)]


def _glued(text: str) -> str:
    """A text on one line; a number and its unit, or a name of two words, are one word."""
    words = text.split()
    return (GLUE if len(words) == 2 else " ").join(words)


def _longest(text: str) -> int:
    """The cells of the longest word."""
    return max(map(cell_len, text.split(" ")))


def _shared_out(full: list[int], least: list[int], room: float) -> list[int]:
    """Widths of columns: what they need, less what the widest can give, a cell at a time."""
    widths = list(full)
    while sum(widths) > room:
        widest = max((i for i in range(len(widths)) if widths[i] > least[i]), key=lambda i: widths[i])
        widths[widest] -= 1
    return widths


def _row(row: Sequence[str], widths: list[int], left: list[bool], gap: int) -> list[str]:
    """The lines of a row."""
    parts = [wrapped(text, width) for text, width in zip(row, widths)]
    lines = []
    for n in range(max(map(len, parts))):
        texts = [part[n] if n < len(part) else "" for part in parts]
        spaces = [" " * (width - cell_len(text)) for text, width in zip(texts, widths)]
        padded = [text + space if first else space + text for text, space, first in zip(texts, spaces, left)]
        lines.append((" " * gap).join(padded).rstrip().replace(GLUE, " "))
    return lines


def wrapped(text: str, width: int | None) -> list[str]:
    """Return the lines of a text, broken between words only; all begin where the first does."""
    if width is None or cell_len(text) <= width:
        return [text]
    words = text.lstrip(" ")
    indent = " " * (len(text) - len(words))
    lines = [""]
    for word in words.split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and cell_len(indent + longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return [indent + line for line in lines]


def _stacked(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[str]:
    """Every row below the one before: its first cell, and under it the others that are not empty, as many to a line as
    there is room for."""
    lines: list[str] = []
    for first, *others in rows:
        lines += wrapped(first, width)
        line = ""
        for column, text in zip(columns[1:], others):
            said = f"{column}: {text}" if column and text else text
            if line and cell_len(line) + GAPS[0] + cell_len(said) > width - INDENT:
                lines.append(" " * INDENT + line)
                line = ""
            *whole, last = wrapped(said, width - INDENT)
            lines += [" " * INDENT + part for part in whole]
            line = (" " * GAPS[0]).join(filter(None, (line, last)))
        lines += [" " * INDENT + line] if line else []
    return [line.replace(GLUE, " ") for line in lines]
