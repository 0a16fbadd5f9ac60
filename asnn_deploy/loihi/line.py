"""A graph as the line that stock Processes form: each layer reads the one before it, and populations also themselves.

A population reads itself through one convolution or linear layer whose sums meet those of the layer before it in an
add, one time step later: the graph's cycle is the population, those synapses and the add, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from asnn_deploy.ir.graph import INPUT, DeployGraph, Edge
from asnn_deploy.ir.layers import Add, Conv, Flatten, Layer, Linear, Neuron, Pool, Readout, Synapses

CARRIED = (Conv, Linear, Pool, Flatten, Neuron, Readout)
FUSED = "use this project's Processes (processes=fused)"
"""The remedy."""


@dataclass(frozen=True)
class Place:
    """A layer of the line.

    before: the layer that it reads; None for the input.
    feedback: the synapses through which neurons read their own spikes of the time step before; None without.
    """

    layer: Layer
    before: Layer | None
    feedback: Synapses | None = None


@dataclass(frozen=True)
class Loop:
    """How a population reads itself: where its sums meet those of the layer before it, and what brings them."""

    add: Layer
    synapses: Synapses


def line(graph: DeployGraph) -> Iterator[Place]:
    """Yield the layers in their order, each once, recurrent synapses with the neurons that they drive.

    Raises UnsupportedError naming the layer of a kind that stock Processes do not carry, or out of line.
    """
    loops = {name: loop for cycle in graph.cycles for name, loop in (_loop(graph, cycle),)}
    inside = {layer.name for loop in loops.values() for layer in (loop.add, loop.synapses)}
    before = None
    for layer in graph.layers:
        if layer.name in inside:
            continue
        if not isinstance(layer, CARRIED):
            raise layer.unsupported("Lava itself has no Process for it; this project has (processes=fused)")
        loop = loops.get(layer.name)
        if _forward(graph, layer, loop) != [(before.name if before else INPUT, 0)]:
            raise layer.unsupported(
                "does not read the layer before it, without delay; stock Processes form a line, in which a population "
                f"may read itself one time step later; {FUSED}"
            )
        yield Place(layer, before, loop.synapses if loop else None)
        before = layer


def _forward(graph: DeployGraph, layer: Layer, loop: Loop | None) -> list[tuple[str, int]]:
    """What a layer reads and how much later, except from itself."""
    edges = graph.inputs_of[layer.name]
    if loop is None:
        return [(edge.source, edge.delay) for edge in edges]
    (own,) = edges
    return [(e.source, e.delay + own.delay) for e in graph.inputs_of[loop.add.name] if e.source != loop.synapses.name]


def _loop(graph: DeployGraph, cycle: tuple[str, ...]) -> tuple[str, Loop]:
    """The neurons of a cycle, by name, and how they read themselves. Raises UnsupportedError naming what is else."""
    found: dict[type[Layer], Layer] = {}
    for layer in (graph.by_name[name] for name in cycle):
        kind = next((kind for kind in (Neuron, Synapses, Add) if isinstance(layer, kind)), None)
        if kind is None or kind in found:
            with_others = f"together with {found[kind].name!r}" if kind else "as a layer without weights"
            raise layer.unsupported(
                f"stands in a recurrent connection {with_others}; on Lava's own Processes a population reads itself "
                f"alone, through one convolution or linear layer; {FUSED}"
            )
        found[kind] = layer
    if len(found) < 3:
        raise next(iter(found.values())).unsupported(
            "stands in a recurrent connection without synapses, or whose sums are not added to those of other synapses;"
            f" {FUSED}"
        )
    neurons, synapses, add = (found[kind] for kind in (Neuron, Synapses, Add))
    assert isinstance(synapses, Synapses)
    loop = Loop(add, synapses)
    _check_loop(graph, loop, neurons, [e for e in graph.edges if e.source in cycle and e.target in cycle])
    return neurons.name, loop


def _check_loop(graph: DeployGraph, loop: Loop, neurons: Layer, edges: list[Edge]) -> None:
    """Raise UnsupportedError unless the edges of a cycle bring spikes back once, one time step later."""
    synapses, delay = loop.synapses, sum(edge.delay for edge in edges)
    if len(edges) != 3 or any(len(graph.readers_of[layer.name]) != 1 for layer in (synapses, loop.add)):
        raise loop.add.unsupported(
            f"must add the sums of {synapses.name!r} once, for {neurons.name!r} alone, on Lava's own Processes; {FUSED}"
        )
    if delay != 1:
        raise synapses.unsupported(
            f"brings the spikes of {neurons.name!r} back {delay} time steps later, Lava's own Processes bring them "
            f"back one step later; {FUSED}"
        )
    if synapses.bias is not None and any(edge.source == synapses.name and edge.delay for edge in edges):
        raise synapses.unsupported(f"has a bias that is not there at the first step, Loihi's is at all steps; {FUSED}")
