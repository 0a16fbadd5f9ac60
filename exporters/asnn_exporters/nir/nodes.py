"""The unrolled network as plain data: one `Node` per NIR node, and the way to NIR's own classes and back.

A node's name says which layer, time step and role it has ("lif1.t03.leak"); its metadata say the same in words, with
a digest of its parameters and inputs. The names let it be found, the digest tells whether it was changed later.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from asnn_deploy.errors import BundleError
from asnn_deploy.ir.graph import INPUT
from asnn_deploy.util.arrays import Array
from asnn_exporters.nir import extension
from asnn_exporters.nir.extension import Extension

FIELDS: dict[str, tuple[str, ...]] = {
    "Input": ("shape",),
    "Output": ("shape",),
    "Scale": ("scale",),
    "Threshold": ("threshold",),
    "Linear": ("weight",),
    "Affine": ("weight", "bias"),
    "Conv1d": ("input_shape", "weight", "stride", "padding", "dilation", "groups", "bias"),
    "Conv2d": ("input_shape", "weight", "stride", "padding", "dilation", "groups", "bias"),
    "SumPool2d": ("kernel_size", "stride", "padding"),
    "AvgPool2d": ("kernel_size", "stride", "padding"),
    "Flatten": ("input_type", "start_dim", "end_dim"),
    "LIF": ("tau", "r", "v_leak", "v_threshold", "v_reset"),
    **extension.FIELDS,
}
"""The NIR primitives that are used, and their parameters; names as in NIR 1.0. Behind them the extended dialect's."""
TEXTS = ("equation", "left", "right")
"""Parameters that are texts."""

NO_STEP = -1
"""The step of a node that all steps share."""


@dataclass(frozen=True)
class Node:
    """One NIR node.

    kind: the NIR primitive.
    parameters: as in `FIELDS`; float32 or int64 arrays, and texts as arrays of bytes.
    sources: the nodes whose outputs add up to its input.
    layer, step, role: what it does in the network; `NO_STEP` where all steps share it.
    """

    kind: str
    parameters: Mapping[str, Array]
    sources: tuple[str, ...]
    layer: str
    step: int
    role: str

    def digest(self) -> str:
        """16 hexadecimal digits that change with the primitive, a parameter or an input."""
        digest = hashlib.blake2b(f"{self.kind} {sorted(self.sources)}".encode(), digest_size=8)
        for key in FIELDS[self.kind]:
            value = self.parameters[key]
            digest.update(f" {key} {value.dtype.str} {value.shape} ".encode())
            digest.update(value.tobytes())
        return digest.hexdigest()

    def difference(self, other: Node) -> str | None:
        """What differs from another node, in a few words; None where nothing does."""
        if self.kind != other.kind:
            return f"is a {self.kind}, expected {other.kind}"
        if set(self.sources) != set(other.sources):
            return f"reads {_listed(self.sources)}, expected {_listed(other.sources)}"
        for key, value in self.parameters.items():
            if not np.array_equal(value, other.parameters[key]):
                return f"its {key} differs"
        return None


def node_name(layer: str, step: int, role: str, time_steps: int) -> str:
    """The name of a node: "conv1.t03", "lif1.t03.leak", "input.level128". Sorted names run by layer, step, role.

    No '/' (NIR's reader stumbles over it). Unique, because a layer's node always ends in its step, or step and role.
    """
    if role in ("image", "logits"):
        return INPUT if role == "image" else "output"
    parts = [layer] if step == NO_STEP else [layer, f"t{step:0{max(2, len(str(time_steps - 1)))}d}"]
    return ".".join(parts if role == "output" else [*parts, role])


def floats(value: Any) -> Array:
    """A float32 array."""
    return np.asarray(value, dtype=np.float32)


def integers(value: Any) -> Array:
    """An int64 array."""
    return np.asarray(value, dtype=np.int64)


def text(value: str) -> Array:
    """A text as an array of bytes."""
    return np.asarray(value.encode())


def to_nir(nodes: Mapping[str, Node], metadata: Mapping[str, Any]) -> Any:
    """A `nir.NIRGraph`; NIR's own type check runs over it, where there are no nodes but NIR's."""
    import nir

    edges = [(source, name) for name, node in nodes.items() for source in node.sources]
    primitives = {name: _primitive(node) for name, node in nodes.items()}
    known = not any(node.kind in extension.FIELDS for node in nodes.values())
    return nir.NIRGraph(primitives, edges, metadata=dict(metadata), type_check=known)


def _primitive(node: Node) -> Any:
    import nir

    values: dict[str, Any] = {key: _plain(value) for key, value in node.parameters.items()}
    if node.kind in ("Input", "Output"):
        key = "input_type" if node.kind == "Input" else "output_type"
        values = {key: {key.removesuffix("_type"): node.parameters["shape"]}}
    elif node.kind == "Flatten":
        values["input_type"] = {"input": node.parameters["input_type"]}
    elif node.kind.endswith("Pool2d"):
        values = dict(node.parameters)
    hints = {"layer": node.layer, "step": node.step, "role": node.role, "digest": node.digest()}
    if node.kind in extension.FIELDS:
        return Extension(node.kind, values, hints)
    return getattr(nir, node.kind)(**values, metadata=hints)


def _plain(value: Array) -> Any:
    """Integers and texts as Python's own (NIR asks for int and tuple), float arrays as they are."""
    if value.dtype.kind == "f":
        return value
    if value.dtype.kind == "S":
        return value.item().decode()
    return tuple(value.tolist()) if value.ndim else int(value)


def from_nir(graph: Any) -> dict[str, Node]:
    """The nodes of a `nir.NIRGraph` that asnn-deploy wrote. Raises BundleError naming the first foreign node."""
    sources: dict[str, list[str]] = {name: [] for name in graph.nodes}
    for source, target in graph.edges:
        sources[target].append(source)
    # NIR's reader puts an Input or Output of its making at loose ends.
    for name in graph.inputs:
        if name != INPUT and not name.startswith(f"{INPUT}.t"):
            raise BundleError(f"node {next(b for a, b in graph.edges if a == name)!r} has no input")
    for name in graph.outputs:
        if name != "output":
            raise BundleError(f"node {sources[name][0]!r} leads nowhere")
    return {name: _from_primitive(name, node, sources[name]) for name, node in graph.nodes.items()}


def _from_primitive(name: str, primitive: Any, sources: Iterable[str]) -> Node:
    kind = primitive.kind if isinstance(primitive, Extension) else type(primitive).__name__
    if kind not in FIELDS:
        raise BundleError(f"node {name!r} is a {kind}, which asnn-deploy never writes")
    hints = primitive.metadata if isinstance(primitive.metadata, dict) else {}
    layer, step, role = (hints.get(key) for key in ("layer", "step", "role"))
    if not isinstance(layer, str) or not isinstance(step, (int, np.integer)) or not isinstance(role, str):
        raise BundleError(f"node {name!r} lacks its hints (layer, step and role in its metadata)")
    parameters = {key: _parameter(name, key, _attribute(primitive, kind, key)) for key in FIELDS[kind]}
    node = Node(kind, parameters, tuple(sources), layer, int(step), role)
    if node.digest() != hints.get("digest"):
        raise BundleError(f"node {name!r} was changed after the file was written (its type, a parameter or an input)")
    return node


def _attribute(primitive: Any, kind: str, key: str) -> Any:
    if isinstance(primitive, Extension):
        return primitive.fields[key]
    if kind in ("Input", "Flatten") and key in ("shape", "input_type"):
        return primitive.input_type["input"]
    return primitive.output_type["output"] if kind == "Output" else getattr(primitive, key)


def _parameter(name: str, key: str, value: Any) -> Array:
    if key in TEXTS and isinstance(value, str):
        return text(value)
    array = np.asarray(value)
    if array.dtype.kind == "f" and array.dtype != np.float32:
        raise BundleError(f"node {name!r}: its {key} is {array.dtype}, expected float32")
    if array.dtype.kind not in "fiu":
        raise BundleError(f"node {name!r}: its {key} holds no numbers ({array.dtype})")
    return array if array.dtype.kind == "f" else integers(array)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, sorted(names))) or "nothing"
