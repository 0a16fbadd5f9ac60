"""A drawing surface that writes SVG whose colours are the page's style variables.

A chart so follows the page into dark mode and print. Nothing in the SVG has an id, and texts stay texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

LETTER = 0.62
"""Width of a letter of the page's font in units of its size, rounded up, for layout."""
ANCHORS = {"left": "", "center": ' text-anchor="middle"', "right": ' text-anchor="end"'}


class Canvas:
    """Coordinates are CSS pixels from the top left corner; a role is the name of a colour, `--ROLE` on the page."""

    def __init__(self, width: float, height: float) -> None:
        self.width, self.height = width, height
        self._drawn: list[str] = []

    def box(
        self, x: float, y: float, width: float, height: float, role: str, alpha: float = 1, rounding: float = 0
    ) -> None:
        """A filled rectangle."""
        width, height = max(width, 0), max(height, 0)
        if rounding:
            size = f'width="{_n(width)}" height="{_n(height)}" rx="{_n(rounding)}"'
            shape = f'<rect x="{_n(x)}" y="{_n(y)}" {size}'
        else:  # the shorter form: a page has thousands
            shape = f'<path d="M{_n(x)} {_n(y)}h{_n(width)}v{_n(height)}h-{_n(width)}z"'
        self._drawn.append(f"{shape}{_colour('fill', role)}{_opacity(alpha)}/>")

    def line(
        self, xs: Sequence[float], ys: Sequence[float], role: str, width: float = 1.0, dashed: bool = False
    ) -> None:
        """A line through points."""
        path = "L".join(f"{_n(x)} {_n(y)}" for x, y in zip(xs, ys))
        dashes = ' stroke-dasharray="4 3"' if dashed else ""
        self._drawn.append(
            f'<path d="M{path}" fill="none"{_colour("stroke", role)} stroke-width="{_n(width)}" '
            f'stroke-linejoin="round" stroke-linecap="round"{dashes}/>'
        )

    def area(self, xs: Sequence[float], lows: Sequence[float], highs: Sequence[float], role: str) -> None:
        """A pale band between two lines."""
        points = [*zip(xs, highs), *reversed(list(zip(xs, lows)))]
        path = "L".join(f"{_n(x)} {_n(y)}" for x, y in points)
        self._drawn.append(f'<path d="M{path}Z"{_colour("fill", role)}{_opacity(0.16)}/>')

    def dot(self, x: float, y: float, radius: float, role: str, hollow: bool = False) -> None:
        """A disc, or a ring in the page's background."""
        paint = (
            f' fill="var(--surface)"{_colour("stroke", role)} stroke-width="1.5"' if hollow else _colour("fill", role)
        )
        self._drawn.append(f'<circle cx="{_n(x)}" cy="{_n(y)}" r="{_n(radius)}"{paint}/>')

    def text(
        self, x: float, y: float, text: str, role: str = "ink", size: float = 12, ha: str = "left", weight: int = 400
    ) -> None:
        """Text, centred on y; ha: left, center or right of x."""
        bold = "" if weight == 400 else f' font-weight="{weight}"'
        colour = "" if role == "ink" else _colour("fill", role)
        big = "" if size == 12 else f' font-size="{_n(size)}"'
        place = f'x="{_n(x)}" y="{_n(y + 0.35 * size)}"{ANCHORS[ha]}'
        self._drawn.append(f"<text {place}{colour}{big}{bold}>{escape(text, quote=False)}</text>")

    def svg(self, label: str) -> str:
        """The drawing as an `<svg>` element for a page; label: what a screen reader says."""
        width, height = _n(self.width), _n(self.height)
        return (
            f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
            f'fill="var(--ink)" font-size="12" role="img" aria-label="{escape(label)}">{"".join(self._drawn)}</svg>'
        )


def fitted(text: str, room: float, size: float = 12) -> str:
    """A text cut in its middle to so many pixels: a layer's number stands at its end, its block's at its start."""
    letters = max(3, int(room / (LETTER * size)))
    if len(text) <= letters:
        return text
    head = letters // 3
    return f"{text[:head]}…{text[len(text) - (letters - 1 - head) :]}"


def text_width(text: str, size: float = 12) -> float:
    """Pixels that a text takes at most, roughly."""
    return LETTER * size * len(text)


def _n(value: float) -> str:
    """A coordinate to a tenth of a pixel."""
    return f"{value:.1f}".rstrip("0").rstrip(".") if value % 1 else f"{value:.0f}"


def _colour(attribute: str, role: str) -> str:
    return f' {attribute}="var(--{role})"'


def _opacity(alpha: float) -> str:
    return "" if alpha == 1 else f' opacity="{alpha:.2g}"'
