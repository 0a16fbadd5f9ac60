"""The pages: `report.html`, `report.md` and `report.json` from the report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_eval_context, select_autoescape
from jinja2.nodes import EvalContext
from markupsafe import Markup

from asnn_deploy.energy.running import Interval
from asnn_deploy.ir.inputs import described
from asnn_deploy.reporting import charts, numbers
from asnn_deploy.reporting.example import Example
from asnn_deploy.reporting.figures import Report
from asnn_deploy.reporting.folder import write_files
from asnn_deploy.reporting.markdown import escaped
from asnn_deploy.reporting.pictures import pictures
from asnn_deploy.reporting.summary import summary
from asnn_deploy.reporting.summary_picture import picture
from asnn_deploy.reporting.times import latencies, range_of
from asnn_deploy.reporting.view import differing_shares, range_text, view
from asnn_deploy.util.arrays import Array

TEMPLATES = Path(__file__).parent / "templates"


def write(
    report: Report,
    folder: Path,
    example: Example | None = None,
    samples: Mapping[str, Array] | None = None,
    summarised: bool = False,
) -> list[Path]:
    """Write the report's files into a folder, all or none, and return their paths. Raises InputError.

    samples: of `energy.measure`, what each single sample did; goes into `samples.npz`, for `compare`. summarised: also
    write the summary alone, on one A4 page, as `summary.html` and `summary.png`.
    """
    files: dict[str, str | bytes] = {
        "report.html": html(report, example),
        "report.json": report.to_text(indent=1),
        "report.md": markdown(report),
    }
    if samples is not None:
        buffer = BytesIO()
        np.savez_compressed(buffer, **samples)  # type: ignore[arg-type]
        files["samples.npz"] = buffer.getvalue()
    if summarised:
        files |= {"summary.html": summary_html(report), "summary.png": picture(summary(report))}
    return write_files(files, folder)


def html(report: Report, example: Example | None = None) -> str:
    """The report as one self-contained page: no script, nothing fetched. example: a sample to show step by step."""
    drawn = {
        name: {"wide": Markup(draw(charts.WIDE)), "narrow": Markup(draw(charts.NARROW))}
        for name, draw in _drawings(report, example).items()
    }
    shown = None if example is None else {"sample": example, "pictures": pictures(example)}
    return environment().get_template("report.html").render(view(report), charts=drawn, example=shown)


def summary_html(report: Report) -> str:
    """The summary as a page that prints on one sheet of A4."""
    return environment().get_template("summary.html").render(summary=summary(report))


def markdown(report: Report) -> str:
    """The report's tables as Markdown."""
    return environment().get_template("report.md").render(view(report))


def _drawings(report: Report, example: Example | None) -> dict[str, Callable[[float], str]]:
    """The charts that this report has, by name: width to SVG."""
    found: dict[str, Callable[[float], str]] = {
        "spikes": lambda width: charts.spikes(report, width),
        "operations": lambda width: charts.operations(report, width),
        "over_steps": lambda width: charts.over_steps(report, width),
    }
    if report.profiles:
        found["energies"] = lambda width: charts.energies(report.profiles, latencies(report), width)
    exits = report.early_exit
    if exits is not None:
        found["early_exit"] = lambda width: charts.early_exit(report, exits, width)
    if example is not None:
        found["logits"] = lambda width: charts.logits(example, width, report.named)
    for chip, fit in report.fit.items():
        if fit.map:
            found[f"cores {chip}"] = lambda width, fit=fit: charts.cores(fit, width)  # type: ignore[misc]
    for name, label, layers in differing_shares(report):
        found[name] = lambda width, label=label, layers=layers: charts.differences(layers, width, label)  # type: ignore[misc]
    return found


@cache
def environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_shown,
    )
    environment.filters |= {
        "count": numbers.count,
        "described": described,
        "joule_range": range_text,
        "joules": lambda value: _unbroken(numbers.joules(value)),
        "seconds_range": range_of,
        "seconds": lambda value: _unbroken(numbers.seconds(value)),
        "share": lambda value: _unbroken(numbers.share(value)),
        "signif": lambda value: "–" if value is None else numbers.significant(value, 3),
        "unbroken": _unbroken,
        "interval": _interval,
    }
    return environment


@pass_eval_context
def _shown(context: EvalContext, value: Any) -> Any:
    """Every value in a Markdown page, escaped; HTML pages escape by themselves."""
    return value if context.autoescape else escaped(str(value))


def _unbroken(text: str) -> str:
    """A figure that stays on one line with its unit."""
    return text.replace(" ", "\N{NO-BREAK SPACE}")


def _interval(value: Interval) -> str:
    """`12.3 – 14.5`; an en dash where one sample gives none."""
    low, high = value.low95, value.high95
    return "–" if low is None or high is None else f"{numbers.count(low)} – {numbers.count(high)}"
