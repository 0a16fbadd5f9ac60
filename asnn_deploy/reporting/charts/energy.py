"""Energy by part for each profile: a stacked bar of the middle estimate with a whisker from low to high."""

from __future__ import annotations

from collections.abc import Mapping

from asnn_deploy.energy.estimate import PARTS, JouleRange
from asnn_deploy.reporting.canvas import Canvas, fitted, text_width
from asnn_deploy.reporting.charts.layout import WIDE, legend, ticks
from asnn_deploy.reporting.energies import ProfileRow
from asnn_deploy.reporting.numbers import joule_range, joules, prefix

PANEL = 92.0
BAR = 18.0


def energies(profiles: Mapping[str, ProfileRow], latencies: Mapping[str, str], width: float) -> str:
    """One panel a profile, each on its own scale: they contain different things and are magnitudes apart.

    latencies: as text, of the profiles that have one.
    """
    present = [part for part in PARTS if any(getattr(p.breakdown, part) > 0 for p in profiles.values())]
    panel = PANEL + (16 if width < WIDE else 0)
    head = 30.0 if width >= WIDE or len(present) < 4 else 50.0
    canvas = Canvas(width, head + panel * len(profiles))
    legend(canvas, 2, 10, [(part, part) for part in present], width)
    for i, (name, profile) in enumerate(profiles.items()):
        timed = width >= WIDE and name in latencies
        kind = f"{profile.kind}, latency {latencies[name]}" if timed else profile.kind
        _panel(canvas, name, profile, kind, head + panel * i)
    return canvas.svg(_label(profiles))


def _panel(canvas: Canvas, name: str, profile: ProfileRow, kind: str, top: float) -> None:
    energy = profile.energy_joules
    wide = canvas.width >= WIDE
    said = f"{joules(energy.mid)}  ({joule_range([energy.low, energy.high])})"
    room = canvas.width - 12 - (text_width(said) if wide else 0)
    title = fitted(name, room - 90, 13)
    canvas.text(2, top + 10, title, weight=600, size=12.5)
    canvas.text(12 + text_width(title, 13.2), top + 10, kind, "muted", 11)
    canvas.text(
        canvas.width - 2 if wide else 2, top + (10 if wide else 27), said, "muted", ha="right" if wide else "left"
    )
    bar = top + (40 if wide else 56)
    if not energy.high:
        canvas.text(2, bar, "no energy: nothing that this profile prices took place", "muted", 11)
        return
    scale = (canvas.width - 6) / energy.high
    x = 2.0
    for part in PARTS:
        amount = getattr(profile.breakdown, part)
        length = amount * scale
        if length > 0:
            canvas.box(x, bar, max(length - 1, 0.6), BAR, part, rounding=0.5)
            if length > 40:
                fraction = f"{100 * (amount / energy.mid):.0f} %"
                canvas.text(x + length / 2, bar + BAR / 2, fraction, "on-part", 11, ha="center")
            x += length
    _whisker(canvas, energy, scale, bar - 9)
    _scale(canvas, energy.high, scale, bar + BAR + 4)


def _whisker(canvas: Canvas, energy: JouleRange, scale: float, y: float) -> None:
    low, high = 2 + energy.low * scale, 2 + energy.high * scale
    canvas.line((low, high), (y, y), "ink", 1.3)
    for end in (low, high):
        canvas.line((end, end), (y - 4, y + 4), "ink", 1.3)
    canvas.dot(2 + energy.mid * scale, y, 3.5, "ink")


def _scale(canvas: Canvas, high: float, scale: float, y: float) -> None:
    """A ruler in a round unit under a bar."""
    factor, letter = prefix(high)
    free = text_width("0 µJ", 10) + 8
    for value in ticks(0, high / factor, 5):
        x = 2 + value * factor * scale
        canvas.line((x, x), (y, y + 3), "rule")
        text = f"{value:g}" if value else f"0 {letter}J"
        half = text_width(text, 10) / 2
        if not value:
            canvas.text(x, y + 11, text, "muted", 10)
        elif free + half < x < canvas.width - half:
            canvas.text(x, y + 11, text, "muted", 10, ha="center")


def _label(profiles: Mapping[str, ProfileRow]) -> str:
    said = "; ".join(
        f"{name}: {joules(p.energy_joules.mid)}, from {joules(p.energy_joules.low)} to {joules(p.energy_joules.high)}"
        for name, p in profiles.items()
    )
    return f"Energy per sample by part, one bar for each profile, each on its own scale. {said}. A table follows."
