"""How a network shows itself: one line at a prompt, a drawing of its layers in a notebook.

Networks are Any here, because DeployGraph shows itself by this.
"""

from __future__ import annotations

from html import escape
from typing import Any

from asnn_deploy.ir.drawing import drawing, lines_of
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
    """Return a drawing of the layers and their connections, with each one's kind, the shape of what it sends, and how
    many parameters it has."""
    said = in_words(graph)[1:-1]
    rows = [
        ("input", described(graph.code.name), _shape(graph.input_shape), ""),
        *(_row(graph, x) for x in graph.layers),
    ]
    return f"<p>{escape(said)}</p>{drawing(said, rows, lines_of(graph))}"


def _row(graph: Any, layer: Layer) -> tuple[str, ...]:
    count = sum(table.values.size for table in layer.tables().values())
    kind = getattr(layer, "model", layer.kind)
    return layer.name, kind, _shape(graph.shapes[layer.name]), f"{count:,} parameters" if count else ""


def _shape(shape: Shape) -> str:
    return "x".join(map(str, shape))
