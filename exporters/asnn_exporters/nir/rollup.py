"""Back from an unrolled file to the DeployGraph that it was written from, and the proof that this is what it computes.

Step tables are rebuilt from the nodes; hints only say which node is what. Then the rebuilt graph is unrolled again and
compared with the file node for node and edge for edge, so hints that lie cannot pass.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from asnn_deploy.errors import BundleError, GraphError
from asnn_deploy.ir.graph import DeployGraph, Edge, check_neurons
from asnn_deploy.ir.layers import Layer
from asnn_deploy.ir.meaning import Meaning
from asnn_deploy.ir.quantization import Quantization
from asnn_deploy.ir.serialize import layer_from
from asnn_deploy.ir.step_table import StepTable
from asnn_deploy.util.arrays import Array
from asnn_deploy.util.files import describe as one_line
from asnn_exporters.nir import header as headers
from asnn_exporters.nir.nodes import Node, from_nir, node_name
from asnn_exporters.nir.unroll import unroll
from asnn_exporters.nir.values import carrier, restore, usual

DAMAGE = (
    GraphError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    MemoryError,
    RecursionError,
)
"""What made-up hints can bring about while a graph is rebuilt from them."""


def rollup(nir_graph: Any) -> DeployGraph:
    """The graph of a canonical or extended file. Raises BundleError, naming the node where one is to blame.

    nir_graph: a `nir.NIRGraph` as `nir.read` gives it.
    """
    header = headers.parse(nir_graph.metadata, ("canonical", "extended"))
    nodes = from_nir(nir_graph)
    with readable("the header"):
        time_steps = headers.time_steps_of(header["coding"])
    for name, node in nodes.items():
        named = node_name(node.layer, node.step, node.role, time_steps)
        if name != named:
            raise BundleError(f"node {name!r}: its hints lie, they are those of {named!r}")
    parameters = _parameters(nodes, nir_graph.metadata)
    graph = _graph(header, nodes, parameters, time_steps)
    _verify(graph, header, nodes)
    return graph


@contextmanager
def readable(what: str) -> Iterator[None]:
    """Turn what goes wrong with made-up hints into one BundleError."""
    try:
        yield
    except BundleError:
        raise
    except DAMAGE as error:
        raise BundleError(f"{what} cannot be read ({one_line(error)}); export it again") from error


def _parameters(nodes: Mapping[str, Node], metadata: Mapping[str, Any]) -> dict[str, Mapping[str, Array]]:
    """Each node's parameters, with those of the nodes that were kept aside."""
    found = {name: node.parameters for name, node in nodes.items()}
    aside = metadata.get(headers.UNUSED, {})
    for name, values in aside.items() if isinstance(aside, dict) else ():
        if isinstance(values, dict) and all(isinstance(v, np.ndarray) for v in values.values()):
            found.setdefault(name, values)
    return found


def _graph(
    header: Mapping[str, Any], nodes: Mapping[str, Node], parameters: Mapping[str, Mapping[str, Array]], time_steps: int
) -> DeployGraph:
    with readable("the header"):
        image = not isinstance(header["coding"]["steps"], dict)
        first = "input" if image else node_name("input", 0, "output", time_steps)
        if first not in nodes:
            raise BundleError(f"node {first!r} is missing")
        if not 1 <= time_steps <= len(nodes):
            raise BundleError(f"the header claims {time_steps} time steps, the file has {len(nodes)} nodes")
        code = headers.input_code(header["coding"])
        layers = tuple(_layer(entry, parameters, time_steps) for entry in header["layers"])
        graph = DeployGraph(
            tuple(nodes[first].parameters["shape"].tolist()),
            code,
            layers,
            tuple(_edge(*entry) for entry in header["edges"]),
            dt=header["dt"],
            quantization=Quantization.from_json(header["quantization"]),
            meaning=Meaning.from_json(header.get("meaning")),
        )
        check_neurons(graph)
    return graph


def _edge(source: str, target: str, delay: int) -> Edge:
    if type(delay) is not int:
        raise ValueError(f"delay {delay!r} of the edge {source!r} -> {target!r} is not a whole number")
    return Edge(source, target, delay)


def _layer(entry: Mapping[str, Any], parameters: Mapping[str, Mapping[str, Array]], time_steps: int) -> Layer:
    static = {key: value for key, value in entry.items() if key not in ("kind", "tables")}
    tables = {
        key: StepTable.per_step(
            np.stack([_value(entry, key, tuple(shape), parameters, step, time_steps) for step in range(time_steps)])
        )
        for key, shape in entry["tables"].items()
    }
    return layer_from(entry["kind"], static, tables)


def _value(
    entry: Mapping[str, Any],
    table: str,
    granularity: tuple[int, ...],
    parameters: Mapping[str, Mapping[str, Array]],
    step: int,
    time_steps: int,
) -> Array:
    """A table's value at one step, out of the node that holds it."""
    with readable("the header"):
        role, parameter = carrier(entry["kind"], table, entry.get("model", ""), entry["tables"], usual(entry))
    name = node_name(entry["name"], step, role, time_steps)
    if parameter not in parameters.get(name, {}):
        raise BundleError(f"node {name!r}, which holds the {table} of layer {entry['name']!r}, is missing")
    with readable(f"node {name!r}: its {parameter}"):
        return restore(entry["kind"], table, parameters[name][parameter], granularity, entry.get("groups", 1))


def _verify(graph: DeployGraph, header: Mapping[str, Any], nodes: Mapping[str, Node]) -> None:
    """Unroll the rebuilt graph and compare it with the file."""
    with readable("the network"):
        expected = unroll(graph, header["dialect"] == "extended").nodes
        described = headers.describe(graph)
    for name, node in expected.items():
        if name not in nodes:
            raise BundleError(f"node {name!r} is missing")
        difference = nodes[name].difference(node)
        if difference:
            raise BundleError(f"node {name!r} {difference}: the file's hints lie about it")
    for name in nodes:
        if name not in expected:
            raise BundleError(f"node {name!r} does not belong to the network that the file's hints describe")
    for key, value in described.items():
        if json.dumps(header[key], sort_keys=True) != json.dumps(value, sort_keys=True):
            raise BundleError(f"the header's {key} is not as asnn-deploy writes it; export it again")
