"""The plot of a sweep: accuracy and spike disagreement against weight bits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from asnn_deploy.sweeping.points import METHODS, Point
from asnn_deploy.util.drawing import plain_style
from asnn_deploy.util.files import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAMES = {"ptq": "post-training", "qat": "quantisation-aware training"}
STYLES = {"ptq": {"color": "#0072B2", "marker": "o"}, "qat": {"color": "#D55E00", "marker": "s"}}
"""Blue and vermilion of Okabe and Ito's colour-blind safe palette (2008); the markers tell them apart in grey."""
INK, MUTED, RULE = "#1a1a1a", "#595959", "#d9d9d9"
INCHES, DPI = (10.0, 4.4), 128
"""1280 pixels wide."""


@plain_style({"font.size": 13, "axes.titlesize": 14, "text.color": INK, "axes.edgecolor": MUTED})
def draw(points: Sequence[Point], path: Path) -> None:
    """Write the plot as PNG. points: of one network on one data set, at least one."""
    # matplotlib takes long to import
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=INCHES, dpi=DPI)
    figure.set_layout_engine("constrained", w_pad=0.12, h_pad=0.08, wspace=0.06)
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    _panel(left, points, "accuracy", "Accuracy, %")
    _panel(right, points, "spike_disagreement", "Neuron-steps that differ from float, %")
    _float_line(left, 100 * points[0].accuracy_float)
    left.set_ylim(top=min(left.get_ylim()[1], 100.5))
    right.set_ylim(bottom=0)
    shown = left.get_legend_handles_labels()
    figure.legend(*shown, loc="outside lower center", ncols=3, frameon=False)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", facecolor="white")


def _panel(axes: Axes, points: Sequence[Point], figure_of: str, title: str) -> None:
    for method in METHODS:
        line = sorted((p.bits, 100 * getattr(p, figure_of)) for p in points if p.method == method)
        if line:
            axes.plot(*zip(*line), label=NAMES[method], linewidth=2, markersize=7, **STYLES[method])  # type: ignore[arg-type]
    axes.set_title(title, loc="left", parse_math=False)  # it holds the name of a folder
    axes.set_xlabel("weight bits")
    axes.set_xticks(sorted({p.bits for p in points}))
    axes.margins(x=0.06, y=0.08)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=INK, length=0)
    axes.grid(axis="y", color=RULE, linewidth=0.8)
    axes.set_axisbelow(True)


def _float_line(axes: Axes, percent: float) -> None:
    axes.axhline(percent, color=MUTED, linestyle="--", linewidth=1.5, label=f"float ({percent:.2f} %)")
