"""A figure for each layer and time step: the number is written where it has room, the shade is always there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from asnn_deploy.reporting.canvas import Canvas, fitted, text_width
from asnn_deploy.reporting.charts.layout import WIDE, legend
from asnn_deploy.reporting.figures import Report
from asnn_deploy.reporting.numbers import share, short

GAP = 2.0
MOST_CELLS = 960
"""More layers times steps than this have several steps in a cell."""
SPOKEN_LAYERS = 12
"""A screen reader is told the totals of at most so many layers; the table has the rest."""
PALEST, DARKEST = 0.05, 0.5
"""Opacity of a cell's colour for nothing and for the peak; at one half the text stays legible in both schemes."""


@dataclass(frozen=True)
class Row:
    """One layer: a text and a shade (0 to 1; None for none) for each step, the total, the colour of each step."""

    name: str
    texts: Sequence[str]
    shades: Sequence[float] | None
    total: str
    roles: Sequence[str] | None = None


def spikes(report: Report, width: float) -> str:
    """Spikes per sample by layer and step, shaded by the share of the layer's neurons that fire."""
    layers = report.neuronal
    counts = {layer.name: [step.spikes_out for step in layer.per_step] for layer in layers}
    rates = [[count / max(layer.neurons, 1) for count in counts[layer.name]] for layer in layers]
    peak = max((rate for row in rates for rate in row), default=0.0)
    coded = report.input.per_step
    sent = ["analog" if step.analog else short(step.spikes) for step in coded]
    rows = [Row("input", sent, None, short(sum(step.spikes for step in coded)))]
    rows += [
        Row(name, [short(v) for v in values], _scaled(rate, peak), short(sum(values)))
        for (name, values), rate in zip(counts.items(), rates)
    ]
    return _draw(rows, width, [("accent", f"0 – {share(peak)} of the neurons fire")], _spoken("spikes", report, counts))


def operations(report: Report, width: float) -> str:
    """Synaptic operations per sample by layer and step, shaded by their number; by colour, adds and multiply-adds."""
    layers = report.synaptic
    counts = {layer.name: [step.macs + step.acs for step in layer.per_step] for layer in layers}
    peak = max((value for row in counts.values() for value in row), default=0.0)
    rows = [
        Row(
            layer.name,
            [short(value) for value in counts[layer.name]],
            _scaled(counts[layer.name], peak),
            short(sum(counts[layer.name])),
            ["warm" if step.macs > step.acs else "accent" for step in layer.per_step],
        )
        for layer in layers
    ]
    keys = [("accent", f"accumulates, 0 – {short(peak)}")]
    if report.totals.macs:
        keys.append(("warm", "multiply-accumulates"))
    return _draw(rows, width, keys, _spoken("synaptic operations", report, counts))


def differences(layers: Sequence[tuple[str, Sequence[float]]], width: float, label: str) -> str:
    """Shares of spikes that differ between two networks, by layer `(name, [T])` and step."""
    peak = max((value for _, row in layers for value in row), default=0.0)
    mean = [sum(row) / len(row) for _, row in layers]
    rows = [
        Row(name, [_percent(value) for value in row], _scaled(row, peak), _percent(average), ["warm"] * len(row))
        for (name, row), average in zip(layers, mean)
    ]
    return _draw(rows, width, [("warm", f"0 – {share(peak)} of the neurons differ")], label, total="mean")


def _percent(fraction: float) -> str:
    """A share in percent without its sign, for a cell."""
    if 0 < fraction < 0.00005:
        return "<.01"
    return "0" if not fraction else f"{100 * fraction:.2f}" if fraction < 0.0995 else f"{100 * fraction:.0f}"


def _scaled(values: Sequence[float], peak: float) -> list[float]:
    return [value / peak if peak else 0.0 for value in values]


def _draw(rows: Sequence[Row], width: float, keys: list[tuple[str, str]], label: str, total: str = "all") -> str:
    time_steps = len(rows[0].texts) if rows else 0
    each = -(-len(rows) * time_steps // MOST_CELLS)
    rows = rows if each <= 1 else [_merged(row, each) for row in rows]
    steps = len(rows[0].texts) if rows else 0
    height = 30.0 if len(rows) <= 16 else 22.0 if len(rows) <= 32 else 16.0
    right = 56.0 if width >= WIDE else 40.0
    left = min(14 + text_width(max(["time step", *(row.name for row in rows)], key=len)), 0.34 * width)
    cell = (width - left - right) / max(steps, 1)
    size = next((s for s in (11.5, 9.5, 8.5) if cell >= text_width("1.2M", s) + 1 and height >= s + 4), 0.0)
    canvas = Canvas(width, 30 + height * len(rows) + 12 + (20 if len(keys) == 1 or width >= WIDE else 40))
    canvas.text(left - 10, 12, "time step", "muted", 11, ha="right")
    canvas.text(width - 2, 12, total, "muted", 11, ha="right")
    every = next(k for k in (1, 2, 5, 10, 20, 50, 100, 1000) if k * cell >= text_width(str(time_steps), 11) + 3)
    for t in range(0, steps, every):
        canvas.text(left + (t + 0.5) * cell, 12, str(t * max(each, 1)), "muted", 11, ha="center")
    for i, row in enumerate(rows):
        _row(canvas, row, (left, 24 + height * i, cell, height), size, width)
    if rows:
        legend(canvas, 2, 24 + height * len(rows) + 20, keys, width)
    return canvas.svg(label)


def _merged(row: Row, each: int) -> Row:
    """A row with so many steps in a cell, which has their mean shade and no text."""
    starts = range(0, len(row.texts), each)
    shades = None if row.shades is None else [sum(s := row.shades[i : i + each]) / len(s) for i in starts]
    roles = None if row.roles is None else [row.roles[i] for i in starts]
    return Row(row.name, [""] * len(starts), shades, row.total, roles)


def _row(canvas: Canvas, row: Row, place: tuple[float, float, float, float], size: float, width: float) -> None:
    left, y, cell, height = place
    quiet = "muted" if row.shades is None else "ink"
    gap = GAP if cell > 3 * GAP else 0
    middle = y + height / 2
    largest = min(12, height - 4)
    letters = max(min(largest, (left - 12) / text_width(row.name, 1)), min(largest, 9))
    canvas.text(left - 10, middle, fitted(row.name, left - 12, letters), quiet, letters, ha="right")
    for t, text in enumerate(row.texts):
        x = left + t * cell
        if row.shades is not None:
            role = "accent" if row.roles is None else row.roles[t]
            shade = PALEST + (DARKEST - PALEST) * row.shades[t]
            canvas.box(x + gap / 2, y + gap / 2, cell - gap, height - gap, role, shade, 3 if height > 20 and gap else 0)
        letters = min(size, cell / text_width(text, 1)) if len(text) > 4 else size
        if letters >= 7 and text:
            canvas.text(x + cell / 2, middle, text, quiet, letters, ha="center")
    canvas.text(width - 2, middle, row.total, "muted", min(12, height - 4), ha="right")


def _spoken(what: str, report: Report, counts: Mapping[str, Sequence[float]]) -> str:
    sizes = f"Heat map of {what} per sample in {len(counts)} layers over {report.time_steps} time steps. "
    totals = "; ".join(f"{name} {short(sum(values))}" for name, values in counts.items())
    spoken = f"Over all steps: {totals}. " if len(counts) <= SPOKEN_LAYERS else ""
    return f"{sizes}{spoken}The table below holds every value."
