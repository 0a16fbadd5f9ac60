"""The report's two charts as inline SVG, each drawn for the width that it is given."""

from __future__ import annotations

from typing import Any

from asnn_deploy.energy.estimate import PARTS
from asnn_deploy.report.canvas import Canvas
from asnn_deploy.report.numbers import joule_range, joules, prefix, share, short, significant

WIDE, NARROW = 760.0, 340.0
LETTER = 7.0
"""Pixels that one letter of a label takes at most, for layout."""
ROW, CELL, GAP = 30.0, 31.0, 2.0
SPOKEN_LAYERS = 12
"""A screen reader is told the totals of at most so many layers; the table has the rest."""
PALEST, DARKEST = 0.05, 0.5
"""Opacity of the accent colour for nothing and for the peak; at one half the text stays legible in both schemes."""


def activity(report: dict[str, Any], width: float) -> str:
    """Spikes per layer and time step as a heat map: the number is spikes per sample, the shade the firing rate."""
    rows = [layer for layer in report["layers"] if layer["kind"] == "neuron"]
    steps = report["time_steps"]
    names = ["input", *(row["name"] for row in rows)]
    left = min(12 + LETTER * max(map(len, ["time step", *names])), 0.45 * width)
    right = 56.0 if width >= WIDE else 42.0
    cell = max(CELL, (width - left - right) / steps)
    canvas = Canvas(left + steps * cell + right, 30 + ROW * len(names) + 44)
    rates = [_rates(row) for row in rows]
    peak = max((rate for row in rates for rate in row), default=0.0)
    for t in range(steps):
        canvas.text(left + (t + 0.5) * cell, 12, str(t), "muted", 11, ha="center")
    canvas.text(left - 10, 12, "time step", "muted", 11, ha="right")
    canvas.text(left + steps * cell + right - 4, 12, "all", "muted", 11, ha="right")
    _input_row(canvas, report, left, cell, left + steps * cell + right - 4)
    for i, (row, rate) in enumerate(zip(rows, rates), start=1):
        y = 24 + ROW * i
        canvas.text(left - 10, y + ROW / 2, _fit(row["name"], left - 12), ha="right")
        for t, step in enumerate(row["per_step"]):
            _cell(canvas, left + t * cell, y, cell, short(step["spikes_out"]), rate[t] / peak if peak else 0.0)
        everything = sum(step["spikes_out"] for step in row["per_step"])
        canvas.text(left + steps * cell + right - 4, y + ROW / 2, short(everything), "muted", ha="right")
    _shades(canvas, left, 24 + ROW * len(names) + 22, peak)
    return canvas.svg(_activity_label(report, rows))


def _rates(layer: dict[str, Any]) -> list[float]:
    return [step["spikes_out"] / layer["neurons"] for step in layer["per_step"]]


def _fit(name: str, room: float) -> str:
    letters = int(room / LETTER)
    return name if len(name) <= letters else name[: letters - 1] + "…"


def _cell(canvas: Canvas, x: float, y: float, width: float, text: str, strength: float) -> None:
    canvas.box(x + GAP / 2, y + GAP / 2, width - GAP, ROW - GAP, "accent", alpha=_shade(strength), rounding=3)
    canvas.text(x + width / 2, y + ROW / 2, text, size=11.5, ha="center")


def _shade(strength: float) -> float:
    return PALEST + (DARKEST - PALEST) * strength


def _input_row(canvas: Canvas, report: dict[str, Any], left: float, cell: float, end: float) -> None:
    """The coded image: spikes in figures without shade, analog frames by name."""
    y = 24 + ROW / 2
    steps = report["input"]["per_step"]
    canvas.text(left - 10, y, "input", "muted", ha="right")
    for t, step in enumerate(steps):
        said = "analog" if step["analog"] else short(step["spikes"])
        canvas.text(left + (t + 0.5) * cell, y, said, "muted", 9.5 if step["analog"] else 11.5, ha="center")
    total = sum(step["spikes"] for step in steps)
    canvas.text(end, y, short(total), "muted", ha="right")


def _shades(canvas: Canvas, left: float, y: float, peak: float) -> None:
    """The legend of the shades."""
    tiles, width = 8, 14.0
    canvas.text(left - 10, y, "0 %", "muted", 11, ha="right")
    for k in range(tiles):
        canvas.box(left + 1 + k * width, y - 6, width - 1, 12, "accent", alpha=_shade(k / (tiles - 1)))
    canvas.text(left + tiles * width + 8, y, f"{share(peak)} of neurons", "muted", 11)


def _activity_label(report: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    sizes = f"Heat map of spikes per sample in {len(rows)} neuron layers over {report['time_steps']} time steps. "
    totals = [short(sum(step["spikes_out"] for step in row["per_step"])) for row in rows]
    layers = "; ".join(f"{row['name']} {total} by {row['neurons']} neurons" for row, total in zip(rows, totals))
    spoken = f"Spikes over all steps: {layers}. " if len(rows) <= SPOKEN_LAYERS else ""
    return f"{sizes}{spoken}The table below holds every value."


def fits(report: dict[str, Any]) -> bool:
    """Whether the heat map fits a wide page; one that does not is scrolled everywhere, and one drawing will do."""
    return bool(report["time_steps"] * CELL < 0.8 * WIDE)


def energies(report: dict[str, Any], width: float) -> str:
    """Energy by part for each profile: a stacked bar of the middle estimate with a whisker from low to high."""
    profiles = report["profiles"]
    present = [part for part in PARTS if any(p["breakdown"][part] > 0 for p in profiles.values())]
    panel, head = 104.0, 24.0 * _legend_rows(present, width)
    canvas = Canvas(width, head + panel * len(profiles))
    _legend(canvas, present, width)
    for i, (name, profile) in enumerate(profiles.items()):
        _panel(canvas, name, profile, head + panel * i, width)
    return canvas.svg(_energies_label(profiles))


def _legend_rows(present: list[str], width: float) -> int:
    return 1 if width >= WIDE else -(-len(present) // 3)


def _legend(canvas: Canvas, present: list[str], width: float) -> None:
    columns = len(present) if width >= WIDE else 3
    for k, part in enumerate(present):
        x, y = 2 + 104 * (k % columns), 10 + 22 * (k // columns)
        canvas.box(x, y - 5.5, 11, 11, part, rounding=2)
        canvas.text(x + 18, y, part, "muted")


def _panel(canvas: Canvas, name: str, profile: dict[str, Any], top: float, width: float) -> None:
    energy = profile["energy_joules"]
    stacked = width < WIDE
    canvas.text(2, top + 14, f"{name}", weight=600, size=12.5)
    said = f"{joules(energy['mid'])}  ({joule_range([energy['low'], energy['high']])})"
    canvas.text(width - 2, top + (30 if stacked else 14), said, "muted", ha="right")
    if not energy["high"]:
        return
    room, bar = width - 4, top + (54 if stacked else 46)
    scale = room / energy["high"]
    x = 2.0
    for part in PARTS:
        length = profile["breakdown"][part] * scale
        if length > 0:
            canvas.box(x, bar, max(length - 1, 0.5), 20, part)
            fraction = profile["breakdown"][part] / energy["mid"]
            if length > 44:
                canvas.text(x + length / 2, bar + 10, f"{100 * fraction:.0f} %", "on-part", 11, ha="center")
            x += length
    _whisker(canvas, energy, scale, bar - 8)
    _scale(canvas, energy["high"], scale, bar + 24)


def _whisker(canvas: Canvas, energy: dict[str, float], scale: float, y: float) -> None:
    low, high = 2 + energy["low"] * scale, 2 + energy["high"] * scale
    canvas.line((low, high), (y, y), "ink", 1.3)
    for end in (low, high):
        canvas.line((end, end), (y - 4, y + 4), "ink", 1.3)
    canvas.box(2 + energy["mid"] * scale - 3.5, y - 3.5, 7, 7, "ink", rounding=3.4)


def _scale(canvas: Canvas, high: float, scale: float, y: float) -> None:
    """A ruler in a round unit under a bar."""
    factor, letter = prefix(high)
    top = high / factor
    step = next(s for s in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500) if top / s <= 5)
    k = 0
    while k * step <= top:
        x = 2 + k * step * factor * scale
        canvas.line((x, x), (y, y + 3), "rule")
        text = f"0 {letter}J" if k == 0 else significant(k * step, 1 if step < 1 else len(str(int(k * step))))
        if k == 0 or x < canvas.width - 8:
            canvas.text(x, y + 11, text, "muted", 10, ha="left" if k == 0 else "center")
        k += 1


def _energies_label(profiles: dict[str, Any]) -> str:
    said = "; ".join(
        f"{name}: {joules(p['energy_joules']['mid'])}, "
        f"from {joules(p['energy_joules']['low'])} to {joules(p['energy_joules']['high'])}"
        for name, p in profiles.items()
    )
    return f"Energy per sample by part, one bar for each profile, each on its own scale. {said}. A table follows."
