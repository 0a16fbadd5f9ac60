"""A comparison's charts as inline SVG, each drawn for the width that it is given."""

from __future__ import annotations

from itertools import pairwise

from asnn_deploy.energy.estimate import JouleRange
from asnn_deploy.reporting import numbers
from asnn_deploy.reporting.canvas import Canvas
from asnn_deploy.reporting.compare import says
from asnn_deploy.reporting.compare.document import TITLES, Comparison, EarlyExits, Point

WIDE, NARROW = 760.0, 340.0
ROLES = {"a": "synapses", "b": "neurons"}
"""The style sheet's colours of the two networks."""
BAR, GAP, PANEL = 16.0, 4.0, 84.0
ROOM = 112.0
"""Pixels right of a bar for its number."""


def measures(compared: Comparison, width: float) -> str:
    """Accuracy and counts of both networks: two bars for each, each pair on its own scale from 0."""
    rows = compared.measures.titled
    canvas = Canvas(width, PANEL * len(rows))
    spoken = []
    for i, (title, row) in enumerate(rows):
        top, accuracy = PANEL * i, title == TITLES["accuracy"]
        shown = numbers.share if accuracy else numbers.count
        _heading(canvas, top, title, says.interval(row.difference, says.points if accuracy else says.amount))
        full = 1.0 if accuracy else max(row.a, row.b)
        for k, (side, mean) in enumerate(row.sides):
            y = top + 28 + k * (BAR + GAP)
            length = mean / full * (width - ROOM) if full else 0.0
            canvas.box(14, y, max(length - 14, 1), BAR, ROLES[side], rounding=2)
            canvas.text(2, y + BAR / 2, side.upper(), "muted", 11)
            canvas.text(max(length, 15) + 8, y + BAR / 2, shown(mean))
        spoken.append(f"{title}: A {shown(row.a)}, B {shown(row.b)}")
    return canvas.svg(f"Bars of both networks, each pair on its own scale. {'; '.join(spoken)}. A table follows.")


def _heading(canvas: Canvas, top: float, title: str, interval: str) -> None:
    narrow = canvas.width < WIDE
    canvas.text(2, top + 14, title, weight=600, size=12.5)
    said = interval if narrow else f"B − A: {interval}"
    canvas.text(canvas.width - 2, top + 14, said, "muted", 10.5 if narrow else 12, ha="right")


def energies(compared: Comparison, width: float) -> str:
    """Both networks' energies for each profile, middle estimate, with whiskers from low to high."""
    profiles = compared.profiles
    panel = PANEL + 18
    canvas = Canvas(width, panel * len(profiles))
    spoken = []
    for i, (name, row) in enumerate(profiles.items()):
        top, levels = panel * i, row.energy_joules
        _heading(canvas, top, name, says.interval(row.difference, says.joules))
        full = max(levels.a.high, levels.b.high)
        for k, (side, energy) in enumerate(levels.sides):
            y = top + 28 + k * (BAR + GAP + 9)
            scale = (width - ROOM - 14) / full if full else 0.0
            canvas.box(14, y, max(energy.mid * scale, 1), BAR, ROLES[side], rounding=2)
            canvas.text(2, y + BAR / 2, side.upper(), "muted", 11)
            _whisker(canvas, energy, scale, y + BAR + 4)
            canvas.text(22 + energy.mid * scale, y + BAR / 2, numbers.joules(energy.mid))
            spoken.append(f"{name}, {side.upper()}: {numbers.joules(energy.mid)}")
    return canvas.svg(f"Energy per sample of both networks, one pair for each profile. {'; '.join(spoken)}.")


def _whisker(canvas: Canvas, energy: JouleRange, scale: float, y: float) -> None:
    low, high = 14 + energy.low * scale, 14 + energy.high * scale
    canvas.line((low, high), (y, y), "ink", 1.3)
    for end in (low, high):
        canvas.line((end, end), (y - 3, y + 3), "ink", 1.3)


def early_exit(exits: EarlyExits, width: float) -> str:
    """Accuracy against operations per sample, one line for each network; a dot for each margin."""
    curves = exits.curves.sides
    everything = [point for _, points in curves for point in points]
    most = max(point.sops for point in everything) or 1.0
    lowest = min(point.accuracy for point in everything)
    highest = max(point.accuracy for point in everything)
    rise = highest - lowest or 1.0
    canvas = Canvas(width, 300)
    left, right, top, bottom = 56.0, width - 16.0, 30.0, 252.0

    def place(point: Point) -> tuple[float, float]:
        return left + point.sops / most * (right - left), bottom - (point.accuracy - lowest) / rise * (bottom - top)

    canvas.text(2, 10, "accuracy", "muted", 11)
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = bottom - share * (bottom - top)
        canvas.line((left, right), (y, y), "rule")
        canvas.text(left - 8, y, numbers.share(lowest + share * rise), "muted", 10.5, ha="right")
        x = left + share * (right - left)
        canvas.text(x, bottom + 14, numbers.short(share * most), "muted", 10.5, ha="center" if share < 1 else "right")
    canvas.text(right, bottom + 34, "synaptic operations per sample", "muted", 11, ha="right")
    for side, points in curves:
        spots = [place(point) for point in points]
        for (x, y), (u, v) in pairwise(spots):
            canvas.line((x, u), (y, v), ROLES[side], 1.6)
        for x, y in spots:
            canvas.box(x - 3, y - 3, 6, 6, ROLES[side], rounding=2.9)
    said = "; ".join(
        f"{side.upper()} from {numbers.share(points[0].accuracy)} with {numbers.count(points[0].sops)} "
        f"operations to {numbers.share(points[-1].accuracy)} with {numbers.count(points[-1].sops)}"
        for side, points in curves
    )
    return canvas.svg(f"Accuracy against synaptic operations with early exit. {said}. A table follows.")
