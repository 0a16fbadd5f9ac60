"""Which node reads which, and how many steps later: the inverse of `others/wiring.py`.

A sum is no node: all that it adds leads to what reads it. A signal that comes a step later is a plain edge if a reader
finds the delay by itself, where a cycle passes a spiking neuron; else it passes a Delay node.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from asnn_deploy.ir.graph import DeployGraph, Edge
from asnn_exporters.nir.others.network import Node
from asnn_exporters.nir.portable.target import Target


def links(graph: DeployGraph, gone: Collection[str] = ()) -> list[Edge]:
    """Return who reads whom, with sums left out, and `gone` layers of one input too.

    Raises UnsupportedError for sums that feed themselves, and signals that are read twice.
    """

    def read(name: str, path: tuple[str, ...]) -> list[tuple[str, int]]:
        if name in path:
            raise graph.by_name[name].unsupported("adds to itself, step after step, which no node of NIR does")
        found: list[tuple[str, int]] = []
        for edge in graph.inputs_of[name]:
            passes = edge.source in graph.by_name and (graph.by_name[edge.source].adds or edge.source in gone)
            before = read(edge.source, (*path, name)) if passes else [(edge.source, 0)]
            found += [(source, delay + edge.delay) for source, delay in before]
        return found

    kept = [layer for layer in graph.layers if not (layer.adds or layer.name in gone)]
    found = []
    for layer in kept:
        sources = read(layer.name, ())
        twice = next((source for source, delay in sources if sources.count((source, delay)) > 1), None)
        if twice is not None:
            raise layer.unsupported(
                f"reads {twice!r} twice, and NIR has one edge between two nodes; scale it by 2 instead"
            )
        found += [Edge(source, layer.name, delay) for source, delay in sources]
    return found


def wired(graph: DeployGraph, found: list[Edge], target: Target, plain: bool) -> tuple[dict[str, Node], list[Edge]]:
    """Return the Delay nodes and all edges, without delays.

    plain: whether a spiking neuron's spikes come a step later by themselves within its cycle.
    Raises UnsupportedError if the tool reads no Delay node.
    """
    spiking = {neuron.name for neuron in graph.spiking}
    delays: dict[str, Node] = {}
    edges: list[Edge] = []
    for edge in found:
        by_itself = plain and edge.delay == 1 and edge.source in spiking and _together(graph, edge)
        if edge.delay == 0 or by_itself:
            edges.append(Edge(edge.source, edge.target))
            continue
        if not target.takes("Delay"):
            raise graph.by_name[edge.target].unsupported(
                f"reads {edge.source!r} {edge.delay} step(s) later; {target.who} reads no Delay node"
            )
        name = f"{edge.source}_delay{edge.delay}"
        if name not in delays:
            value = np.full(graph.shapes[edge.source], edge.delay * target.dt, np.float32)
            delays[name] = Node(name, "Delay", {"delay": value})
            edges.append(Edge(edge.source, name))
        edges.append(Edge(name, edge.target))
    return delays, edges


def _together(graph: DeployGraph, edge: Edge) -> bool:
    """Whether both ends of an edge lie in one cycle."""
    return any(edge.source in cycle and edge.target in cycle for cycle in graph.cycles)
