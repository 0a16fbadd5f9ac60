"""A drawing surface on matplotlib whose SVG takes its colours and fonts from the page's style sheet.

Matplotlib knows no style sheets, so each role of colour is drawn in a stand-in that is replaced by a CSS variable
afterwards. The chart then follows the page into dark mode and print. Nothing in the SVG has an id.
"""

from __future__ import annotations

import io
import re
from html import escape
from typing import Any

STAND_INS = {
    "ink": "#010101",
    "muted": "#020202",
    "rule": "#030303",
    "accent": "#040404",
    "surface": "#060606",
    "synapses": "#070701",
    "neurons": "#070702",
    "spikes": "#070703",
    "memory": "#070704",
    "static": "#070705",
    "on-part": "#070706",
}
"""Role to the colour that it is drawn in; the page defines `--ROLE` for each."""
INCH = 72.0


class Canvas:
    """Coordinates are CSS pixels from the top left corner."""

    def __init__(self, width: float, height: float) -> None:
        # matplotlib takes long to import, and only reports need it
        from matplotlib.figure import Figure

        self.width, self.height = width, height
        self._figure = Figure(figsize=(width / INCH, height / INCH))
        self._axes = self._figure.add_axes((0.0, 0.0, 1.0, 1.0))
        self._axes.set(xlim=(0, width), ylim=(height, 0))
        self._axes.set_axis_off()

    def box(
        self, x: float, y: float, width: float, height: float, role: str, alpha: float = 1, rounding: float = 0
    ) -> None:
        """A filled rectangle."""
        from matplotlib.patches import FancyBboxPatch

        rounding = min(rounding, width / 2, height / 2)
        shape = f"round,pad=0,rounding_size={rounding}" if rounding else "square,pad=0"
        patch = FancyBboxPatch((x, y), width, height, boxstyle=shape, linewidth=0, clip_on=False)
        patch.set_facecolor(STAND_INS[role])
        patch.set_alpha(round(alpha, 2))
        self._axes.add_patch(patch)

    def line(self, xs: tuple[float, float], ys: tuple[float, float], role: str, width: float = 1.0) -> None:
        """A straight line between two points."""
        self._axes.plot(xs, ys, color=STAND_INS[role], linewidth=width, solid_capstyle="round", clip_on=False)

    def text(self, x: float, y: float, text: str, role: str = "ink", size: float = 12, **style: Any) -> None:
        """Text; style: `ha` (left), `va` (center_baseline), `weight`."""
        style = {"va": "center_baseline"} | style
        self._axes.text(x, y, text, color=STAND_INS[role], fontsize=size, clip_on=False, parse_math=False, **style)

    def svg(self, label: str) -> str:
        """The drawing as an `<svg>` element for a page; label: what a screen reader says."""
        import matplotlib

        drawn = io.StringIO()
        plain = {"svg.fonttype": "none", "svg.hashsalt": "asnn-deploy"}
        with matplotlib.rc_context(plain):
            self._figure.savefig(drawn, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
        return self._for_page(drawn.getvalue(), label)

    def _for_page(self, drawn: str, label: str) -> str:
        inner = drawn[drawn.index(">", drawn.index("<svg")) + 1 :]
        inner = re.sub(r"<metadata>.*?</metadata>|<defs>.*?</defs>", "", inner, flags=re.DOTALL)
        inner = re.sub(r' id="[^"]*"', "", inner)
        inner = re.sub(r" font-family: [^;\"]*;?", "", inner)
        inner = re.sub(r'font: (?:(\d+) )?([\d.]+px) [^;"]*', r"font-size: \2; font-weight: \1", inner)
        inner = re.sub(r' transform="rotate\(-0 [^"]*\)"', "", inner)
        for role, colour in STAND_INS.items():
            inner = inner.replace(colour, f"var(--{role})")
        # A tenth of a pixel is enough for coordinates; they stand in quotes, texts do not.
        inner = re.sub(r'"[^"<>]*"', lambda quoted: re.sub(r"(\.\d)\d{3,}", r"\1", quoted[0]), inner)
        inner = re.sub(r"<path[^>]*fill: none\"/>|</?g>", "", inner)
        inner = re.sub(r"\s*\n\s*", " ", inner)
        return (
            f'<svg viewBox="0 0 {self.width:g} {self.height:g}" width="{self.width:g}" height="{self.height:g}" '
            f'role="img" aria-label="{escape(label)}">{inner.strip()}'
        )
