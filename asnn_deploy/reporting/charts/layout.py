"""What the charts share: widths, legends, and a plane with axes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from asnn_deploy.reporting.canvas import Canvas, text_width

WIDE, NARROW = 760.0, 340.0
"""The two widths that a page draws its charts in."""


def legend(canvas: Canvas, x: float, y: float, entries: Sequence[tuple[str, str]], end: float) -> float:
    """Keys `(role, text)` side by side, wrapped before `end`; returns the height that they take."""
    left, top = x, y
    for role, text in entries:
        width = 18 + text_width(text) + 12
        if left > x and left + width > end:
            left, y = x, y + 20
        canvas.box(left, y - 5.5, 11, 11, role, rounding=2)
        canvas.text(left + 16, y, text, "muted")
        left += width
    return y - top + 20


def ticks(low: float, high: float, most: int) -> list[float]:
    """At most so many round numbers from low to high."""
    span = high - low
    if span <= 0:
        return [low]
    power = 10.0 ** math.floor(math.log10(span / most))
    step = next(s * power for s in (1, 2, 2.5, 5, 10, 20) if span / (s * power) <= most)
    first = math.ceil(low / step - 1e-9)
    return [k * step for k in range(first, math.floor(high / step + 1e-9) + 1)]


@dataclass(frozen=True)
class Plane:
    """A plotting area: pixels of its edges and the values there."""

    canvas: Canvas
    left: float
    top: float
    right: float
    bottom: float
    x_range: tuple[float, float]
    y_range: tuple[float, float]

    def x(self, value: float) -> float:
        """The pixel of a value; a range without extent is its middle."""
        return _between(value, self.x_range, self.left, self.right)

    def y(self, value: float) -> float:
        """The pixel of a value."""
        return _between(value, self.y_range, self.bottom, self.top)

    def line(self, xs: Sequence[float], ys: Sequence[float], role: str, width: float = 1.8, dots: bool = True) -> None:
        """A line through values, with a dot at each."""
        points = [self.x(v) for v in xs], [self.y(v) for v in ys]
        self.canvas.line(*points, role, width)
        for x, y in zip(*points):
            if dots:
                self.canvas.dot(x, y, 2.6, role)

    def axes(
        self,
        x_ticks: Sequence[float],
        y_ticks: Sequence[float],
        x_text: Callable[[float], str],
        y_text: Callable[[float], str],
        x_title: str,
        y_title: str,
    ) -> None:
        """Rules at the y ticks, figures at both, and what they mean."""
        for value in y_ticks:
            y = self.y(value)
            self.canvas.line((self.left, self.right), (y, y), "rule")
            self.canvas.text(self.left - 7, y, y_text(value), "muted", 11, ha="right")
        free = -math.inf
        for value in x_ticks:
            text, x = x_text(value), self.x(value)
            half = text_width(text, 11) / 2
            if x - half >= free:
                self.canvas.text(x, self.bottom + 14, text, "muted", 11, ha="center")
                free = x + half + 4
        self.canvas.text((self.left + self.right) / 2, self.bottom + 31, x_title, "muted", 11, ha="center")
        self.canvas.text(self.left, self.top - 16, y_title, "muted", 11)


def _between(value: float, span: tuple[float, float], start: float, end: float) -> float:
    low, high = span
    return start + (end - start) * ((value - low) / (high - low) if high > low else 0.5)
