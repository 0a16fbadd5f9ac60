"""The summary as a picture: one A4 page, drawn without a browser."""

from __future__ import annotations

import textwrap
import warnings
from io import BytesIO
from typing import TYPE_CHECKING, Any

from asnn_deploy.reporting.summary import Fact, Price, Summary
from asnn_deploy.util.drawing import plain_style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH, HEIGHT, DPI = 8.27, 11.69, 150
"""Inches of A4, and 1,240 by 1,754 pixels."""
LEFT, TOP, COLUMNS = 0.75, 0.85, 3
INK, MUTED, RULE, ACCENT = "#17212b", "#5a6875", "#d9e0e6", "#1d5f8a"
LETTER = 0.56
"""Mean width of a letter in units of its size, a little more than that of most texts."""
FAMILIES = ("Noto Sans CJK JP", "WenQuanYi Zen Hei", "PingFang SC", "Hiragino Sans", "Microsoft YaHei")
"""Fonts for letters that DejaVu Sans lacks, as far as they are installed."""
SHARES = (0.36, 0.13, 0.11, 0.11, 0.29)
"""Of the width, for the columns of the table."""


@plain_style({"text.parse_math": False})
def picture(summary: Summary) -> bytes:
    """Return the page as PNG."""
    from matplotlib import (
        font_manager,  # matplotlib takes long to import
        rc_context,
    )
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    installed = {font.name for font in font_manager.fontManager.ttflist}
    families = ["DejaVu Sans", *(name for name in FAMILIES if name in installed)]
    with rc_context({"font.family": families}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # no font for it is installed: a box stands there
        figure = Figure(figsize=(WIDTH, HEIGHT), dpi=DPI)
        FigureCanvasAgg(figure)
        _Page(figure).draw(summary)
        buffer = BytesIO()
        metadata: dict[str, Any] = {"Software": None}  # the same bytes whatever matplotlib's version
        figure.savefig(buffer, format="png", facecolor="white", metadata=metadata)
    return buffer.getvalue()


class _Page:
    """A page that is written from the top down; lengths are inches."""

    def __init__(self, figure: Figure) -> None:
        self.figure, self.y, self.width = figure, TOP, WIDTH - 2 * LEFT

    def draw(self, summary: Summary) -> None:
        """Write the whole page."""
        self.text("Deployment summary", 8.5, color=ACCENT, weight="bold")
        self.text(summary.title, 21 if len(summary.title) < 34 else 14, weight="bold", gap=0.1)
        self.text("  ·  ".join(summary.about), 9, color=MUTED, gap=0.2)
        self.text(summary.verdict, 11.5, gap=0.25)
        for start in range(0, len(summary.facts), COLUMNS):
            self.facts(summary.facts[start : start + COLUMNS])
        self.rule()
        if summary.prices:
            self.table(summary)
        self.text(" ".join(summary.notes), 8, color=MUTED, gap=0.12)
        self.text(f"Written by {summary.created_by}.", 8, color=MUTED)

    def text(
        self, text: str, size: float, x: float = LEFT, width: float | None = None, gap: float = 0.06, **look: Any
    ) -> None:
        """Write a text, wrapped, and go on below it."""
        self.y += self.block(text, size, x, self.y, self.width if width is None else width, **look) + gap

    def block(self, text: str, size: float, x: float, y: float, width: float, **look: Any) -> float:
        """Write a text, wrapped, at a place; return its height."""
        lines = wrapped(text, size, width)
        line = 1.38 * size / 72
        for number, part in enumerate(lines):
            self.figure.text(
                x / WIDTH, 1 - (y + number * line) / HEIGHT, part, size=size, va="top", **({"color": INK} | look)
            )
        return line * len(lines)

    def rule(self) -> None:
        """Draw a line across the page."""
        from matplotlib.lines import Line2D

        at = 1 - self.y / HEIGHT
        ends = [LEFT / WIDTH, 1 - LEFT / WIDTH]
        self.figure.add_artist(Line2D(ends, [at, at], color=RULE, linewidth=0.8))
        self.y += 0.13

    def facts(self, facts: tuple[Fact, ...]) -> None:
        """Write a row of facts side by side."""
        self.rule()
        width, top, tallest = self.width / COLUMNS, self.y, 0.0
        for column, fact in enumerate(facts):
            x, y = LEFT + column * width, top
            y += self.block(fact.name, 8.5, x, y, width - 0.2, color=MUTED)
            y += self.block(fact.figure, 16 if len(fact.figure) < 12 else 12.5, x, y, width - 0.2, weight="bold") + 0.02
            y += self.block(fact.meaning, 8, x, y, width - 0.2, color=MUTED)
            tallest = max(tallest, y - top)
        self.y = top + tallest + 0.1

    def table(self, summary: Summary) -> None:
        """Write the table of prices."""
        caption = (
            f"The same network as a conventional one (ANN), and as one with {summary.qnn_bits}-bit activations (QNN): "
            "middle estimates of the energy of a sample"
        )
        self.text(caption, 8.5, color=MUTED, gap=0.1)
        self.row(("Profile", "This network", "ANN", "QNN", "This network costs"), color=MUTED)
        for price in summary.prices:
            self.row(cells(price))
        self.rule()

    def row(self, texts: tuple[str, ...], **look: Any) -> None:
        """Write a row of the table."""
        self.rule()
        x, tallest = LEFT, 0.0
        for text, share in zip(texts, SHARES):
            tallest = max(tallest, self.block(text, 8.5, x, self.y - 0.05, share * self.width - 0.08, **look))
            x += share * self.width
        self.y += tallest + 0.02


def cells(price: Price) -> tuple[str, ...]:
    """Return a row of the table as texts."""
    return price.profile, price.ours, price.ann, price.qnn, price.verdict


def wrapped(text: str, size: float, width: float) -> list[str]:
    """Return the lines of a text of a size, in points, in a width, in inches; wide letters count twice."""
    room = max(4, int(width * 72 / (size * LETTER)))
    wide = sum(ord(letter) > 0x2E7F for letter in text)
    if wide:
        room = max(2, room * len(text) // (len(text) + wide))
    return textwrap.wrap(text, room) or [""]
