"""One training of a search: from a point in the space of choices to accuracy and energy."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

from asnn_deploy.input.data import load_data
from asnn_deploy.training.config import make_config, merge
from asnn_deploy.training.presets import preset
from asnn_deploy.training.train import train

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.ticker import FormatStrFormatter, LogLocator, NullLocator

CODINGS = ("hybrid-latency", "latency", "direct")
WIDTHS = (0.5, 1.0, 2.0)
"""Times the preset's own."""
TIME_STEPS = (2, 8)
PRICES = (0.01, 3.0)
"""Of `loss.sop_penalty`, drawn evenly in the logarithm."""
VALIDATION = 0.2
"""Of the training images; nothing is chosen on the test split."""


def trial(point: Mapping[str, Any], name: str, data: str | None, epochs: int, limit: int | None) -> dict[str, float]:
    """Train a preset at a point: time_steps, coding, width, price. Accuracies as deployed; joules of an inference.

    accuracy: on the validation split, which a search chooses by; test_accuracy: for the choice that was made.
    """
    values = preset(name)
    changes: dict[str, Any] = {
        "time_steps": point["time_steps"],
        "coding": point["coding"],
        "model.widths": [max(1, round(width * point["width"])) for width in values["model"]["widths"]],
        "loss.sop_penalty": point["price"],
        "training.epochs": epochs,
        "training.limit": limit,
        "training.validation": VALIDATION,
        "monitor.energy": True,
    }
    if data:
        changes["data"] = data
    config = make_config(merge(values, changes), "trial")
    with tempfile.TemporaryDirectory() as folder:
        summary = train(config, load_data(config.data), Path(folder) / "run")
        with open(Path(folder) / "run" / "metrics.csv", newline="") as file:
            last = list(csv.DictReader(file))[-1]
    return {
        "accuracy": summary["validation_accuracy"],
        "test_accuracy": summary["test_accuracy"],
        "energy_joules": float(last["energy_joules"]),
    }


def front(points: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Those that no other one beats in accuracy and energy both, by rising energy."""
    best: list[Mapping[str, Any]] = []
    for point in sorted(points, key=lambda p: (p["energy_joules"], -p["accuracy"])):
        if not best or point["accuracy"] > best[-1]["accuracy"]:
            best.append(point)
    return best


def draw(points: Sequence[Mapping[str, Any]], title: str, path: Path) -> None:
    """All trials, and the front in colour with what was chosen there."""
    figure, axis = plt.subplots(figsize=(9, 4), dpi=120, layout="constrained")
    axis.scatter([1e6 * p["energy_joules"] for p in points], [100 * p["accuracy"] for p in points], color="#b5b9c0")
    best, legend = front(points), []
    places = [(1e6 * p["energy_joules"], 100 * p["accuracy"]) for p in best]
    axis.plot(*zip(*places), "o-", color="#0b6e8a")
    for number, (p, place) in enumerate(zip(best, places), 1):
        axis.annotate(str(number), place, textcoords="offset points", xytext=(-3, 6), fontsize=8, color="#0b6e8a")
        legend.append(
            f"{number}  {place[1]:.1f} %, {place[0]:.3f} uJ\n    T = {p['time_steps']}, {p['coding']}, width "
            f"{p['width']:g}, price {p['price']:.2g}"
        )
    axis.text(1.02, 1, "\n".join(legend), transform=axis.transAxes, va="top", fontsize=8)
    axis.set(
        xlabel="energy of an inference, microjoules (horowitz-45nm)", ylabel="validation accuracy, %", xscale="log"
    )
    plain_numbers(axis)
    axis.set_title(title, loc="left", fontsize=9)
    axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)


def plain_numbers(axis: Any) -> None:
    """A logarithmic axis marked 1, 2, 5."""
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(FormatStrFormatter("%g"))
