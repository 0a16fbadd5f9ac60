"""NIR files of any tool and version as plain values, with h5py alone; every damage is one clear error."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from asnn_deploy.conventions import tools
from asnn_deploy.errors import AsnnDeployError, BundleError
from asnn_deploy.ir.meaning import Meaning
from asnn_deploy.util.suggest import unknown_name
from asnn_exporters.nir.others.fields import GRAPH, KINDS, damaged
from asnn_exporters.nir.others.network import Node, listed, named
from asnn_exporters.nir.storage import check_size, check_texts, obvious_problem, short

MEANING = "asnn_deploy_meaning"
"""The key of a file's metadata that holds the rules by which it is to be read, as JSON."""
DEEPEST = 32
"""How deep graphs and metadata may be nested."""
LARGEST_REMARK = 1 << 20
"""Bytes of metadata that are read; what is larger is left out."""
BAD_NAME = "a name in it is not valid UTF-8; rename it and export the file again"
DAMAGES = (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError, MemoryError)
"""What h5py raises on damaged files."""


@dataclass(frozen=True, eq=False)
class Nested:
    """A graph as the file has it: nodes, their fields unchecked, and graphs by name; edges in the file's order.

    name: "" for the outermost.
    """

    name: str
    members: Mapping[str, Node | Nested]
    edges: tuple[tuple[str, str], ...]
    metadata: Mapping[str, Any]


def read_file(path: Path) -> Nested:
    """Return what a file holds. Raises BundleError without the file's name."""
    import h5py

    problem = obvious_problem(path)
    if problem:
        raise BundleError(problem)
    try:
        check_texts(path)
        check_size(path)
        with h5py.File(path, "r") as file:
            return _outermost(file)
    except AsnnDeployError:
        raise
    except UnicodeError as error:
        raise BundleError(BAD_NAME) from error
    except DAMAGES as error:
        raise BundleError(f"cannot be read as a NIR file ({short(error)}); export it again") from error


def _outermost(file: Any) -> Nested:
    import h5py

    node = file.get("node")
    if not isinstance(node, h5py.Group):
        holds = listed(sorted(map(str, file))) or "nothing"
        raise BundleError(f"not a NIR file: it has no group 'node' (it holds {holds}); export it with nir.write")
    if "nodes" not in node and "type" in node:
        kind = _text(node["type"], "the type of the file's only node")
        if kind != GRAPH:
            raise BundleError(f"holds a single node of type {named(kind)}, expected a {GRAPH}")
    graph = _graph(node, "", DEEPEST)
    remarks = _metadata(file.get("metadata"), DEEPEST) | dict(graph.metadata)
    if MEANING in remarks:
        remarks[MEANING] = _meaning(remarks[MEANING])
    return Nested("", graph.members, graph.edges, remarks)


def _graph(group: Any, name: str, depth: int) -> Nested:
    import h5py

    where = f"graph {named(name)}" if name else "the graph"
    if depth == 0:
        raise BundleError(f"{where}: graphs are nested more than {DEEPEST} deep")
    nodes = group.get("nodes")
    if not isinstance(nodes, h5py.Group):
        raise BundleError(f"{where}: it has no group 'nodes'; its exporter stopped while writing, export it again")
    members = {}
    for key, item in nodes.items():
        inner = _inner_name(name, key)
        if not isinstance(item, h5py.Group):
            raise BundleError(f"node {named(inner)}: is an array, expected a group with type and fields")
        members[key] = _member(item, inner, depth)
    if "edges" not in group:
        raise BundleError(f"{where}: it has no 'edges'; its exporter stopped while writing, export it again")
    return Nested(name, members, _edges(group["edges"], where), _metadata(group.get("metadata"), depth))


def _inner_name(outer: str, key: Any) -> str:
    if not isinstance(key, str):
        raise BundleError(BAD_NAME)
    return f"{outer}.{key}" if outer else key


def _member(group: Any, name: str, depth: int) -> Node | Nested:
    stopped = "its exporter stopped while writing; mend what stopped it and export the file again"
    if len(group) == 0:
        raise BundleError(f"node {named(name)}: is an empty group; {stopped}")
    if "type" not in group:
        has = listed(sorted(map(str, group)))
        raise BundleError(f"node {named(name)}: has no type (it holds {has}); {stopped}")
    kind = _text(group["type"], f"node {named(name)}: the type")
    if kind == GRAPH:
        return _graph(group, name, depth - 1)
    if kind not in KINDS:
        raise BundleError(f"node {named(name)}: {unknown_name('type', kind[:80], [*KINDS, GRAPH])}")
    required, optional = KINDS[kind]
    node = Node(name, kind, {})
    fields = {key: _value(group, key, str(node)) for key in (*required, *optional) if key in group}
    missing = next((key for key in required if fields.get(key) is None), None)
    if missing is not None:
        has = listed(sorted(str(key) for key in group if key != "type")) or "none"
        raise damaged(node, missing, f"is missing (its fields: {has}); export the file again")
    return Node(name, kind, fields)


def _value(group: Any, key: str, where: str) -> Any:
    """A field's numbers or text; None if it says nothing."""
    import h5py

    item = group[key]
    if isinstance(item, h5py.Group) and key == "input_type" and "input" in item:
        item = item["input"]
    if not isinstance(item, h5py.Dataset):
        raise BundleError(f"{where}: field {key!r} is a group, expected numbers")
    if item.shape is None:
        return None
    if h5py.check_string_dtype(item.dtype) is not None:
        return _text(item, f"{where}: field {key!r}")
    if item.dtype.kind not in "biuf":
        raise BundleError(f"{where}: field {key!r} has values of type {item.dtype}, expected numbers")
    return np.asarray(item[()])


def _text(item: Any, what: str) -> str:
    """The text of a dataset of one."""
    import h5py

    found = _texts(item, what) if isinstance(item, h5py.Dataset) else []
    if len(found) != 1:
        raise BundleError(f"{what} is not a text; export the file again")
    return found[0]


def _texts(item: Any, what: str) -> list[str]:
    """The texts of a dataset, in order; whole numbers, as names may be, in digits."""
    import h5py

    if item.shape is None or (h5py.check_string_dtype(item.dtype) is None and item.dtype.kind not in "iu"):
        raise BundleError(f"{what}: has values of type {item.dtype}, expected texts")
    try:
        values = np.asarray(item[()], dtype=object).reshape(-1)
        return [value.decode("utf8") if isinstance(value, bytes) else str(value) for value in values]
    except UnicodeDecodeError:
        raise BundleError(f"{what}: is not valid UTF-8; export the file again") from None


def _edges(item: Any, where: str) -> tuple[tuple[str, str], ...]:
    import h5py

    if not isinstance(item, h5py.Dataset):
        raise BundleError(f"{where}: its edges are a group, expected pairs of names")
    if not item.size:  # as an empty list is written
        return ()
    if item.ndim != 2 or item.shape[1] != 2:
        raise BundleError(f"{where}: its edges have shape {item.shape}, expected (number of edges, 2)")
    names = _texts(item, f"{where}: edges")
    return tuple(zip(names[::2], names[1::2]))


def _metadata(item: Any, depth: int) -> dict[str, Any]:
    """Texts and numbers of whatever was noted; the rest is left out."""
    import h5py

    found: dict[str, Any] = {}
    for key, value in item.items() if isinstance(item, h5py.Group) and depth else ():
        if not isinstance(key, str):
            continue
        if isinstance(value, h5py.Group):
            found[key] = _metadata(value, depth - 1)
        elif isinstance(value, h5py.Dataset) and value.shape is not None and value.nbytes <= LARGEST_REMARK:
            if h5py.check_string_dtype(value.dtype) is not None:
                texts = [_lenient(text) for text in np.asarray(value[()], dtype=object).reshape(-1)]
                found[key] = texts if value.shape else texts[0]
            elif value.dtype.kind in "biuf":
                found[key] = value[()].tolist()
    return found


def _lenient(text: Any) -> str:
    return text.decode("utf8", "replace") if isinstance(text, bytes) else str(text)


def _meaning(text: Any) -> Meaning:
    """The rules that a file states."""
    try:
        values = json.loads(text)
        if "dt" not in values:
            raise KeyError("dt")
        found = Meaning(**{**values, "assumed": tuple(map(str, values.get("assumed", ())))})
        if found.tool is not None and found.tool not in tools():
            raise ValueError(unknown_name("tool", str(found.tool), tools()))
    except (ValueError, TypeError, KeyError, ArithmeticError, RecursionError, AsnnDeployError) as error:
        raise BundleError(
            f"metadata {MEANING!r} states no rules by which to read the file ({short(error)}); write it again"
        ) from error
    return found
