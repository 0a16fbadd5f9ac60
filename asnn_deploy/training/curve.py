"""The training curve as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from asnn_deploy.util.drawing import plain_style
from asnn_deploy.util.files import replacing

COLOURS = {"train": "#8a8f98", "test": "#0b6e8a", "validation": "#d55e00"}


@plain_style()
def draw_curve(rows: Sequence[dict[str, float]], path: Path) -> None:
    """Loss and accuracy over the epochs, training in grey, test and validation (if there is any) in colour."""
    figure = Figure(figsize=(8, 3.2), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 2)
    epochs = [row["epoch"] + 1 for row in rows]
    for axis, what in zip(axes, ("loss", "accuracy")):
        for split, colour in COLOURS.items():
            if not any(f"{split}_{what}" in row for row in rows):
                continue
            values = [row.get(f"{split}_{what}", float("nan")) for row in rows]
            axis.plot(epochs, values, color=colour, label=split, marker="o" if len(rows) < 20 else "", markersize=3)
        axis.set_xlabel("epoch")
        axis.set_title(what, loc="left")
        axis.spines[["top", "right"]].set_visible(False)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.set_xlim(0.5, max(epochs) + 0.5)
    axes[0].legend(frameon=False)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png")
