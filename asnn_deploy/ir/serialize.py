"""A DeployGraph as one `.npz` file: arrays, and a JSON header that says what they are. Never pickled.

The header holds every field that is not an array; a step table stands there as its name, with its values and index
stored as arrays `<layer>/<table>/values` and `.../index`.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import numpy as np

from asnn_deploy.errors import BundleError, GraphError
from asnn_deploy.ir.graph import DeployGraph, Edge, check_neurons
from asnn_deploy.ir.images import InputCode
from asnn_deploy.ir.inputs import Input, SequenceInput
from asnn_deploy.ir.layers import LAYERS, Layer, Neuron
from asnn_deploy.ir.meaning import Meaning
from asnn_deploy.ir.quantization import Quantization
from asnn_deploy.ir.step_table import StepTable
from asnn_deploy.util.arrays import Array
from asnn_deploy.util.files import DAMAGE, describe, replacing

FORMAT = 3


def save_graph(path: Path, graph: DeployGraph) -> None:
    """Write the graph; whole or not at all."""
    arrays: dict[str, Array] = {}
    if isinstance(graph.code, InputCode):
        arrays = {"code/table": graph.code.table, "code/analog": graph.code.analog}
    for layer in graph.layers:
        for key, table in layer.tables().items():
            arrays[f"{layer.name}/{key}/values"] = table.values
            arrays[f"{layer.name}/{key}/index"] = table.index
    arrays["header"] = np.frombuffer(json.dumps(_header(graph)).encode(), dtype=np.uint8)
    with replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def fingerprint(graph: DeployGraph) -> str:
    """Return the SHA-256 of a network, in hexadecimal: the same for equal graphs, however their tables are stored."""
    digest = hashlib.sha256(json.dumps(_header(graph), sort_keys=True).encode())
    if isinstance(graph.code, InputCode):
        for array in (graph.code.table, graph.code.analog):
            digest.update(_bytes(array))
    for layer in graph.layers:
        for _, table in sorted(layer.tables().items()):
            values = [hashlib.sha256(_bytes(value)).digest() for value in table.values]
            digest.update(b"".join(values[k] for k in table.index))
    return digest.hexdigest()


def _bytes(array: Array) -> bytes:
    """An array's type, shape and values; zero has one sign."""
    values = np.ascontiguousarray(array + array.dtype.type(0))
    return f"{values.dtype}{values.shape}".encode() + values.tobytes()


def _header(graph: DeployGraph) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "input_shape": graph.input_shape,
        "code": graph.code.name,
        "sequence": sequence_fields(graph.code),
        "preparation": graph.code.preparation,
        "arithmetic": graph.arithmetic,
        "dt": graph.dt,
        "quantization": graph.quantization.to_json(),
        "meaning": None if graph.meaning is None else graph.meaning.to_json(),
        "layers": [
            {"kind": layer.kind, **static_fields(layer), "tables": sorted(layer.tables())} for layer in graph.layers
        ],
        "edges": [[edge.source, edge.target, edge.delay] for edge in graph.edges],
    }


def load_graph(path: Path) -> DeployGraph:
    """Read what `save_graph` wrote. Raises BundleError naming the file."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
        header = json.loads(arrays["header"].tobytes())
        if header["format"] != FORMAT:
            raise BundleError(
                f"{path}: graph format {header['format']}, this version reads format {FORMAT}; export again"
            )
        graph = DeployGraph(
            tuple(header["input_shape"]),
            sequence_from(header["sequence"])
            or InputCode(header["code"], arrays["code/table"], arrays["code/analog"], header["preparation"]),
            tuple(_layer(entry, arrays) for entry in header["layers"]),
            tuple(Edge(*edge) for edge in header["edges"]),
            header["arithmetic"],
            header["dt"],
            Quantization.from_json(header["quantization"]),
            Meaning.from_json(header.get("meaning")),
        )
        check_neurons(graph)
    except (*DAMAGE, GraphError) as error:
        raise BundleError(f"{path}: not a readable graph file ({describe(error)}); export again") from error
    return graph


def sequence_fields(code: Input) -> dict[str, Any] | None:
    """Return what a sequence is, as JSON values; None for an image."""
    if not isinstance(code, SequenceInput):
        return None
    unit = {} if code.unit is None else {"unit": code.unit}
    stated = {} if code.stated else {"stated": False}
    return {"steps": code.steps, "values": code.values, "most": code.most, **unit, **stated}


def sequence_from(values: dict[str, Any] | None) -> SequenceInput | None:
    """Return the inverse of `sequence_fields`."""
    return None if values is None else SequenceInput(**values)


def static_fields(layer: Layer) -> dict[str, Any]:
    """A layer's fields that are no step tables, as JSON values; defaults left out."""
    result = {}
    for field in fields(layer):
        value = getattr(layer, field.name)
        if field.name == "parameters" or isinstance(value, StepTable) or value is None:
            continue
        if field.default is MISSING or value != field.default:
            result[field.name] = list(value) if isinstance(value, tuple) else value
    return result


def layer_from(kind: str, static: dict[str, Any], tables: dict[str, StepTable]) -> Layer:
    """The inverse of `static_fields`, with the step tables by name. Raises GraphError for an unknown kind."""
    if kind not in LAYERS:
        raise GraphError(f"layer {static.get('name')!r}: unknown kind {kind!r} (allowed: {', '.join(sorted(LAYERS))})")
    values: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in static.items()}
    if LAYERS[kind] is Neuron:
        return Neuron(parameters=tables, **values)
    return LAYERS[kind](**{**values, **tables})


def _layer(entry: dict[str, Any], arrays: dict[str, Array]) -> Layer:
    static = {key: value for key, value in entry.items() if key not in ("kind", "tables")}
    tables = {
        key: StepTable(arrays[f"{entry['name']}/{key}/values"], arrays[f"{entry['name']}/{key}/index"])
        for key in entry["tables"]
    }
    return layer_from(entry["kind"], static, tables)
