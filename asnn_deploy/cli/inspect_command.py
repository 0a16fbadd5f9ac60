"""`asnn-deploy inspect`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from asnn_deploy.cli.common import json_option, source_argument
from asnn_deploy.cli.reading import opened_source, reading_options, settle_without_data

if TYPE_CHECKING:
    from asnn_deploy.deploy.reading import Reading
    from asnn_deploy.ir.graph import DeployGraph
    from asnn_deploy.ir.layers import Layer
    from asnn_deploy.ir.step_table import StepTable


@click.command(epilog="Example: asnn-deploy inspect run.lava")
@source_argument
@reading_options
@json_option
def command(source: Path, json_file: Path | None, reading: Reading) -> None:
    """Show a network's layers, and their parameters at each step.

    Also the grid on which each layer's sums are exact.
    """
    from asnn_deploy.cli.common import number, write_json
    from asnn_deploy.cli.tables import table
    from asnn_deploy.ir.inputs import described

    opened = opened_source(source, reading)
    with opened.deployment:
        if reading.snapped:
            settle_without_data(opened)
        result = inspection(opened.graph)
    write_json(json_file, result)
    steps = "any number of time steps" if (t := result["time_steps"]) is None else number(t, "time step")
    table(
        f"{described(result['coding']['name'])}, {steps}, "
        f"{result['parameters']:,} parameters, input {shape_text(opened.graph.input_shape)}",
        ["layer", "kind", "in", "out", "parameters", "grid", "bits", "step tables"],
        [
            (
                layer["name"],
                layer["kind"],
                shape_text(layer["shape_in"]),
                shape_text(layer["shape_out"]),
                f"{layer['parameters']:,}" if layer["parameters"] else "",
                " ".join("-" if g["grid"] is None else f"2^{g['grid']}" for g in layer["order_free"]),
                " ".join(str(g["bits"]) if g["exact"] else f"inexact: {g['reason']}" for g in layer["order_free"]),
                tables_text(layer["step_tables"]),
            )
            for layer in result["layers"]
        ],
    )


def inspection(graph: DeployGraph) -> dict[str, Any]:
    """What `inspect --json` writes."""
    from asnn_deploy.analysis.order_free import analyse

    time_steps = graph.code.time_steps
    graph = graph.over(1)  # whatever their number, steps are alike
    exactness = analyse(graph)
    return {
        "time_steps": time_steps,
        "parameters": graph.parameter_count,
        "dt": graph.dt,
        "meaning": None if graph.meaning is None else graph.meaning.to_json(),
        "coding": {
            "name": graph.code.name,
            "preparation": graph.code.preparation,
            "analog_steps": [int(t) for t in graph.code.analog.nonzero()[0]],
        },
        "layers": [
            layer_figures(graph, layer)
            | {
                "order_free": [
                    {"grid": e.grid, "bits": e.bits, "exact": e.exact, "reason": e.reason}
                    for e in exactness.get(layer.name, [])
                ]
            }
            for layer in graph.layers
        ],
    }


def layer_figures(graph: DeployGraph, layer: Layer) -> dict[str, Any]:
    """One layer: shapes, parameters, step tables; of neurons, what they are."""
    from asnn_deploy.ir.layers import Neuron

    source = graph.inputs_of[layer.name][0].source
    return {
        "name": layer.name,
        "kind": layer.kind,
        "shape_in": list(graph.shapes[source]),
        "shape_out": list(graph.shapes[layer.name]),
        **({"model": layer.model, "reset": layer.reset} if isinstance(layer, Neuron) else {}),
        "parameters": sum(t.values.size for t in layer.tables().values()),
        "step_tables": {key: table_figures(t) for key, t in layer.tables().items()},
    }


def table_figures(table: StepTable) -> Any:
    """A table of scalars as its T values; any other as shape, number of distinct values, and which holds when."""
    if table.shape == ():
        return [float(v) for v in table.expanded()]
    return {"shape": list(table.shape), "distinct": len(table.values), "index": [int(k) for k in table.index]}


def shape_text(shape: Any) -> str:
    """3x32x32."""
    return "x".join(map(str, shape))


def tables_text(tables: dict[str, Any]) -> str:
    """Scalars as values, weights as the number of distinct ones where there is more than one."""
    parts = []
    for key, value in tables.items():
        if isinstance(value, list):
            same = len(set(value)) == 1
            parts.append(f"{key} {value[0]:.3g}" if same else f"{key} " + " ".join(f"{v:.3g}" for v in value))
        elif value["distinct"] > 1:
            parts.append(f"{key} {value['distinct']} over steps {''.join(map(str, value['index']))}")
    return "; ".join(parts)
