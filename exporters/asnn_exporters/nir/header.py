"""The header: what the nodes of a file cannot say about the graph that they were unrolled from.

It is one JSON text in the file's metadata and holds names, the order of layers and edges, the layers' kinds, static
attributes and granularities, the time step and the coding's levels. No parameter's value is in it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from asnn_deploy.errors import BundleError
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.images import PIXEL_LEVELS, InputCode
from asnn_deploy.ir.inputs import Input
from asnn_deploy.ir.serialize import sequence_fields, sequence_from, static_fields
from asnn_deploy.util.arrays import Array
from asnn_deploy.util.version import __version__
from asnn_exporters.nir.nodes import Node

FORMAT = 3
HEADER = "asnn_deploy"
DIGEST = "asnn_deploy_digest"
UNUSED = "asnn_deploy_unused"
TABLES = "asnn_deploy_tables"


def metadata(graph: DeployGraph, dialect: str, **more: Any) -> dict[str, Any]:
    """The metadata of a NIR file: the header, and more. about: what a stranger should know."""
    header = {"written_by": f"asnn-deploy {__version__}", "format": FORMAT, "dialect": dialect, **describe(graph)}
    text = json.dumps(header)
    return {HEADER: text, DIGEST: digest(text), **more}


def digest(text: str) -> str:
    """16 hexadecimal digits that change with the header."""
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def kept_aside(unused: Mapping[str, Node]) -> dict[str, dict[str, Array]]:
    """The tables that have no node, by the name that it would have."""
    return {
        name: {key: value for key, value in node.parameters.items() if value.dtype.kind == "f"}
        for name, node in unused.items()
    }


def describe(graph: DeployGraph) -> dict[str, Any]:
    """The header's part that depends on the graph, as JSON values."""
    code = graph.code
    if isinstance(code, InputCode):
        steps: Any = ["analog" if code.analog[t] else code.jumps(t) for t in range(graph.time_steps)]
    else:
        steps = sequence_fields(code)
    layers = [
        {
            "kind": layer.kind,
            **static_fields(layer),
            "tables": {key: list(table.shape) for key, table in layer.tables().items()},
        }
        for layer in graph.layers
    ]
    description = {
        "coding": {"name": code.name, "steps": steps}
        # Not where there is none, so that older files stay as this version writes them.
        | ({} if code.preparation == "raw" else {"preparation": code.preparation}),
        "dt": graph.dt,
        "layers": layers,
        "edges": [[edge.source, edge.target, edge.delay] for edge in graph.edges],
        "quantization": graph.quantization.to_json(),
        **({} if graph.meaning is None else {"meaning": graph.meaning.to_json()}),
    }
    plain: dict[str, Any] = json.loads(json.dumps(description, default=lambda number: number.item()))
    return plain


def parse(found: Mapping[str, Any], dialects: Collection[str]) -> dict[str, Any]:
    """The header of a file's metadata. Raises BundleError for a foreign file, another format or another dialect."""
    text = found.get(HEADER)
    if not isinstance(text, str):
        raise BundleError("was not written by asnn-deploy; NIR graphs by others cannot be deployed yet")
    if found.get(DIGEST) != digest(text):
        raise BundleError("its header was changed after the file was written; export it again")
    try:
        header = json.loads(text)
    except (ValueError, RecursionError):
        raise BundleError("its header is damaged (no JSON text); export it again") from None
    if not isinstance(header, dict):
        raise BundleError("its header is damaged (no JSON object); export it again")
    if header.get("format") != FORMAT:
        raise BundleError(f"has format {header.get('format')!r}, this version reads format {FORMAT}; export it again")
    if header.get("dialect") not in dialects:
        raise BundleError(
            f"is in the {header.get('dialect')!r} dialect, only {' and '.join(dialects)} can be read back; export that"
        )
    return header


def time_steps_of(coding: Mapping[str, Any]) -> int:
    """How many time steps a description of what enters has."""
    steps = coding["steps"]
    return int(steps["steps"]) if isinstance(steps, dict) else len(steps)


def input_code(coding: Mapping[str, Any]) -> Input:
    """What enters: the coding from its levels, or the sequence. Raises what its parts raise if it is neither."""
    if isinstance(coding["steps"], dict):
        sequence = sequence_from(coding["steps"])
        assert sequence is not None
        return sequence
    analog = [step == "analog" for step in coding["steps"]]
    table = np.zeros((len(analog), PIXEL_LEVELS), np.int64)
    for row, is_analog, jumps in zip(table, analog, coding["steps"]):
        row += np.arange(PIXEL_LEVELS) if is_analog else _row(jumps)
    return InputCode(coding["name"], table, np.array(analog), coding.get("preparation", "raw"))


def _row(jumps: list[list[int]]) -> Array:
    row = np.zeros(PIXEL_LEVELS, np.int64)
    for level, weight in jumps:
        row[level:] += weight
    return row
