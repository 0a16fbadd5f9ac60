"""Which layer sits on which core of a chip, and how full each core is."""

from __future__ import annotations

from collections.abc import Sequence

from asnn_deploy.fitting.document import CoreFit, FitDocument
from asnn_deploy.reporting.canvas import Canvas, fitted, text_width
from asnn_deploy.reporting.charts.layout import WIDE

MOST_TILES = 512
"""More cores than this are drawn several to a tile, those of one layer together."""
ROLES = ("synapses", "neurons", "spikes", "memory", "static")
PALEST = 0.25


def cores(fit: FitDocument, width: float) -> str:
    """One tile a core (or several of a layer), in colour and number its layer, in opacity how full it is."""
    entries = fit.map
    names = list(dict.fromkeys(entry.layer for entry in entries))
    each, tiles = _tiles(entries)
    columns = 32 if width >= WIDE else 16
    side = (width - 4) / columns
    top = 8.0
    key = _key(names, entries, width)
    rows = -(-len(tiles) // columns)
    canvas = Canvas(width, top + rows * side + 16 + 18 * len(key))
    for i, (layer, used) in enumerate(tiles):
        x, y = 2 + side * (i % columns), top + side * (i // columns)
        canvas.box(x, y, side - 1.5, side - 1.5, _role(names, layer), PALEST + (0.6 - PALEST) * min(used, 1.0), 2)
        number = str(names.index(layer) + 1)
        canvas.text(x + (side - 1.5) / 2, y + (side - 1.5) / 2, number, size=10 if len(number) < 3 else 8, ha="center")
    for row, line in enumerate(key):
        for x, name, text in line:
            y = top + rows * side + 18 + 18 * row
            canvas.box(x, y - 5.5, 11, 11, _role(names, name), 0.6, 2)
            canvas.text(x + 16, y, text, "muted", 11)
    shown = "one tile a core" if each == 1 else f"one tile for up to {each} cores of a layer"
    return canvas.svg(
        f"Map of {fit.cores} cores on {fit.chips} chips of {fit.chip}, {shown}. "
        f"{len(names)} layers; the table below names the cores of each."
    )


def cores_per_tile(fit: FitDocument) -> int:
    """How many cores a tile of the map stands for."""
    return _tiles(fit.map)[0]


def _tiles(entries: Sequence[CoreFit]) -> tuple[int, list[tuple[str, float]]]:
    """Cores to a tile, and the tiles: layer and mean utilisation, in the order of the cores."""
    ordered = sorted(entries, key=lambda entry: entry.core)
    runs: list[tuple[str, list[float]]] = []
    for entry in ordered:
        if not runs or runs[-1][0] != entry.layer:
            runs.append((entry.layer, []))
        runs[-1][1].append(entry.utilisation)
    each = 1
    while sum(-(-len(run) // each) for _, run in runs) > max(MOST_TILES, len(runs)):
        each *= 2
    tiles = [
        (layer, sum(part) / len(part))
        for layer, run in runs
        for part in (run[i : i + each] for i in range(0, len(run), each))
    ]
    return each, tiles


def _role(names: Sequence[str], layer: str) -> str:
    return ROLES[names.index(layer) % len(ROLES)]


def _key(names: Sequence[str], entries: Sequence[CoreFit], width: float) -> list[list[tuple[float, str, str]]]:
    """The legend in lines: x, layer and its text; layers beyond some lines are in the table only."""
    counts = {name: len({e.core for e in entries if e.layer == name}) for name in names}
    lines: list[list[tuple[float, str, str]]] = [[]]
    x = 2.0
    for i, name in enumerate(names, start=1):
        text = f"{i} {fitted(name, 150, 11)} × {counts[name]}"
        step = 16 + text_width(text, 11) + 14
        if lines[-1] and x + step > width:
            lines.append([])
            x = 2.0
        lines[-1].append((x, name, text))
        x += step
    return lines
