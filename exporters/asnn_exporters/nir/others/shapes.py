"""The shape that leaves each node, found from the input on, and the axes of a file's shapes that NIR's do not have."""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from asnn_deploy.errors import GraphError
from asnn_deploy.ir.layers import Layer, Shape
from asnn_exporters.nir.others.fields import LARGEST, PARAMETERS
from asnn_exporters.nir.others.nesting import Flat
from asnn_exporters.nir.others.network import Node, listed, named, sources, unique_names
from asnn_exporters.nir.others.synapses import LAYERS, broadcast, counts_batch, layer_of

BATCH = "every shape in the file begins with an axis of length 1; it was taken for a batch axis and dropped"


@dataclass(eq=False)
class Shaped:
    """A network while its shapes are being found.

    time: the length of the axis of time that the input's shape begins with, if it does.
    """

    flat: Flat
    time: int | None = None
    shapes: dict[str, Shape] = field(default_factory=dict)
    layers: dict[str, Layer] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.before = sources(self.flat.edges, self.flat.nodes)
        self.names = unique_names(self.flat.nodes, self.flat.input)


def infer(flat: Flat) -> Shaped:
    """Return a network's shapes and layers. Raises GraphError naming the first node that cannot read what arrives.

    A batch axis goes if all shapes have it; the input's leading axis is time if the nodes fit each other only then.
    If they never do, the error is that of the reading that came furthest.
    """
    shape = flat.nodes[flat.input].fields["shape"]
    readings = [Shaped(flat)]
    if len(shape) > 1:
        readings.append(Shaped(flat, time=shape[0]))
    if has_batch(flat.nodes):
        readings.insert(0, Shaped(without_batch(flat), notes=[BATCH]))
    refused: dict[Shaped, GraphError] = {}
    for reading in readings:
        try:
            _infer(reading)
            return reading
        except GraphError as error:
            refused[reading] = error
    plain_first = sorted(refused, key=lambda reading: reading.time is not None or bool(reading.notes))
    raise refused[max(plain_first, key=lambda reading: len(reading.shapes))]


def has_batch(nodes: Mapping[str, Node]) -> bool:
    """Return whether every shape in a file begins with an axis of length 1; numbers that are alone have no shape."""
    shapes = [shape for node in nodes.values() for shape in _stated(node)]
    return all(len(shape) > 1 and shape[0] == 1 for shape in shapes)


def _stated(node: Node) -> list[Shape]:
    sizes = [node.fields[key] for key in ("shape", "input_type") if key in node.fields]
    arrays = [node.fields[key] for key in PARAMETERS if key in node.fields]
    return sizes + [a.shape for a in arrays if a.ndim > 1 or a.size > 1]


def without_batch(flat: Flat) -> Flat:
    """Return the network with the leading axis of all shapes dropped."""
    return replace(flat, nodes={name: _unbatched(node) for name, node in flat.nodes.items()})


def _unbatched(node: Node) -> Node:
    fields: dict[str, Any] = dict(node.fields)
    for key, value in fields.items():
        if key in ("shape", "input_type"):
            fields[key] = value[1:]
        elif key in PARAMETERS and value.ndim > 1:
            fields[key] = value[0]
    if node.kind == "Flatten":
        dims = {"start_dim": fields.get("start_dim", 1), "end_dim": fields.get("end_dim", -1)}
        fields |= {key: n - 1 if n > 0 else n for key, n in dims.items()}
    return replace(node, fields=fields)


def _infer(found: Shaped) -> None:
    nodes, entry, time = found.flat.nodes, found.flat.input, found.time
    shape = nodes[entry].fields["shape"]
    found.shapes[entry] = shape if time is None else shape[1:]
    _spread(found)
    for name, node in nodes.items():
        if found.before[name]:
            _same(node, [(source, found.shapes[source]) for source in found.before[name]])
            if node.kind in LAYERS and name not in found.layers:  # in a loop that nothing leads into
                _resolve(found, name, found.shapes[found.before[name][0]])
    if time is not None:
        takes = found.shapes[entry]
        found.notes.append(f"the first axis ({time}) of {nodes[entry]} was taken for time: what reads it takes {takes}")
    if found.flat.unfed:
        names = listed(list(found.flat.unfed))
        found.notes.append(f"the input does not reach {names}: they run on their biases alone")


def _spread(found: Shaped) -> None:
    """Find each node's shape as soon as all that lead to it are known; in a cycle, as soon as one is."""
    nodes, shapes = found.flat.nodes, found.shapes
    after = sources(tuple((target, source) for source, target in found.flat.edges), nodes)
    unknown = {name: len(found.before[name]) for name in nodes if name not in shapes}
    ready: list[str] = []

    def settled(name: str) -> None:
        for reader in after[name]:
            if reader in unknown:
                unknown[reader] -= 1
                if unknown[reader] == 0:
                    heapq.heappush(ready, reader)

    settled(found.flat.input)
    while unknown:
        name = heapq.heappop(ready) if ready else _in_cycle(found, unknown)
        del unknown[name]
        known = [(source, shapes[source]) for source in found.before[name] if source in shapes]
        if known:
            _same(nodes[name], known)
            _resolve(found, name, known[0][1])
        else:
            shapes[name] = nodes[name].fields["weight"].shape[:1]
        settled(name)


def _in_cycle(found: Shaped, unknown: Mapping[str, int]) -> str:
    """The next node of a cycle: one that something known leads to, else one whose weights say what leaves it."""
    partly = (name for name in unknown if any(source in found.shapes for source in found.before[name]))
    linear = (name for name in unknown if found.flat.nodes[name].kind in ("Affine", "Linear"))
    name = next(partly, None) or next(linear, None)
    if name is None:
        node = found.flat.nodes[next(iter(unknown))]
        raise node.refuse(
            "its shape cannot be found: it lies in a cycle that nothing leads into; connect it to the Input"
        )
    return name


def _same(node: Node, arriving: list[tuple[str, Shape]]) -> None:
    if len({shape for _, shape in arriving}) > 1:
        told = ", ".join(f"{shape} from {named(source)}" for source, shape in arriving[:8])
        raise node.refuse(f"what it reads has different shapes and cannot be added: {told}")


def _resolve(found: Shaped, name: str, arriving: Shape) -> None:
    """Note what leaves a node that reads a signal of shape `arriving`."""
    node = found.flat.nodes[name]
    try:
        shape, layer = _leaving(found, node, arriving)
    except GraphError as error:
        reads = ", ".join(str(found.flat.nodes[source]) for source in found.before[name][:3])
        raise GraphError(f"{error}; it reads {reads}{_flatten_hint(found, node)}") from None
    if math.prod(shape) > LARGEST:
        raise node.refuse(f"{shape} leaves it, more than {LARGEST} elements; a shape in the file must be wrong")
    found.shapes[name] = shape
    if layer is not None:
        found.layers[name] = layer


def _leaving(found: Shaped, node: Node, arriving: Shape) -> tuple[Shape, Layer | None]:
    if node.kind in LAYERS:
        layer = layer_of(node, found.names[node.name], arriving)
        return layer.output_shape(arriving), layer
    for key in PARAMETERS:
        if key in node.fields:
            broadcast(node, key, arriving)
    stated = node.fields.get("shape", arriving)
    if stated not in (arriving, (found.time, *arriving)):
        if math.prod(stated) != math.prod(arriving):
            raise node.refuse(f"its shape says {stated}, what it reads has shape {arriving}")
        found.notes.append(f"{node} says shape {stated}; what it reads has {arriving}, as many elements")
    return arriving, None


def _flatten_hint(found: Shaped, node: Node) -> str:
    """What would help if a Flatten before the node counts a batch axis."""
    name = node.name
    while len(found.before[name]) == 1:
        name = found.before[name][0]
        before = found.flat.nodes[name]
        if before.kind == "Flatten" and name in found.layers:
            break
        if before.kind not in ("Input", "Output", "Delay"):
            return ""
    else:
        return ""
    start = before.fields.get("start_dim", 1)
    arriving = found.shapes[found.before[name][0]]
    try:
        corrected = replace(before, fields={**before.fields, "start_dim": start - 1})
        _leaving(found, node, layer_of(corrected, "flatten", arriving).output_shape(arriving))
    except GraphError:
        return ""
    return f", which leaves {found.shapes[name]}: {counts_batch(start, start - 1)}"
