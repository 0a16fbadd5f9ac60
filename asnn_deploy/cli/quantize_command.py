"""`asnn-deploy quantize`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from asnn_deploy.cli.common import data_option, json_option, say, source_argument
from asnn_deploy.cli.reading import opened_source, reading_options

if TYPE_CHECKING:
    from asnn_deploy.deploy.reading import Reading

NETWORKS = {"accuracy_float": "float", "accuracy": "integers"}


@click.command(epilog="Example: asnn-deploy quantize run --bits 4 --limit 500 --json quantization.json")
@source_argument
@reading_options
@click.option("--bits", type=int, help="Weight bits, 2 to 8; default: the choices that SOURCE carries.")
@data_option
@click.option("--limit", type=click.IntRange(min=1), default=1000, show_default=True, help="Test samples to compare.")
@json_option
def command(
    source: Path, bits: int | None, data_spec: str | None, limit: int, json_file: Path | None, reading: Reading
) -> None:
    """Report what quantisation does to a network.

    Scales, saturated weights, registers, and the spikes that differ. Nothing is written but the figures;
    `export --bits N` writes the network with other weight bits.
    """
    from asnn_deploy.api.integers import quantize
    from asnn_deploy.cli.common import data_for, naming, write_json
    from asnn_deploy.quantizing import check_bits

    if bits is not None:
        with naming("--bits"):
            check_bits(bits)
    opened = opened_source(source, reading)
    with opened.deployment:
        report = quantize(opened, partial(data_for, opened, data_spec), bits=bits, limit=limit).report
    write_json(json_file, report)
    print_report(report)


def print_report(report: dict[str, Any]) -> None:
    """A row a layer, and the accuracies below."""
    from asnn_deploy.cli.common import number, percent
    from asnn_deploy.cli.tables import table

    registers = report["registers"]
    table(
        f"{report['bits']}-bit weights, {number(report['samples'], 'sample')}, "
        f"{number(report['time_steps'], 'time step')}",
        [
            *("layer", "kind", "scale", "saturated", f"accumulator of {registers['accumulator_bits']} bits"),
            *(f"membrane of {registers['membrane_bits']} bits", "spikes that differ, step by step"),
        ],
        [
            (
                layer["name"],
                layer["kind"],
                scale_text(layer.get("scales", [])),
                f"{layer['saturated']:,} of {layer['weights']:,}" if "weights" in layer else "",
                layer.get("accumulator_bits", layer.get("product_bits", "")),
                layer.get("membrane_bits", ""),
                " ".join(f"{100 * share:.2f}" for share in layer.get("spike_disagreement", []))
                + (" %" if "spike_disagreement" in layer else ""),
            )
            for layer in report["layers"]
        ],
    )
    told = [f"{accuracy_text(report[key], report['samples'])} in {what}" for key, what in NETWORKS.items()]
    say(f"accuracy {', '.join(told)}; {percent(report['spike_disagreement'])} of the spikes differ")


def accuracy_text(accuracy: float | None, samples: int) -> str:
    """An accuracy with its 95 % interval; a dash if there are no labels."""
    from asnn_deploy.cli.common import percent
    from asnn_deploy.reporting.numbers import interval_text

    return percent(accuracy) + ("" if accuracy is None else f" (95 % interval {interval_text(accuracy, samples)})")


def scale_text(scales: list[list[float]]) -> str:
    """Each weight's unit, or the range of its channels' units."""
    return ", ".join(f"{u[0]:.3g}" if len(u) == 1 else f"{min(u):.3g}..{max(u):.3g}" for u in scales)
