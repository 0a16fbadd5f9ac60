"""The pages: `compare.html`, `compare.md` and `compare.json` from the comparison's dictionary."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup

from asnn_deploy.report import numbers
from asnn_deploy.report.compare import charts, says
from asnn_deploy.report.compare.document import TITLES
from asnn_deploy.report.folder import write_files
from asnn_deploy.report.page import environment


def write(compared: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write the three files into a folder, all or none, and return their paths. Raises InputError."""
    texts = {
        "compare.html": html(compared),
        "compare.json": json.dumps(compared, indent=1, allow_nan=False, ensure_ascii=False) + "\n",
        "compare.md": markdown(compared),
    }
    return write_files(texts, folder)


def html(compared: Mapping[str, Any]) -> str:
    """The comparison as one self-contained page: no script, nothing fetched."""
    draw: dict[str, Callable[[Mapping[str, Any], float], str]] = {"measures": charts.measures}
    if compared["profiles"]:
        draw["energies"] = charts.energies
    if compared["early_exit"]:
        draw["early_exit"] = charts.early_exit
    pictures = {
        name: {"wide": Markup(chart(compared, charts.WIDE)), "narrow": Markup(chart(compared, charts.NARROW))}
        for name, chart in draw.items()
    }
    return environment().get_template("compare.html").render(view(compared), charts=pictures)


def markdown(compared: Mapping[str, Any]) -> str:
    """The comparison's tables as Markdown."""
    return environment().get_template("compare.md").render(view(compared))


def view(compared: Mapping[str, Any]) -> dict[str, Any]:
    """What the templates say that is not in the comparison as it stands."""
    rows = [_row(name, row) for name, row in compared["measures"].items()]
    return {
        "compared": compared,
        "networks": [compared["a"], compared["b"]],
        "title": f"{compared['a']['name']} and {compared['b']['name']}",
        "conclusions": says.conclusions(compared),
        "rows": rows,
        "energy_rows": [_energy(name, row) for name, row in compared["profiles"].items()],
        "exits": None if compared["early_exit"] is None else _exits(compared["early_exit"]),
    }


def _row(name: str, row: Mapping[str, Any]) -> dict[str, str]:
    shown = numbers.share if name == "accuracy" else numbers.count
    return {"title": TITLES[name], **_cells(row, shown, says.points if name == "accuracy" else says.amount)}


def _energy(name: str, row: Mapping[str, Any]) -> dict[str, str]:
    levels = row["energy_joules"]
    ranges = {f"{side}_range": numbers.joule_range([levels[side]["low"], levels[side]["high"]]) for side in "ab"}
    return {"title": name, **_cells(row, numbers.joules, says.joules), **ranges}


def _cells(row: Mapping[str, Any], shown: Callable[[float], str], spoken: Callable[[float], str]) -> dict[str, str]:
    difference, ratio = row["difference"], row["ratio"]
    error = difference["standard_error"]
    return {
        "a": shown(row["a"]),
        "b": shown(row["b"]),
        "ratio": "–" if ratio is None else numbers.significant(ratio, 3),
        "difference": says.signed(difference["mean"], spoken),
        "error": "–" if error is None else spoken(error),
        "interval": says.interval(difference, spoken),
        "zero": {None: "–", True: "outside", False: "inside"}[difference["excludes_zero"]],
    }


def _exits(early: Mapping[str, Any]) -> dict[str, Any]:
    """Rows of early exit: `kind`, network, and a point of its curve."""
    kinds = {"chosen": early["chosen"], "equal accuracy": early["equal_accuracy"]}
    summary = [(kind, side.upper(), points[side]) for kind, points in kinds.items() for side in "ab" if points[side]]
    curve = [(side.upper(), point) for side, points in early["curves"].items() for point in points]
    profiles = list(curve[0][1]["energy_joules"])
    return {"summary": summary, "curve": curve, "profiles": profiles, "target": early["equal_accuracy"]["target"]}
