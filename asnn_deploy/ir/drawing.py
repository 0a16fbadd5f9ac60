"""A network as a drawing: a row for each layer, a line for each connection; those over delayed edges are dashed.

Colours are those of the text around it, so that it can be read in a dark notebook as in a light one.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any, NamedTuple

ROW, LANE, LETTER = 26, 12, 8
"""Pixels: from a layer to the next, from a line to the next, and about the width of a letter."""
GAP = 3
"""Letters between columns."""
LONGEST = 40
"""Letters of a text; the rest is in the name that is shown under the pointer."""


class Line(NamedTuple):
    """A connection from one row to another."""

    start: int
    end: int
    delay: int

    @property
    def straight(self) -> bool:
        """Whether it goes to the next row and so needs no lane."""
        return self.end == self.start + 1 and not self.delay

    @property
    def rows(self) -> tuple[int, int]:
        """The rows that it passes, first and last."""
        return min(self.start, self.end), max(self.start, self.end)


def drawing(said: str, rows: Sequence[tuple[str, ...]], lines: Sequence[Line]) -> str:
    """Return SVG. said: what a screen reader says; rows: the texts of each layer, its name first."""
    taken = lanes([line for line in lines if not line.straight])
    left = LANE * (max(taken.values(), default=-1) + 2)
    longest = [max(len(_short(row[i])) for row in rows) for i in range(len(rows[0]))]
    at = [left + LETTER * (2 + sum(width + GAP for width in longest[:i])) for i in range(len(longest))]
    width, height = at[-1] + LETTER * (longest[-1] + 1), ROW * (len(rows) + 1)
    parts = [_path(line, left, taken.get(line, 0)) for line in lines]
    for number, row in enumerate(rows):
        parts.append(f'<circle cx="{left}" cy="{_y(number)}" r="4" fill="currentColor"/>')
        for i, text in enumerate(row):
            weight = ' font-weight="600"' if i == 0 else ' fill-opacity="0.75"'
            parts.append(
                f'<text x="{at[i]}" y="{_y(number) + 4}"{weight}><title>{escape(text)}</title>'
                f"{escape(_short(text))}</text>"
            )
    return (
        f'<svg role="img" aria-label="{escape(said)}" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" style="max-width:100%;height:auto" font-family="ui-monospace, monospace" font-size="12" '
        f'fill="currentColor" xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg>'
    )


def lanes(lines: Sequence[Line]) -> dict[Line, int]:
    """Return a lane for each line, so that those in one lane share no row but at their ends."""
    free: list[list[tuple[int, int]]] = []
    found: dict[Line, int] = {}
    for line in sorted(lines, key=lambda one: (one.rows[1] - one.rows[0], one)):
        first, last = line.rows
        lane = next((i for i, used in enumerate(free) if all(last <= a or b <= first for a, b in used)), len(free))
        if lane == len(free):
            free.append([])
        free[lane].append((first, last + (first == last)))
        found[line] = lane
    return found


def _path(line: Line, left: int, lane: int) -> str:
    start, end = _y(line.start), _y(line.end)
    if line.straight:
        way = f"M{left} {start}V{end}"
    elif line.start == line.end:  # a layer that feeds itself
        x = left - LANE * (lane + 1)
        way = f"M{left} {start}C{x} {start - 12} {x} {start + 12} {left} {start}"
    else:
        x, bend = left - LANE * (lane + 1), 8 if end > start else -8
        way = f"M{left} {start}Q{x} {start} {x} {start + bend}V{end - bend}Q{x} {end} {left} {end}"
    dashed = ' stroke-dasharray="4 3"' if line.delay else ""
    return f'<path d="{way}" fill="none" stroke="currentColor" stroke-opacity="0.6" stroke-width="1.5"{dashed}/>'


def _y(row: int) -> int:
    return ROW * (row + 1)


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def lines_of(graph: Any) -> list[Line]:
    """Return the connections of a network, "input" being row 0."""
    row = {"input": 0} | {layer.name: i for i, layer in enumerate(graph.layers, start=1)}
    return list(dict.fromkeys(Line(row[edge.source], row[edge.target], edge.delay) for edge in graph.edges))
