"""The pages: `compare.html`, `compare.md` and `compare.json` from the comparison."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from markupsafe import Markup

from asnn_deploy.reporting import numbers
from asnn_deploy.reporting.compare import charts, says
from asnn_deploy.reporting.compare.document import TITLES, Comparison, EarlyExits, Pair, ProfilePair, Row
from asnn_deploy.reporting.folder import write_files
from asnn_deploy.reporting.page import environment
from asnn_deploy.reporting.view import range_text


def write(compared: Comparison, folder: Path) -> list[Path]:
    """Write the three files into a folder, all or none, and return their paths. Raises InputError."""
    texts = {
        "compare.html": html(compared),
        "compare.json": compared.to_text(indent=1),
        "compare.md": markdown(compared),
    }
    return write_files(texts, folder)


def html(compared: Comparison) -> str:
    """The comparison as one self-contained page: no script, nothing fetched."""
    draw: dict[str, Callable[[float], str]] = {"measures": lambda width: charts.measures(compared, width)}
    exits = compared.early_exit
    if compared.profiles:
        draw["energies"] = lambda width: charts.energies(compared, width)
    if exits is not None:
        draw["early_exit"] = lambda width: charts.early_exit(exits, width)
    pictures = {
        name: {"wide": Markup(chart(charts.WIDE)), "narrow": Markup(chart(charts.NARROW))}
        for name, chart in draw.items()
    }
    return environment().get_template("compare.html").render(view(compared), charts=pictures)


def markdown(compared: Comparison) -> str:
    """The comparison's tables as Markdown."""
    return environment().get_template("compare.md").render(view(compared))


def view(compared: Comparison) -> dict[str, Any]:
    """What the templates say that is not in the comparison as it stands."""
    rows = [_row(title, row) for title, row in compared.measures.titled]
    return {
        "compared": compared,
        "networks": [compared.a, compared.b],
        "title": f"{compared.a.name} and {compared.b.name}",
        "conclusions": says.conclusions(compared),
        "rows": rows,
        "energy_rows": [_energy(name, row) for name, row in compared.profiles.items()],
        "exits": None if compared.early_exit is None else _exits(compared.early_exit),
    }


def _row(title: str, row: Row) -> dict[str, str]:
    accuracy = title == TITLES["accuracy"]
    shown = numbers.share if accuracy else numbers.count
    return {"title": title, **_cells(row, shown, says.points if accuracy else says.amount)}


def _energy(name: str, row: ProfilePair) -> dict[str, str]:
    ranges = {f"{side}_range": range_text(energy) for side, energy in row.energy_joules.sides}
    return {"title": name, **_cells(row, numbers.joules, says.joules), **ranges}


def _cells(row: Row, shown: Callable[[float], str], spoken: Callable[[float], str]) -> dict[str, str]:
    difference, ratio = row.difference, row.ratio
    error = difference.standard_error
    return {
        "a": shown(row.a),
        "b": shown(row.b),
        "ratio": "–" if ratio is None else numbers.significant(ratio, 3),
        "difference": says.signed(difference.mean, spoken),
        "error": "–" if error is None else spoken(error),
        "interval": says.interval(difference, spoken),
        "zero": {None: "–", True: "yes", False: "no"}[difference.excludes_zero],
    }


def _exits(early: EarlyExits) -> dict[str, Any]:
    """Rows of early exit: `kind`, network, and a point of its curve."""
    kinds: list[tuple[str, Pair[Any]]] = [("chosen", early.chosen), ("equal accuracy", early.equal_accuracy)]
    summary = [(kind, side.upper(), point) for kind, pair in kinds for side, point in pair.sides if point is not None]
    curve = [(side.upper(), point) for side, points in early.curves.sides for point in points]
    profiles = [name for name in curve[0][1].energy_joules if all(name in point.energy_joules for _, point in curve)]
    return {"summary": summary, "curve": curve, "profiles": profiles, "target": early.equal_accuracy.target}
