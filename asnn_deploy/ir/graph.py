"""DeployGraph: a trained network, ready to be carried anywhere.

A graph is an input code, layers (`layers/`), and edges between them. It is frozen, compared by content, validated
when made, and imports neither torch nor any target.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property, wraps
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np

from asnn_deploy.errors import GraphError
from asnn_deploy.ir.inputs import Input
from asnn_deploy.ir.layers import Layer, Neuron, Readout, Shape, Synapses
from asnn_deploy.ir.meaning import Meaning
from asnn_deploy.ir.quantization import Quantization
from asnn_deploy.ir.shown import as_html, in_words
from asnn_deploy.ir.step_table import StepTable

R = TypeVar("R")
INPUT = "input"
"""The edge source that stands for the coded input frames."""


@dataclass(frozen=True, order=True)
class Edge:
    """A signal from `source` (a layer or "input") to `target`, `delay` whole time steps later."""

    source: str
    target: str
    delay: int = 0


@dataclass(frozen=True, repr=False)
class DeployGraph:
    """A network with its input code.

    input_shape: of an image `(C, H, W)`, or of a sequence's frames.
    code: what enters: an image and its coding (`images.InputCode`), or a sequence of frames (`inputs.SequenceInput`).
    layers: in topological order of the edges without delay.
    edges: who feeds whom; the order of a layer's edges is the order of its inputs.
    arithmetic: "float32" or "fixed" (integer tables, see `fixed_point.py`).
    dt: the length of one time step in seconds.
    quantization: the choices of the integer version, made on data (see `quantize`).
    meaning: the rules by which the NIR file of another tool was read; None if it came from nowhere else.

    Raises GraphError from every broken rule, naming the layer.
    """

    input_shape: Shape
    code: Input
    layers: tuple[Layer, ...]
    edges: tuple[Edge, ...]
    arithmetic: str = "float32"
    dt: float = 1e-3
    quantization: Quantization = field(default_factory=Quantization)
    meaning: Meaning | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "input_shape", tuple(int(n) for n in self.input_shape))
        object.__setattr__(self, "layers", tuple(self.layers))
        object.__setattr__(self, "edges", tuple(self.edges))
        validate(self)

    def __repr__(self) -> str:
        return in_words(self)

    def _repr_html_(self) -> str:
        return as_html(self)

    def __hash__(self) -> int:
        return hash((self.input_shape, self.code, self.layers, self.edges, self.arithmetic))

    @classmethod
    def chain(cls, input_shape: Shape, code: Input, layers: Iterable[Layer], **others: Any) -> DeployGraph:
        """A graph whose layers follow each other."""
        layers = tuple(layers)
        names = [INPUT, *(layer.name for layer in layers)]
        return cls(input_shape, code, layers, tuple(Edge(a, b) for a, b in pairwise(names)), **others)

    @property
    def time_steps(self) -> int:
        """T. Raises GraphError if sequences of any length may enter; `over(T)` gives the network for one length."""
        if self.code.time_steps is None:
            raise GraphError("the network takes sequences of any length; say over how many time steps it is to run")
        return self.code.time_steps

    @property
    def any_length(self) -> bool:
        """Whether sequences of any length may enter: every table is then the same at all steps, and holds one."""
        return self.code.time_steps is None

    def over(self, time_steps: int) -> DeployGraph:
        """Return the network for sequences of that many steps; itself if it is for one length."""
        if not self.any_length:
            return self
        known: dict[int, DeployGraph] = vars(self).setdefault("lengths", {})
        if time_steps not in known:
            layers = tuple(layer.with_tables(lambda t: StepTable(t.values, [0] * time_steps)) for layer in self.layers)
            known[time_steps] = replace(self, code=replace(self.code, steps=time_steps), layers=layers)  # type: ignore[type-var]
        return known[time_steps]

    @cached_property
    def by_name(self) -> dict[str, Layer]:
        """Layers by name."""
        return {layer.name: layer for layer in self.layers}

    @cached_property
    def inputs_of(self) -> dict[str, tuple[Edge, ...]]:
        """The edges into each layer, in the order of its inputs."""
        return {layer.name: tuple(e for e in self.edges if e.target == layer.name) for layer in self.layers}

    @cached_property
    def shapes(self) -> dict[str, Shape]:
        """What leaves each layer (and "input"), for one sample and step."""
        return infer_shapes(self)

    @cached_property
    def readers_of(self) -> dict[str, tuple[Edge, ...]]:
        """The edges out of each layer, and of "input"."""
        return {name: tuple(e for e in self.edges if e.source == name) for name in (INPUT, *self.by_name)}

    @cached_property
    def position(self) -> dict[str, int]:
        """Where each layer stands in the order; "input" stands before the first."""
        return {INPUT: -1} | {layer.name: i for i, layer in enumerate(self.layers)}

    @cached_property
    def cycles(self) -> tuple[tuple[str, ...], ...]:
        """The sets of layers that reach each other, over delayed edges, each in the graph's order."""
        return find_cycles(self)

    def input_shape_of(self, name: str) -> Shape:
        """Return what enters a layer of one input, for one sample and step."""
        return self.shapes[self.inputs_of[name][0].source]

    def readers(self, name: str) -> tuple[Layer, ...]:
        """Return the layers that read a layer, or "input", once for each edge."""
        return tuple(self.by_name[e.target] for e in self.readers_of[name])

    def ancestors(self, name: str) -> set[str]:
        """Return all that a layer depends on, "input" and over delayed edges too; itself only if it is in a cycle."""
        found: set[str] = set()
        waiting = [name]
        while waiting:
            new = {e.source for e in self.inputs_of.get(waiting.pop(), ())} - found
            found |= new
            waiting += new
        return found

    @cached_property
    def neurons(self) -> tuple[Neuron, ...]:
        """The layers of neurons, in the model's order."""
        return tuple(layer for layer in self.layers if isinstance(layer, Neuron))

    @cached_property
    def spiking(self) -> tuple[Neuron, ...]:
        """The layers of neurons that send spikes; all but leaky integrators and their like."""
        return tuple(layer for layer in self.neurons if layer.definition.spikes)

    @cached_property
    def synapses(self) -> tuple[Synapses, ...]:
        """The layers that have weights, in the model's order."""
        return tuple(layer for layer in self.layers if isinstance(layer, Synapses))

    @cached_property
    def readout(self) -> Readout:
        """The answer's layer."""
        return next(layer for layer in self.layers if isinstance(layer, Readout))

    @property
    def classes(self) -> int:
        """The length of the answer."""
        return int(np.prod(self.shapes[self.readout.name]))

    @property
    def parameter_count(self) -> int:
        """How many numbers the step tables hold."""
        return sum(table.values.size for layer in self.layers for table in layer.tables().values())


def remembered(function: Callable[[DeployGraph], R]) -> Callable[[DeployGraph], R]:
    """Compute a function of a graph once for each graph; every layer of an executor asks the same questions."""

    @wraps(function)
    def asked(graph: DeployGraph) -> R:
        key = _key(function)
        if key not in vars(graph):
            vars(graph)[key] = function(graph)
        return vars(graph)[key]  # type: ignore[no-any-return]

    return asked


def remember(graph: DeployGraph, function: Callable[[DeployGraph], R], value: R) -> None:
    """Give a graph the answer of a remembered function that is known already."""
    vars(graph)[_key(function)] = value


def _key(function: Callable[..., Any]) -> str:
    return f"{function.__module__}.{function.__qualname__}"


def find_cycles(graph: DeployGraph) -> tuple[tuple[str, ...], ...]:
    """Return the sets of layers that reach each other, each in the graph's order."""
    if all(graph.position[e.source] < graph.position[e.target] for e in graph.edges):
        return ()
    before = {layer.name: graph.ancestors(layer.name) for layer in graph.layers}
    looped = [name for name in before if name in before[name]]
    sets = {tuple(b for b in looped if a == b or (a in before[b] and b in before[a])) for a in looped}
    return tuple(sorted(sets, key=lambda names: graph.position[names[0]]))


def check_neurons(graph: DeployGraph) -> None:
    """Raise GraphError unless every layer of neurons has what its model asks for (see `Neuron.check`)."""
    for neuron in graph.neurons:
        neuron.check(graph.arithmetic == "fixed")


def infer_shapes(graph: DeployGraph) -> dict[str, Shape]:
    """Shapes by name. Loops of delayed edges are resolved by passing over the layers until every shape is known."""
    shapes: dict[str, Shape] = {INPUT: graph.input_shape}
    unknown = list(graph.layers)
    while unknown:
        waiting = []
        for layer in unknown:
            known = [shapes[e.source] for e in graph.inputs_of[layer.name] if e.source in shapes]
            if layer.adds and known:  # what adds up has the shape of any summand
                shapes[layer.name] = known[0]
            elif len(known) == len(graph.inputs_of[layer.name]):
                shapes[layer.name] = layer.output_shape(*known)
            else:
                waiting.append(layer)
        if len(waiting) == len(unknown):  # a loop that nothing outside leads into
            fixed = next((layer for layer in waiting if layer.own_shape is not None), None)
            if fixed is None:
                raise waiting[0].refuse(
                    "its input shape cannot be found: a loop of delayed edges must pass through an add or a linear map"
                )
            shapes[fixed.name] = fixed.own_shape  # type: ignore[assignment]
            waiting.remove(fixed)
        unknown = waiting
    for layer in graph.layers:
        layer.output_shape(*(shapes[e.source] for e in graph.inputs_of[layer.name]))
    return shapes


def validate(graph: DeployGraph) -> None:
    """Raise GraphError from the first broken rule."""
    _validate_names(graph)
    _validate_edges(graph)
    for layer in graph.layers:
        for key, table in layer.tables().items():
            steps = 1 if graph.any_length else graph.time_steps
            if table.time_steps != steps:
                has = "takes sequences of any length: 1 is allowed" if graph.any_length else f"has {steps}"
                raise layer.refuse(f"{key} covers {table.time_steps} time steps, the graph {has}")
    if graph.arithmetic not in ("float32", "fixed"):
        raise GraphError(f"arithmetic {graph.arithmetic!r}, allowed: float32, fixed")
    if not 0 < graph.dt < math.inf:
        raise GraphError(f"dt = {graph.dt} s, must be positive and finite")
    infer_shapes(graph)


def _validate_names(graph: DeployGraph) -> None:
    seen = {INPUT}
    for layer in graph.layers:
        if not layer.name or not all(c.isalnum() or c in "_-." for c in layer.name):
            raise layer.refuse("a name has letters, digits, '_', '-' and '.' only")
        if layer.name in seen:
            raise layer.refuse("the name is taken; every layer needs its own")
        seen.add(layer.name)
    readouts = [layer.name for layer in graph.layers if layer.answers]
    if len(readouts) != 1:
        raise GraphError(f"a graph has exactly one readout, found {readouts or 'none'}")


def _validate_edges(graph: DeployGraph) -> None:
    position = graph.position
    for edge in graph.edges:
        for end in (edge.source, edge.target):
            if end not in position:
                raise GraphError(f"edge {edge.source!r} -> {edge.target!r}: there is no layer {end!r}")
        if edge.target == INPUT or edge.delay < 0:
            raise GraphError(
                f"edge {edge.source!r} -> {edge.target!r}, delay {edge.delay}: "
                "nothing leads into the input, and a delay is at least 0"
            )
        if edge.delay == 0 and position[edge.source] >= position[edge.target]:
            raise GraphError(
                f"edge {edge.source!r} -> {edge.target!r}: layers must stand in topological order; "
                "a recurrent connection needs a delay of at least 1"
            )
    for layer in graph.layers:
        found = len(graph.inputs_of[layer.name])
        if (layer.inputs is None and found < 2) or (layer.inputs is not None and found != layer.inputs):
            raise layer.refuse(f"takes {layer.inputs or 'two or more'} input(s), {found} edge(s) lead to it")
        if not layer.answers and not graph.readers_of[layer.name]:
            raise layer.refuse("leads nowhere: no edge leaves it")
