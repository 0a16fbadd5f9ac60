"""The nodes of a network that is being unrolled in time: see `unroll.py`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from asnn_deploy.errors import UnsupportedError
from asnn_deploy.ir.granularity import spread
from asnn_deploy.ir.graph import INPUT, DeployGraph, Edge
from asnn_deploy.ir.images import InputCode
from asnn_deploy.ir.layers import Layer, Shape
from asnn_deploy.util.arrays import Array
from asnn_exporters.nir.nodes import NO_STEP, Node, floats, integers, node_name
from asnn_exporters.nir.values import carrier, store, usual


@dataclass(frozen=True)
class Unrolled:
    """nodes: what computes, by name. unused: nodes that hold a table's value but do not reach the logits."""

    nodes: dict[str, Node]
    unused: dict[str, Node]


class Unrolling:
    """The nodes so far.

    outputs: the node that holds a layer's output at a step.
    memory: what a layer's writer keeps from one step to the next, by layer.
    """

    def __init__(self, graph: DeployGraph) -> None:
        self.graph = graph
        self.nodes: dict[str, Node] = {}
        self.outputs: dict[tuple[str, int], str] = {}
        self.memory: dict[str, Any] = {}
        self._holding_tables: set[str] = set()
        if isinstance(graph.code, InputCode):
            self.node("Input", INPUT, NO_STEP, "image", (), shape=integers(graph.input_shape))
        for t in range(graph.time_steps):
            self.outputs[INPUT, t] = self._frame(t)

    def node(self, kind: str, layer: str, step: int, role: str, sources: Sequence[str], **parameters: Array) -> str:
        """Add a node, once; returns its name. Raises UnsupportedError where two layers' names would make it one."""
        name = node_name(layer, step, role, self.graph.time_steps)
        node = self.nodes.setdefault(name, Node(kind, parameters, tuple(sources), layer, step, role))
        if (node.layer, node.role) != (layer, role):
            raise UnsupportedError(f"layer {layer!r}: the NIR node {name!r} is taken by another layer; rename one")
        return name

    def scale(self, layer: Layer, step: int, role: str, sources: Sequence[str], factor: float = 1.0) -> str:
        """A `Scale` by one number, over the shape of the layer's output."""
        shape = self.graph.shapes[layer.name]
        return self.node("Scale", layer.name, step, role, sources, scale=spread(floats(factor), shape))

    def threshold(self, layer: Layer, step: int, role: str, source: str, level: float) -> str:
        """A `Threshold` at one number, over the shape of the layer's output."""
        shape = self.graph.shapes[layer.name]
        return self.node("Threshold", layer.name, step, role, [source], threshold=spread(floats(level), shape))

    def over_input(self, layer: Layer, step: int, role: str, source: str, level: float) -> str:
        """A `Threshold` at one number, over the shape of what enters the layer."""
        threshold = spread(floats(level), self.input_shape(layer))
        return self.node("Threshold", layer.name, step, role, [source], threshold=threshold)

    def table(
        self, kind: str, layer: Layer, table: str, step: int, sources: Sequence[str], role: str | None = None
    ) -> str:
        """The elementwise node that holds a table's value. role: if it is not the first node that does."""
        first, parameter = carrier(layer.kind, table, getattr(layer, "model", ""), layer.tables(), usual(vars(layer)))
        role = role or first
        name = self.node(kind, layer.name, step, role, sources, **{parameter: self.stored(layer, table, step)})
        self._holding_tables.add(name)
        return name

    def stored(self, layer: Layer, table: str, step: int) -> Array:
        """A table's value at a step, as the node holds it."""
        return store(layer, table, layer.tables()[table].at(step), self.graph.shapes[layer.name])

    def holds_tables(self, layer: Layer, step: int) -> None:
        """Mark a layer's output node at a step as one that holds tables."""
        self._holding_tables.add(node_name(layer.name, step, "output", self.graph.time_steps))

    def input_shape(self, layer: Layer) -> Shape:
        """What enters a layer with one input, for one sample."""
        return self.graph.input_shape_of(layer.name)

    def total(self, layer: Layer, step: int, role: str, a: str, b: str) -> str:
        """A node that is `a + b`. NIR forbids a second edge between two nodes, so `a + a` goes through a copy."""
        if a == b:
            b = self.scale(layer, step, f"{role}-copy", [a])
        return self.scale(layer, step, role, [a, b])

    def signal(self, edge: Edge, t: int) -> str:
        """The node that an edge reads at step t."""
        if t >= edge.delay:
            return self.outputs[edge.source, t - edge.delay]
        return self.zero(self.graph.shapes[edge.source])

    @property
    def first(self) -> str:
        """The node that enters first: the image, or a sequence's frame at step 0."""
        return INPUT if isinstance(self.graph.code, InputCode) else self.outputs[INPUT, 0]

    def zero(self, shape: Shape) -> str:
        """A node of that shape that is zero everywhere: a convolution of the image with weight 0.

        Its stride and padding only serve to reach the shape; nothing but the image is there at step 0 to be reshaped.
        """
        given, first = self.graph.input_shape, self.first
        role = "zero" + "x".join(map(str, shape))
        if shape == given:
            return self.node("Scale", INPUT, NO_STEP, role, [first], scale=spread(floats(0), shape))
        if len(given) == 1:
            weight = np.zeros((*shape, *given), np.float32)
            return self.node("Linear", INPUT, NO_STEP, role, [first], weight=weight)
        spatial = (*(1,) * (len(given) - len(shape)), *shape[1:])
        flat = len(shape) < len(given)
        fit = [_reach(n, wanted) for n, wanted in zip(given[1:], spatial)]
        name = self.convolution(
            INPUT,
            NO_STEP,
            role + "-unflattened" if flat else role,
            first,
            given,
            weight=np.zeros((shape[0], given[0], *(1,) * len(spatial)), np.float32),
            bias=np.zeros(shape[0], np.float32),
            stride=[s for s, _ in fit],
            padding=[p for _, p in fit],
        )
        return self.flatten(INPUT, NO_STEP, role, name, (shape[0], *spatial), len(shape)) if flat else name

    def convolution(
        self,
        layer: str,
        step: int,
        role: str,
        source: str,
        given: Shape,
        *,
        weight: Array,
        bias: Array,
        stride: Sequence[int],
        padding: Sequence[int] | None = None,
        dilation: Sequence[int] | None = None,
    ) -> str:
        """A `Conv1d` or `Conv2d` node. given: the shape that enters it."""
        axes = len(given) - 1
        numbers = {"stride": stride, "padding": padding or [0] * axes, "dilation": dilation or [1] * axes}
        geometry = {key: integers(value if axes == 2 else value[0]) for key, value in numbers.items()}
        size = integers(given[1:] if axes == 2 else given[1])
        return self.node(
            f"Conv{axes}d", layer, step, role, [source], input_shape=size, weight=weight, bias=bias, groups=integers(1),
            **geometry,
        )  # fmt: skip

    def flatten(self, layer: str, step: int, role: str, source: str, given: Shape, axes: int = 1) -> str:
        """A `Flatten` node that leaves that many axes; axes are counted from the end, so a batch axis does not matter.

        given: the shape that enters it.
        """
        start = -1 - (len(given) - axes)
        return self.node(
            "Flatten", layer, step, role, [source],
            input_type=integers(given), start_dim=integers(start), end_dim=integers(-1),
        )  # fmt: skip

    def _frame(self, t: int) -> str:
        """The node of one input frame."""
        code, shape = self.graph.code, self.graph.input_shape
        if not isinstance(code, InputCode):  # a sequence: every frame has its own input node
            return self.node("Input", INPUT, t, "output", (), shape=integers(shape))
        if code.analog[t]:
            return INPUT
        terms = [self._jump(level, weight) for level, weight in code.jumps(t)]
        if len(terms) == 1:
            return terms[0]
        if not terms:
            return self.zero(shape)
        return self.node("Scale", INPUT, t, "output", terms, scale=spread(floats(1), shape))

    def _jump(self, level: int, weight: int) -> str:
        """`weight` where the pixel is at least `level`; steps share these nodes."""
        shape, role = self.graph.input_shape, f"level{level:03d}"
        above = self.node("Threshold", INPUT, NO_STEP, role, [INPUT], threshold=spread(floats(level - 0.5), shape))
        if weight == 1:
            return above
        return self.node("Scale", INPUT, NO_STEP, f"{role}.x{weight}", [above], scale=spread(floats(weight), shape))

    def finished(self) -> Unrolled:
        """The nodes that reach the logits, and apart from them those that only hold tables."""
        answer = self.graph.readout.name
        shape = self.graph.shapes[answer]
        logits = [self.memory[answer], *self._loose_ends(shape)]
        self.node("Output", answer, NO_STEP, "logits", logits, shape=integers(shape))
        live = self._ancestors("output")
        used = {name: node for name, node in self.nodes.items() if name in live}
        return Unrolled(used, {name: self.nodes[name] for name in sorted(self._holding_tables - live)})

    def _loose_ends(self, classes: Shape) -> list[str]:
        """Spikes and frames that would arrive too late to matter, tied to the logits by weights of zero.

        So that every spike of the network is in the file, whoever evaluates it, and every frame has its input.
        """
        if len(classes) != 1:
            return []
        live = self._ancestors(self.memory[self.graph.readout.name])
        ties = []
        for (layer, t), name in self.outputs.items():
            kept = self.graph.code.kind == "sequence" if layer == INPUT else self.graph.by_name[layer].fires
            if kept and name not in live:
                shape = self.graph.shapes[layer]
                flat = name if len(shape) == 1 else self.flatten(layer, t, "loose-flat", name, shape)
                weight = spread(floats(0), (*classes, math.prod(shape)))
                ties.append(self.node("Linear", layer, t, "loose", [flat], weight=weight))
        return ties

    def _ancestors(self, name: str) -> set[str]:
        """A node and all that it depends on."""
        found: set[str] = set()
        waiting = [name]
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting.extend(self.nodes[name].sources)
        return found


def _reach(given: int, wanted: int) -> tuple[int, int]:
    """Stride and padding with which a kernel of 1 turns `given` positions into `wanted`, with the smallest stride."""
    for stride in range(1, given + 2):
        for total in range((wanted - 1) * stride, wanted * stride):
            if total >= given - 1 and (total - given + 1) % 2 == 0:
                return stride, (total - given + 1) // 2
    raise AssertionError("a stride of given + 1 always fits")
