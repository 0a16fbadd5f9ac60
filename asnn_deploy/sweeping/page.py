"""What a sweep leaves in its folder: `sweep.json`, `sweep.md` and `sweep.png`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from asnn_deploy.reporting.markdown import escaped
from asnn_deploy.sweeping.chart import draw
from asnn_deploy.sweeping.points import FILE, Point, ordered, to_json
from asnn_deploy.util.files import write_text

PAGE, PLOT = "sweep.md", "sweep.png"
COLUMNS = ("method", "bits", "accuracy", "against float", "spikes that differ", "weights", "operations per sample")


def publish(folder: Path, points: Sequence[Point], title: str) -> None:
    """Write the three files, each whole or not at all. Raises InputError where that fails."""
    write_text(folder / FILE, to_json(points))
    if points:
        write_text(folder / PAGE, markdown(points, title))
        draw(points, folder / PLOT)


def rows(points: Sequence[Point]) -> list[tuple[str, ...]]:
    """The table's cells, as text, under `COLUMNS`."""
    return [
        (
            point.method,
            str(point.bits),
            f"{100 * point.accuracy:.2f} %",
            against_float(point),
            f"{100 * point.spike_disagreement:.3g} %",
            f"{point.synapse_bytes:,} B",
            f"{point.sops:,.0f}",
        )
        for point in ordered(points)
    ]


def against_float(point: Point) -> str:
    """Return the difference of the accuracies in points, with its 95 % interval; the interval alone if 0 is in it."""
    difference = point.difference
    if difference.low95 is None or difference.high95 is None:
        return "no interval"
    shown = f"{100 * difference.mean:+.2f}" if difference.excludes_zero else "none"
    return f"{shown} ({100 * difference.low95:+.2f} to {100 * difference.high95:+.2f})"


def markdown(points: Sequence[Point], title: str) -> str:
    """The table as a page, with what its columns mean. points: at least one, all on the same samples."""
    first, *_ = listed = ordered(points)
    table = [COLUMNS, ("---", *["---:"] * (len(COLUMNS) - 1)), *rows(points)]
    scales = " or ".join(f"{count:,}" for count in sorted({p.weight_scales for p in listed}))
    epochs = " or ".join(str(count) for count in sorted({p.epochs for p in listed if p.epochs is not None}))
    lines = [
        f"# {escaped(title)}: accuracy against weight bits",
        "",
        f"{first.samples:,} test samples; accuracy of the float network: {100 * first.accuracy_float:.2f} %.",
        "",
        *("| " + " | ".join(map(escaped, cells)) + " |" for cells in table),
        "",
        f"![Accuracy and spike disagreement against weight bits]({PLOT})",
        "",
        "- **method**: `ptq`, quantised after training; `qat`, trained on with quantised weights"
        + (f" (epochs: {epochs})." if epochs else "."),
        "- **against float**: difference of the accuracies, in points, and in brackets its 95 % interval, paired "
        "sample by sample (adjusted Wald; Bonett and Price 2012); none: 0 lies in that interval; no interval: of a "
        "single sample, or not recorded.",
        "- **spikes that differ**: share of all neuron-steps (neurons x time steps x samples) that fire in one network "
        "and not in the other.",
        f"- **weights**: all synaptic weights, packed. Their scales ({scales} numbers) are part of the neurons' gains "
        "and not counted here, nor are leaks, thresholds and biases.",
        "- **operations per sample**: accumulates and multiply-accumulates of the integer network, at inputs and "
        "weights that are not zero.",
    ]
    return "\n".join(lines) + "\n"
