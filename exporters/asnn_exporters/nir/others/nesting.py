"""Graphs within graphs become one, in which every edge leads from node to node, and every node to the output."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import pairwise

from asnn_deploy.errors import BundleError, GraphError
from asnn_deploy.util.suggest import unknown_name
from asnn_exporters.nir.others.fields import GRAPH, checked
from asnn_exporters.nir.others.files import Nested
from asnn_exporters.nir.others.network import LONGEST_NAME, Node, listed, named, sources

Edges = tuple[tuple[str, str], ...]
FEW = 20
"""Names that a message lists in full."""


@dataclass(frozen=True, eq=False)
class Flat:
    """A network without nesting, whatever the file's order. unfed: the nodes that the input never reaches."""

    nodes: dict[str, Node]
    edges: Edges
    input: str
    output: str
    unfed: tuple[str, ...]


def flattened(graph: Nested) -> Flat:
    """Return a graph's nodes and edges, those of graphs within it too.

    Nodes of kind Input that something leads to, and of kind Output that lead on, pass signals on: they are where nested
    graphs were. Raises GraphError for edges and nodes that lead nowhere, and for other than one input and one output.
    """
    nodes: dict[str, Node] = {}
    edges: list[tuple[str, str]] = []
    _collect(graph, nodes, edges)
    for source, target in edges:
        for name, other in ((source, "Output"), (target, "Input")):
            if name not in nodes:
                raise GraphError(f"edge {named(source)} -> {named(target)}: {_unknown(name, nodes, other)}")
    nodes = {name: nodes[name] for name in sorted(nodes)}
    ordered = tuple(sorted(edges))
    twice = next((edge for edge, following in pairwise(ordered) if edge == following), None)
    if twice is not None:
        raise GraphError(
            f"edge {named(twice[0])} -> {named(twice[1])} stands twice in the file: it may mean the signal twice, or "
            f"once; leave one of them out for once, or double the weights that read it for twice"
        )
    entry, exit_ = (_only(nodes, ordered, kind) for kind in ("Input", "Output"))
    return Flat(nodes, ordered, entry, exit_, _unfed(nodes, ordered, entry, exit_))


def _collect(graph: Nested, nodes: dict[str, Node], edges: list[tuple[str, str]]) -> None:
    """Add a graph's nodes and edges by their full names."""
    ends: dict[str, tuple[str, str]] = {}
    for name, member in graph.members.items():
        if isinstance(member, Nested):
            _collect(member, nodes, edges)
            ends[name] = _end(member, "Input"), _end(member, "Output")
        elif member.name in nodes:
            raise _taken(member.name)
        else:
            nodes[member.name] = checked(member)
    clash = next((full for name in ends if (full := _full(graph, name)) in nodes), None)
    if clash is not None:
        raise _taken(clash)
    for source, target in graph.edges:
        edges.append(
            (
                ends[source][1] if source in ends else _full(graph, source),
                ends[target][0] if target in ends else _full(graph, target),
            )
        )


def _taken(name: str) -> BundleError:
    return BundleError(f"node {named(name)}: the name stands for two nodes, one of them in a nested graph; rename one")


def _full(graph: Nested, name: str) -> str:
    return f"{graph.name}.{name}" if graph.name else name


def _end(graph: Nested, kind: str) -> str:
    """The full name of a nested graph's only Input or Output."""
    found = [m.name for m in graph.members.values() if isinstance(m, Node) and m.kind == kind]
    if len(found) != 1:
        raise GraphError(
            f"graph {named(graph.name)}: has {len(found)} nodes of type {kind} ({listed(sorted(found)) or 'none'}); "
            f"a nested {GRAPH} needs exactly one, so that edges to its name mean something"
        )
    return found[0]


def _unknown(name: str, nodes: Mapping[str, Node], end: str) -> str:
    """What an edge's end that does not exist may have meant; end: the kind that a nested graph's name stands for."""
    within = [other for other in sorted(nodes) if other.startswith(f"{name}.")]
    if within:  # a nested graph that was flattened without its edges
        likely = [other for other in within if nodes[other].kind == end] or within
        return f"unknown node {named(name)}; did you mean {named(likely[0])}? (nodes within it: {listed(within)})"
    if len(nodes) <= FEW and all(len(other) <= FEW and other.isprintable() for other in nodes):
        return unknown_name("node", name[:LONGEST_NAME], nodes)
    near = get_close_matches(name, nodes, n=1, cutoff=0.5)
    return f"unknown node {named(name)}" + (f"; did you mean {named(near[0])}?" if near else "; correct its name")


def _only(nodes: Mapping[str, Node], edges: Edges, kind: str) -> str:
    """The name of the network's Input or Output."""
    passing = {target for _, target in edges} if kind == "Input" else {source for source, _ in edges}
    found = [name for name, node in nodes.items() if node.kind == kind and name not in passing]
    if len(found) == 1:
        return found[0]
    if not found:
        through = [name for name, node in nodes.items() if node.kind == kind]
        verb = "is fed by others" if kind == "Input" else "feeds others"
        hint = f"; each of {listed(through)} {verb}" if through else f"; add a node of type {kind}"
        raise GraphError(f"the network has no free {kind}{hint}")
    what, remedy = (
        ("inputs", "join them to one Input, and split its signal by weights")
        if kind == "Input"
        else ("outputs", "join them to one Output by weights, or leave all but one out")
    )
    raise GraphError(f"the network has {len(found)} {what}, the nodes {listed(found)}; one is allowed: {remedy}")


def _unfed(nodes: Mapping[str, Node], edges: Edges, entry: str, exit_: str) -> tuple[str, ...]:
    """The nodes that the input does not reach; they only may feed each other in cycles, and must reach the output."""
    before = sources(edges, nodes)
    after = sources(tuple((target, source) for source, target in edges), nodes)
    lonely = [name for name in nodes if not before[name] and name != entry]
    if lonely:
        raise _pathless(nodes, lonely, f"no edge leads to it, so that there is no path from the Input {named(entry)}")
    reaching = reached(exit_, before)
    lost = [name for name in nodes if name not in reaching]
    if lost:
        raise _pathless(nodes, lost, f"no path leads from it to the Output {named(exit_)}")
    fed = reached(entry, after)
    return tuple(name for name in nodes if name not in fed)


def _pathless(nodes: Mapping[str, Node], names: list[str], problem: str) -> GraphError:
    others = f" (nor for {listed(names[1:])})" if len(names) > 1 else ""
    return nodes[names[0]].refuse(f"{problem}{others}; connect it or remove it")


def reached(start: str, after: Mapping[str, Iterable[str]]) -> set[str]:
    """Return what can be reached from a node, itself included."""
    found, waiting = {start}, [start]
    while waiting:
        new = set(after[waiting.pop()]) - found
        found |= new
        waiting += new
    return found
