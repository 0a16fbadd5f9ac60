"""Reading a NIR file for evaluation: its graph, who feeds whom, in which order, and what its labels say."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from asnn_deploy.errors import BundleError, UnsupportedError
from asnn_targets.nir.primitives import COUNT, DIVIDE, EVALUATE, PRODUCT, RESHAPE

FIELDS = {PRODUCT: ("equation", "left", "right"), RESHAPE: ("shape",), DIVIDE: ("scale",), COUNT: ("threshold",)}
Label = tuple[str, int, str]
"""Layer, step and role."""


def load(path: Path, frames: int | None = None) -> Any:
    """The `nir.NIRGraph` of a file, with NIR's type check. Raises BundleError or UnsupportedError naming the file.

    frames: how many inputs it has if it takes a sequence; None for one image.
    """
    try:
        graph = read_extended(path)
    # NIR's reader raises whatever comes: bare AssertionErrors, KeyErrors, TypeErrors from constructors.
    except Exception as error:
        text = " ".join(str(error).split())[:200]
        raise BundleError(f"{path}: cannot be read as a NIR file ({type(error).__name__}: {text})") from error
    for name, node in graph.nodes.items():
        kind = kind_of(node)
        if kind not in ("Input", PRODUCT) and kind not in EVALUATE:
            raise UnsupportedError(f"{path}: node {name!r} is a {kind}, which this target cannot evaluate")
        if isinstance(getattr(node, "padding", None), (str, bytes)):
            raise UnsupportedError(f"{path}: node {name!r} names its padding, {node.padding!r}; give numbers instead")
    if len(graph.inputs) != (frames or 1) or len(graph.outputs) != 1:
        takes = "one of each" if frames is None else f"one for each of the sequence's {frames} frames, and one output"
        raise UnsupportedError(
            f"{path}: {len(graph.inputs)} inputs and {len(graph.outputs)} outputs; this target takes {takes}"
        )
    return graph


def read_extended(path: Path) -> Any:
    """The `nir.NIRGraph` of a file: NIR's own reading, but for graphs with nodes of the extended dialect.

    Those are left as their fields, and no types are checked, because NIR's check has no node of two inputs.
    """
    import h5py
    import nir
    from nir.serialization import hdf2dict

    with h5py.File(path, "r") as file:
        kinds = {node["type"][()] for node in file["node"].get("nodes", {}).values()}
        if not {kind.encode() for kind in FIELDS} & kinds:
            return nir.read(path)
        stored = hdf2dict(file["node"])
    nodes = {
        name: SimpleNamespace(**values) if values["type"] in FIELDS else nir.dict2NIRNode(values)
        for name, values in stored["nodes"].items()
    }
    edges = [(a.decode(), b.decode()) for a, b in stored["edges"]]
    for name, node in nodes.items():
        node.metadata = getattr(node, "metadata", {})
        missing = [field for field in FIELDS.get(kind_of(node), ()) if not hasattr(node, field)]
        if missing:
            raise ValueError(f"node {name!r} ({kind_of(node)}) lacks {missing[0]!r}")
        if kind_of(node) == PRODUCT and {node.left, node.right} != {a for a, b in edges if b == name}:
            raise ValueError(f"node {name!r} multiplies {node.left!r} by {node.right!r}, its edges come from elsewhere")
    return nir.NIRGraph(nodes, edges, metadata=stored.get("metadata", {}), type_check=False)


def kind_of(node: Any) -> str:
    """The type under which the file has a node."""
    return node.type if isinstance(node, SimpleNamespace) else type(node).__name__


def sources_of(graph: Any) -> dict[str, list[str]]:
    """The nodes that feed each node, in the order of their names."""
    sources: dict[str, list[str]] = {name: [] for name in graph.nodes}
    for source, target in sorted(graph.edges):
        sources[target].append(source)
    return sources


def topological_order(sources: dict[str, list[str]], path: Path) -> list[str]:
    """Every node after its sources, depth first so that few values are alive. Raises UnsupportedError for a loop."""
    missing = {name: len(feeding) for name, feeding in sources.items()}
    targets: dict[str, list[str]] = {name: [] for name in sources}
    for name, feeding in sources.items():
        for source in feeding:
            targets[source].append(name)
    ready = [name for name, count in missing.items() if not count]
    order = []
    while ready:
        name = ready.pop()
        order.append(name)
        for target in targets[name]:
            missing[target] -= 1
            if not missing[target]:
                ready.append(target)
    if len(order) < len(sources):
        looped = min(set(sources) - set(order))
        raise UnsupportedError(f"{path}: node {looped!r} is part of, or behind, a loop; this target has no state")
    return order


def label_of(node: Any) -> Label:
    """A node's layer, step and role; empty where its metadata do not say."""
    found = node.metadata if isinstance(node.metadata, dict) else {}
    layer, step, role = (found.get(key) for key in ("layer", "step", "role"))
    if isinstance(layer, str) and isinstance(step, (int, np.integer)) and isinstance(role, str):
        return layer, int(step), role
    return "", 0, ""
