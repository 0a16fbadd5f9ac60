"""The portable dialect: a network whose parameters are the same at all steps, as NIR's nodes, for any number of them.

The file's metadata states by which rules it is to be read (`others.files.MEANING`), so asnn-deploy reads it back
without a word. For a named tool, the rules are those that its importer has. What is written is read back and compared.

target.py    who reads it, by which rules
population.py, forms.py, neurons.py   populations as nodes
layers.py    all other layers
wiring.py    edges and delays
kept.py      the file in a bundle, which brings back all of a graph
stored.py    numbers that come back as they were
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from asnn_deploy.errors import AsnnDeployError, UnsupportedError
from asnn_deploy.ir.granularity import over, spread
from asnn_deploy.ir.graph import INPUT, DeployGraph, Edge
from asnn_deploy.ir.images import InputCode
from asnn_deploy.ir.layers import Layer, Neuron, Readout, Scale
from asnn_deploy.ir.step_table import StepTable
from asnn_exporters.nir.others import MEANING, graph_of, read_network
from asnn_exporters.nir.others.network import Node
from asnn_exporters.nir.portable.layers import node_of
from asnn_exporters.nir.portable.neurons import Written, written
from asnn_exporters.nir.portable.population import span
from asnn_exporters.nir.portable.target import Target, target_of
from asnn_exporters.nir.portable.wiring import links, wired
from asnn_exporters.nir.storage import save

OUTPUT = "output"
CLOSE = 1e-6
"""Relative; what is read within a few roundings of float32 is noted, what is not is refused."""


@dataclass(frozen=True)
class Portable:
    """A network as nodes. expected: what the nodes of neurons must be read as; added: nodes that are not layers."""

    graph: DeployGraph
    target: Target
    nodes: dict[str, Node]
    links: list[Edge]
    expected: dict[str, Neuron]
    added: frozenset[str]
    notes: tuple[str, ...]
    answer: str


def write(
    graph: DeployGraph,
    path: Path,
    tool: str | None,
    tell: Callable[[str], None],
    remarks: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Write a network. tool: by whom it is to be read; tell: takes what is not exactly as it was.

    remarks: more metadata.

    Raises UnsupportedError naming the layer and what cannot be expressed, InputError for an unknown tool.
    """
    if graph.arithmetic != "float32":
        raise UnsupportedError("NIR holds float32 networks; export the float graph, not the quantised one")
    target = target_of(graph, tool)
    if not target.takes("Scale"):
        graph = without_scale(graph)
    _check_wiring(graph, target)
    found = made(graph, target)
    refused: AsnnDeployError | None = None
    for plain in (True, False) if graph.cycles else (False,):
        _save(found, path, plain, remarks)
        try:
            notes = checked(found, path)
        except UnsupportedError:
            raise
        except AsnnDeployError as error:
            refused = refused or error
            continue
        if notes is not None:
            for note in (*found.notes, *notes):
                tell(note)
            return
    raise refused or UnsupportedError("the network's delays cannot be written as NIR; use the dialect canonical")


def without_scale(graph: DeployGraph) -> DeployGraph:
    """Return a network whose answer is scaled by its readout, and not by a layer before it."""
    last = graph.inputs_of[graph.readout.name][0]
    scale = graph.by_name.get(last.source)
    if not isinstance(scale, Scale) or last.delay or len(graph.readers_of[scale.name]) > 1:
        return graph
    factor, shape = _static(scale).tables()["factor"].values[0], graph.shapes[scale.name]
    both = over(factor, shape) * over(_static(graph.readout).tables()["scale"].values[0], shape)
    steps = graph.readout.scale.time_steps
    readout = replace(graph.readout, scale=StepTable.constant(both, steps))
    layers = [readout if layer is graph.readout else layer for layer in graph.layers if layer is not scale]
    before = graph.inputs_of[scale.name][0]
    edges = [edge for edge in graph.edges if scale.name not in (edge.source, edge.target)]
    edges.append(replace(before, target=readout.name))
    return replace(graph, layers=tuple(layers), edges=tuple(edges))


def _check_wiring(graph: DeployGraph, target: Target) -> None:
    """Raise UnsupportedError for cycles and sums that the tool's importer does not read."""
    importer = target.importer
    if importer is None:
        return
    if graph.cycles and not importer.cycles:
        raise graph.by_name[graph.cycles[0][0]].unsupported(f"lies in a cycle; {target.who} reads none rightly")
    biased = [layer for layer in graph.synapses if layer.bias is not None and layer.bias.values.any()]
    inside = next((layer for layer in biased if layer.name in target.recurrent), None)
    if inside is not None:
        raise inside.unsupported(f"has a bias in a cycle; {target.who} leaves it out of the first step")
    targets = [edge.target for edge in links(graph)]
    several = next((name for name in targets if targets.count(name) > 1), None)
    if several is not None and not importer.sums:
        raise graph.by_name[several].unsupported(
            f"reads several signals; {target.who} may take some of them from the step before"
        )


def made(graph: DeployGraph, target: Target) -> Portable:
    """Return a network as nodes. Raises UnsupportedError naming the layer that cannot be one."""
    nodes: dict[str, Node] = {}
    expected: dict[str, Neuron] = {}
    notes: list[str] = []
    for layer in map(_static, graph.layers):
        if layer.adds or isinstance(layer, Readout):
            continue
        if isinstance(layer, Neuron):
            one: Written = written(layer, graph.shapes[layer.name], target)
            nodes[layer.name], expected[layer.name] = one.node, one.expected
            notes += one.notes
        else:
            nodes[layer.name] = node_of(layer, graph.input_shape_of(layer.name), target)
    added, answer = _answered(graph, target, nodes)
    return Portable(graph, target, nodes, links(graph), expected, added, tuple(notes), answer)


def _static(layer: Layer) -> Layer:
    """A layer with one value in each table. Raises UnsupportedError if a table changes."""
    for key, table in layer.tables().items():
        if any(not np.array_equal(table.at(t), table.at(0)) for t in range(1, table.time_steps)):
            raise layer.unsupported(
                f"its {key} changes with the time step, and NIR's parameters cannot; use the dialect canonical, "
                "or compact for means over time"
            )
    return layer.with_tables(lambda table: StepTable(table.at(0)[None], [0]))


def _answered(graph: DeployGraph, target: Target, nodes: dict[str, Node]) -> tuple[frozenset[str], str]:
    """Add what makes the answer, behind the network; return the nodes' names, and the answer in words."""
    readout = graph.readout
    scale = _static(readout).tables()["scale"].values[0]
    shape = graph.input_shape_of(readout.name)
    words = f"The answer of the network is made of the output at all steps by the rule {readout.rule!r}."
    summed = sum(edge.target == readout.name for edge in links(graph)) > 1
    if readout.bias is not None or readout.unit != 1:
        raise readout.unsupported("a readout with a bias or a unit belongs to integer graphs")
    if (scale == 1).all() and not summed:
        return frozenset(), words
    if target.takes("Scale"):
        name = next(n for n in (f"{readout.name}_scale", f"{readout.name}_scale_") if n not in graph.by_name)
        nodes[name] = Node(name, "Scale", {"scale": np.ascontiguousarray(spread(scale, shape))})
        return frozenset((name,)), words
    if summed:
        raise readout.unsupported(f"adds several signals; {target.who} reads no sum at the output")
    if scale.min() != scale.max() or scale.min() <= 0:
        raise readout.unsupported(f"scales its classes differently; {target.who} reads no Scale node")
    return frozenset(), f"{words} Its factor of {float(scale.max()):.9g} on the answer is left out of the file."


def _save(found: Portable, path: Path, plain: bool, remarks: Mapping[str, Any]) -> None:
    """Write the file."""
    import nir

    graph = found.graph
    delays, edges = wired(graph, found.links, found.target, plain)
    ends = {graph.readout.name: next(iter(found.added), OUTPUT)}
    pairs = [(edge.source, ends.get(edge.target, edge.target)) for edge in edges]
    pairs += [(name, OUTPUT) for name in found.added]
    shape = graph.input_shape_of(graph.readout.name)
    primitives = {INPUT: nir.Input(np.asarray(graph.input_shape))}
    for name, node in (found.nodes | delays).items():
        if name in (INPUT, OUTPUT):
            raise graph.by_name[name].unsupported("its name is that of an end of the file; rename it")
        primitives[name] = getattr(nir, node.kind)(**node.fields)
    primitives[OUTPUT] = nir.Output(np.asarray(shape))
    # NIR's own check takes kernels as square and groups as one; the file is read back below instead.
    save(path, nir.NIRGraph(primitives, sorted(pairs), metadata={**metadata(found), **remarks}, type_check=False))


def metadata(found: Portable) -> dict[str, Any]:
    """Return what the file says of itself: by which rules it is read, and what a stranger should know."""
    stated = {key: value for key, value in found.target.meaning.to_json().items() if key != "assumed"}
    code, whose = found.graph.code, found.target.tool
    enters = "frames, one for each time step"
    if isinstance(code, InputCode):
        enters = f"the frames of the {code.name!r} coding of 8-bit images, one for each time step"
    about = [
        "A spiking network by asnn-deploy, to be run step by step.",
        f"Written for the importer of {found.target.who}." if whose else "",
        f"Rules: {found.target.meaning.in_words()}.",
        f"Input: {enters}.",
        found.answer,
        *(f"Not exact: {note}." for note in found.notes),
    ]
    return {"about": " ".join(filter(None, about)), MEANING: json.dumps(stated)}


def checked(found: Portable, path: Path) -> list[str] | None:
    """Read a file back, and return what is not exactly as it was; None if its delays are others.

    Raises UnsupportedError naming a layer whose parameters do not come back.
    """
    network = read_network(path)
    again = graph_of(network, found.target.meaning)
    more = {layer.name for layer in again.layers if layer.name not in found.graph.by_name} - {OUTPUT}
    names = {found.graph.readout.name: OUTPUT}
    before = {(edge.source, names.get(edge.target, edge.target), edge.delay) for edge in found.links}
    after = {(edge.source, edge.target, edge.delay) for edge in links(again, more)}
    if before != after:
        return None
    notes = []
    for name, expected in found.expected.items():
        notes += _differences(expected, again.by_name[name], found)
    return notes


def _differences(expected: Neuron, layer: Layer, found: Portable) -> list[str]:
    """What a population is read as that it was not."""
    assert isinstance(layer, Neuron)
    who = found.target.who
    if layer.model != expected.model or layer.firing != expected.firing:
        raise expected.unsupported(f"comes back as {layer.model!r} that resets by {layer.reset!r} from {who}")
    known = layer.definition.parameters
    shape = found.graph.shapes[expected.name]
    notes = []
    for key in sorted(expected.parameters.keys() | layer.parameters.keys()):
        values = []
        for neuron in (expected, layer):
            table = neuron.parameters.get(key)
            default = known[key].default
            values.append(
                None
                if table is None and default is None
                else over(table.values[0], shape)
                if table is not None
                else np.asarray(default, np.float32)
            )
        was, is_ = values
        if was is None or is_ is None:
            raise expected.unsupported(
                f"{who} {'has a' if was is None else 'holds no'} {key} that the neurons "
                f"{'have not' if was is None else 'have'}"
            )
        if np.array_equal(np.broadcast_to(was, shape), np.broadcast_to(is_, shape)):
            continue
        if not np.allclose(was, is_, rtol=CLOSE, atol=0):
            raise expected.unsupported(f"{key} {span(was)} is read as {span(is_)} by {who}")
        notes.append(f"layer {expected.name!r}: asnn-deploy reads its {key} {span(was)} as {span(is_)}")
    return notes


__all__ = ["write"]
