"""A NIR network as its file has it: nodes, edges, and the shapes that follow from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from asnn_deploy.errors import GraphError
from asnn_deploy.ir.graph import INPUT
from asnn_deploy.ir.layers import Layer, Shape
from asnn_deploy.util.names import free_name, plain_name

NEURONS = ("IF", "LIF", "CubaLIF", "LI", "CubaLI", "I", "Threshold")
SPIKING = ("IF", "LIF", "CubaLIF", "Threshold")
"""The neurons that send spikes."""
LONGEST_NAME = 60
"""Characters of a name that a message repeats."""


@dataclass(frozen=True, eq=False)
class Node:
    """One node. name: of nested ones "outer.inner". kind: NIR's type.

    fields: by their names in the file. Parameters are arrays as they stand there (0-d too), sizes are whole numbers or
    tuples of them, with one entry for each axis.
    """

    name: str
    kind: str
    fields: Mapping[str, Any]

    def refuse(self, problem: str) -> GraphError:
        """Return a GraphError that names this node."""
        return GraphError(f"{self}: {problem}")

    def __str__(self) -> str:
        return f"node {named(self.name)} ({self.kind})"


@dataclass(frozen=True, eq=False)
class Network:
    """A network without nesting, whose nodes and edges fit each other.

    shapes: what leaves each node, for one sample and step. notes: what was assumed or dropped, in words.
    metadata: of the whole network; under `MEANING`, a `Meaning` if the file states one.
    input, output: the names of the nodes where signals enter and leave. Other nodes of these kinds pass signals on.
    layers: of the nodes that mean the same whatever the rules of their tool.
    """

    nodes: dict[str, Node]
    edges: tuple[tuple[str, str], ...]
    shapes: dict[str, Shape]
    metadata: dict[str, Any]
    notes: tuple[str, ...]
    input: str
    output: str
    layers: Mapping[str, Layer] = field(default_factory=dict)


def named(name: str) -> str:
    """Return a name in quotes, on one line, and shortened where it is long."""
    return repr(name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 3] + "...")


def listed(names: list[str], most: int = 8) -> str:
    """Return names in quotes, the first few of them."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(named, names[:most])) + more


def sources(edges: tuple[tuple[str, str], ...], nodes: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the nodes that lead to each node, by name."""
    found: dict[str, list[str]] = {name: [] for name in nodes}
    for source, target in edges:
        found[target].append(source)
    return {target: sorted(names) for target, names in found.items()}


def layer_names(network: Network) -> dict[str, str]:
    """Return the name of each node's layer: the node's, with what layers' names may not hold replaced, and unique."""
    return unique_names(network.nodes, network.input)


def unique_names(nodes: Mapping[str, Any], entry: str) -> dict[str, str]:
    """See `layer_names`. entry: the node that stands for the graph's input, and has its name."""
    plain = {name: plain_name(name) for name in nodes}
    names, taken = {entry: INPUT}, {INPUT}
    for name in sorted(nodes, key=lambda name: (plain[name] != name, name)):  # names that can stay come first
        if name != entry:
            names[name] = free_name(plain[name], taken)
    return names
