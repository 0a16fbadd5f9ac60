"""The flow: of every edge at every step, what travels over it, asked of each layer once and remembered by the graph.

Steps are followed one after another, layers in order, so that what comes back over a delayed edge is known when it
arrives, and nothing is iterated. The answers are those of `Layer.output_signal`; everything that wants to know what a
signal is (executors, order-free grids, the proof, the quantiser, counts, NIR, ONNX, Lava, fit) asks here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from asnn_deploy.ir.graph import INPUT, DeployGraph, Edge, remembered
from asnn_deploy.ir.inputs import Input
from asnn_deploy.ir.layers import Layer
from asnn_deploy.ir.signals import SILENCE, Kind, Signal, Tracker, common_grid
from asnn_deploy.util.arrays import Array

Bounds = tuple[Array, Array]
"""`(low, high)`, float64 `[T, C]` or `[T, 1]` each."""


@dataclass(frozen=True, eq=False)
class Track:
    """A signal at all steps."""

    steps: tuple[Signal, ...]

    def __getitem__(self, t: int) -> Signal:
        return self.steps[t]

    def __iter__(self) -> Iterator[Signal]:
        return iter(self.steps)

    def __len__(self) -> int:
        return len(self.steps)

    def later(self, delay: int) -> Track:
        """That many steps later; silence before anything arrives."""
        return Track((SILENCE,) * min(delay, len(self)) + self.steps[: max(len(self) - delay, 0)])

    @property
    def bounds(self) -> Bounds:
        """Of its elements."""
        return stacked([x.low for x in self]), stacked([x.high for x in self])

    @property
    def largest(self) -> Array:
        """The largest magnitude at each step, `[T]`."""
        return np.array([x.largest for x in self])

    @property
    def kind(self) -> Kind:
        """The largest kind of any step."""
        return max(x.kind for x in self)

    @property
    def events(self) -> Array:
        """At which steps it is made of spikes, `[T]` bool."""
        return np.array([x.events for x in self])

    @property
    def grid(self) -> int | None:
        """The grid on which it lies at all steps; None if there is none."""
        return common_grid(self.steps)

    @property
    def binary(self) -> bool:
        """Whether it is 0 or 1 at every step."""
        return self.kind == Kind.SPIKES


@dataclass(frozen=True, eq=False)
class Flow:
    """What every layer sends and keeps.

    leaving: by name ("input", layers). reached: layer to its registers' bounds, `[T, C]` each: "product", "sum" of a
    readout, and the states of neurons.
    """

    graph: DeployGraph
    leaving: dict[str, Track]
    reached: dict[str, dict[str, Bounds]]

    def __getitem__(self, name: str) -> Track:
        return self.leaving[name]

    def over(self, edge: Edge) -> Track:
        """What arrives over an edge."""
        return self.leaving[edge.source].later(edge.delay)

    def arriving(self, name: str) -> list[Track]:
        """What arrives at a layer, one for each input."""
        return [self.over(edge) for edge in self.graph.inputs_of[name]]


class Follower:
    """Follows a graph's signals; `layer` may stand for the graph's layer of its name, such as its integer version.

    fixed: whether they are integers. code: what enters, if it is not the graph's.
    expected: what leaves a layer, if it is asked for before the layer was.
    """

    def __init__(self, graph: DeployGraph, fixed: bool, code: Input | None = None) -> None:
        self.graph, self.fixed = graph, fixed
        code = code or graph.code
        self.leaving: dict[str, list[Signal]] = {INPUT: [code.signal(t) for t in range(graph.time_steps)]}
        self.expected: dict[str, Signal] = {}
        self.trackers: dict[str, Tracker] = {}

    def advance(self, layer: Layer, t: int) -> None:
        """Ask a layer what leaves it at step t; everything that it reads then is known."""
        edges = self.graph.inputs_of[layer.name]
        if layer.name not in self.trackers:
            shapes = tuple(self.graph.shapes[edge.source] for edge in edges)
            self.trackers[layer.name] = Tracker(shapes, self.graph.shapes[layer.name], self.fixed)
        tracker = self.trackers[layer.name]
        tracker.step = t
        x = [self._over(edge, t) for edge in edges]
        self.leaving.setdefault(layer.name, []).append(layer.output_signal(t, x, tracker))

    def _over(self, edge: Edge, t: int) -> Signal:
        if edge.delay > t:
            return SILENCE
        known = self.leaving.get(edge.source)
        return known[t - edge.delay] if known else self.expected[edge.source]

    def flow(self, graph: DeployGraph) -> Flow:
        """What was found, as the flow of `graph`."""
        reached = {
            name: {
                key: (stacked([a for a, _ in ends]), stacked([b for _, b in ends])) for key, ends in x.reached.items()
            }
            for name, x in self.trackers.items()
        }
        return Flow(graph, {name: Track(tuple(steps)) for name, steps in self.leaving.items()}, reached)


@remembered
def flow(graph: DeployGraph) -> Flow:
    """Return what travels through a graph. Raises GraphError naming a layer whose kind does not answer."""
    follower = Follower(graph, graph.arithmetic == "fixed")
    for t in range(graph.time_steps):
        for layer in graph.layers:
            follower.advance(layer, t)
    return follower.flow(graph)


def stacked(steps: list[Array]) -> Array:
    """Return values by channel of several steps, `[C]` or `[1]` each, as `[T, C]` or `[T, 1]`."""
    return np.stack(np.broadcast_arrays(*steps))
