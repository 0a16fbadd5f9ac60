"""The pages: `report.html`, `report.md` and `report.json` from the report's dictionary."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from asnn_deploy.energy.estimate import PARTS
from asnn_deploy.report import charts, numbers
from asnn_deploy.report.folder import write_files

TEMPLATES = Path(__file__).parent / "templates"


def write(report: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write the three files into a folder, all or none, and return their paths. Raises InputError."""
    texts = {
        "report.html": html(report),
        "report.json": json.dumps(report, indent=1, allow_nan=False, ensure_ascii=False) + "\n",
        "report.md": markdown(report),
    }
    return write_files(texts, folder)


def html(report: Mapping[str, Any]) -> str:
    """The report as one self-contained page: no script, nothing fetched."""
    drawings = {"activity": charts.activity} | ({"energies": charts.energies} if report["profiles"] else {})
    pictures = {
        f"{name}_{size}": Markup(draw(dict(report), width))
        for name, draw in drawings.items()
        for size, width in (("wide", charts.WIDE), ("narrow", charts.NARROW))
        if size == "wide" or name != "activity" or charts.fits(dict(report))
    }
    return _environment().get_template("report.html").render(_view(report), charts=pictures)


def markdown(report: Mapping[str, Any]) -> str:
    """The report's tables as Markdown."""
    return _environment().get_template("report.md").render(_view(report))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "count": numbers.count,
        "joule_range": _range_text,
        "joules": numbers.joules,
        "seconds": numbers.seconds,
        "share": numbers.share,
        "cell": lambda text: str(text).replace("|", "\\|").replace("\n", " "),
    }
    return environment


def _view(report: Mapping[str, Any]) -> dict[str, Any]:
    """What the templates say that is not in the report as it stands."""
    layers = report["layers"]
    profiles = report["profiles"]
    return {
        "report": report,
        "title": report["network"] or "Spiking network",
        "parts": PARTS,
        "steps": range(report["time_steps"]),
        "synaptic": [_summed(layer) for layer in layers if layer["kind"] != "neuron"],
        "neuronal": [_summed(layer) for layer in layers if layer["kind"] == "neuron"],
        "accuracy_interval": _accuracy_interval(report),
        "energy_range": _energy_range(profiles),
        "ranges": {name: _range_text(p["energy_joules"]) for name, p in profiles.items()},
        "break_even_says": _break_even(report),
        "left_out": {name: p["leaves_out"] for name, p in profiles.items()},
        "final_sops": report["totals"]["sops"],
    }


def _range_text(energy: Mapping[str, float]) -> str:
    return numbers.joule_range([energy["low"], energy["high"]])


def _summed(layer: Mapping[str, Any]) -> dict[str, Any]:
    """A layer with its counts over all steps."""
    keys = layer["per_step"][0]
    return {**layer, "sum": {key: sum(step[key] for step in layer["per_step"]) for key in keys}}


def _accuracy_interval(report: Mapping[str, Any]) -> str | None:
    if report["accuracy"] is None:
        return None
    low, high = numbers.interval(report["accuracy"], report["samples"])
    return f"{100 * low:.1f} – {100 * high:.1f} %"


def _energy_range(profiles: Mapping[str, Any]) -> str:
    amounts = [p["energy_joules"][level] for p in profiles.values() for level in ("low", "high")]
    return numbers.joule_range(amounts) if amounts else "–"


def _break_even(report: Mapping[str, Any]) -> str:
    """The break-even rate in a sentence, or why there is none."""
    rate, seen = report["break_even_spike_rate"], report["break_even"]["spike_rate"]
    profile = report["break_even"]["profile"]
    if rate is not None:
        return (
            f"Under {profile} (mid) the spiking network and the ANN cost the same at {numbers.significant(rate, 3)} "
            f"spikes per neuron and time step; this network fires {numbers.significant(seen, 3)}."
        )
    if not report["totals"]["spikes"]:
        return "There is no break-even rate: no neuron fired, so there are no spikes to scale."
    return (
        f"There is no break-even rate: under {profile} (mid), what does not depend on the neurons' spikes (the input "
        "layer's work and the neuron updates) costs more than the ANN already."
    )
