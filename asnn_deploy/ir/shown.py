"""How a network shows itself: one line at a prompt, its layers and what they read in a notebook.

Networks are Any here, because DeployGraph shows itself by this.
"""

from __future__ import annotations

from html import escape
from typing import Any

from asnn_deploy.ir.inputs import described
from asnn_deploy.ir.layers import Layer, Shape


def in_words(graph: Any) -> str:
    """Return what a network is, on one line."""
    steps = "any number of time steps" if graph.any_length else f"{graph.time_steps} time steps"
    arithmetic = "integers" if graph.arithmetic == "fixed" else graph.arithmetic
    return (
        f"<DeployGraph: {described(graph.code.name)}, {steps}, input {_shape(graph.input_shape)}, "
        f"{len(graph.layers)} layers, {graph.classes} classes, {graph.parameter_count:,} parameters, {arithmetic}>"
    )


def as_html(graph: Any) -> str:
    """Return a table of the layers: kind, what each reads, the shape of what leaves it, and its numbers."""
    rows = "".join(_row(graph, layer) for layer in graph.layers)
    head = "".join(f"<th>{name}</th>" for name in ("layer", "kind", "reads", "sends", "parameters"))
    return f"<p>{escape(in_words(graph)[1:-1])}</p><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _row(graph: Any, layer: Layer) -> str:
    count = sum(table.values.size for table in layer.tables().values())
    reads = ", ".join(map(_read, graph.inputs_of[layer.name]))
    kind = getattr(layer, "model", layer.kind)
    cells = (layer.name, kind, reads, _shape(graph.shapes[layer.name]), f"{count:,}" if count else "")
    return "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"


def _read(edge: Any) -> str:
    later = f" ({edge.delay} step{'' if edge.delay == 1 else 's'} later)" if edge.delay else ""
    return f"{edge.source}{later}"


def _shape(shape: Shape) -> str:
    return "x".join(map(str, shape))
