"""NIR files evaluated naively: every node of NIR 1.0.8 by explicit rules, one sample, one step and one node at a time.

Written from docs/other-tools.md and docs/nir.md, never from asnn-deploy's code, which it does not import; files are read
and windows summed by conformance/loop.py. rules: what `asnn-deploy inspect` prints, by name: dt, reset, feedback_reset,
integration, fires, spikes, update, taus, start, minimum, and nodes, `(node, rule, value)`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from loop import convolve, pool, read
from naive_cells import SPIKING, STATEFUL, Cell, Precision
from naive_fields import Refused, check_fields
from neurons import Array

LONGEST, NEARLY = 2**16, 1e-3
"""Of delays: the most steps, and how far from whole steps they may be."""


@dataclass
class Ran:
    """A sample's `spikes` and `potentials` [T, ...] by node, and the `output` [T, ...].

    exact: whether float32 holds all numbers up to each step, in whatever order they are summed, [T]. margin: the least
    distance of a potential from where its neuron would send another number of spikes, [T]. largest: the largest
    magnitude up to each step, [T].
    """

    spikes: dict[str, Array]
    potentials: dict[str, Array]
    output: Array
    exact: list[bool]
    margin: list[float]
    largest: list[float]


class Network:
    """One file. Raises Refused for what the documents call undefined."""

    def __init__(self, path: Path, rules: dict[str, Any]) -> None:
        nodes, self.edges = read(path)
        self.nodes = {name: check_fields(node) for name, node in nodes.items()}
        self.kinds = {name: node["type"] for name, node in nodes.items()}
        self.rules, self.seen, self.margin = rules, Precision(), np.inf
        self.check_edges()
        self.input, self.output = self.only("Input", 1), self.only("Output", 0)
        self.wires = self.find_wires()
        self.late = self.find_late()
        self.shapes = self.find_shapes()

    # What is read by what

    def check_edges(self) -> None:
        if len(set(self.edges)) < len(self.edges):
            raise Refused("an edge stands twice")
        if any(name not in self.nodes for edge in self.edges for name in edge):
            raise Refused("an edge leads to a node that is not there")

    def only(self, kind: str, end: int) -> str:
        found = [n for n, k in self.kinds.items() if k == kind and all(edge[end] != n for edge in self.edges)]
        if len(found) != 1:
            raise Refused(f"the network has {len(found)} nodes of kind {kind}")
        return found[0]

    def sources(self, name: str) -> list[str]:
        return [a for a, b in self.edges if b == name]

    def find_wires(self) -> list[tuple[str, str, int]]:
        """Source, reader, and how many steps later. A node that passes one signal on is as good as an edge."""
        for name in self.nodes:
            if name != self.input and not self.sources(name):
                raise Refused("nothing leads to a node")
            if name != self.output and not reaches(name, self.output, self.edges):
                raise Refused("a node does not lead to the output")
        delays = {n: self.delay(n) if k == "Delay" else 0 for n, k in self.kinds.items()}
        ends = {self.input, self.output}
        passing = {n for n, k in self.kinds.items() if k in ("Delay", "Input", "Output") and n not in ends}
        passing = {name for name in passing if len(self.sources(name)) == 1}
        self.computed = [name for name in self.nodes if name not in passing]
        found = []
        for source, target in self.edges:
            if target in passing:
                continue
            steps, passed = delays[source], [source]
            while source in passing:
                source = self.sources(source)[0]
                if source in passed:
                    raise Refused("a cycle passes no node that does anything")
                passed.append(source)
                steps += delays[source]
            if steps > LONGEST:
                raise Refused("a delay is too long")
            found.append((source, target, steps))
        return found

    def delay(self, name: str) -> int:
        steps = np.asarray(self.nodes[name]["delay"], np.float64).ravel() / self.rules["dt"]
        if np.abs(steps - np.round(steps)).max() > NEARLY or len(set(np.round(steps))) > 1:
            raise Refused("delays differ within a node, or are not whole steps")
        return int(np.round(steps[0]))

    def find_late(self) -> set[tuple[str, str]]:
        """The wires that take a step because a cycle needs it: those of a spiking node to nodes of its cycle."""
        now = [(a, b) for a, b, steps in self.wires if steps == 0]
        late = {(a, b) for a, b in now if self.kinds[a] in SPIKING and reaches(b, a, now)}
        if any(reaches(name, name, [wire for wire in now if wire not in late]) for name in self.nodes):
            raise Refused("a cycle has no place that is a step later")
        if any(sum(self.kinds[name] in SPIKING for name in cycle) > 1 for cycle in cycles(self.nodes, now)):
            raise Refused("a cycle passes several spiking neurons")
        return late

    def find_shapes(self) -> dict[str, tuple[int, ...]]:
        """What leaves each node, from the input and the weights on."""
        shapes = {n: np.shape(self.nodes[n]["weight"])[:1] for n, k in self.kinds.items() if k in ("Affine", "Linear")}
        shapes[self.input] = tuple(int(n) for n in np.ravel(self.nodes[self.input]["shape"]))
        while True:
            arriving = {(b, shapes[a]) for a, b in self.edges if a in shapes}
            found = {name: self.apply(name, np.zeros(shape)).shape for name, shape in arriving}
            if len(arriving) > len(found) or any(shapes.get(name, shape) != shape for name, shape in found.items()):
                raise Refused("what a node reads has different shapes")
            if found.keys() <= shapes.keys():
                break
            shapes |= found
        if shapes.keys() != self.nodes.keys():
            raise Refused("a shape cannot be found")
        return shapes

    # What a node computes

    def numbers(self, name: str, shape: tuple[int, ...]) -> dict[str, Array]:
        """A node's parameters: one number, or along each axis as many as the signal has or one."""
        found = {k: np.asarray(v, np.float64) for k, v in self.nodes[name].items() if k != "type"}
        for key, value in found.items():
            fits = value.ndim == len(shape) and all(n in (1, most) for n, most in zip(value.shape, shape))
            if value.size > 1 and not fits:
                raise Refused(f"{key} does not fit what its node reads")
        return {key: value.reshape(()) if value.size == 1 else value for key, value in found.items()}

    def apply(self, name: str, x: Array) -> Array:
        """What a node without a state sends; of another, only its shape."""
        node, kind = self.nodes[name], self.kinds[name]
        if kind in STATEFUL or kind == "Delay":
            self.numbers(name, x.shape)
            return x
        if kind in ("Input", "Output"):
            if np.prod(node["shape"]) != x.size:
                raise Refused("a shape says something else than what arrives")
            return x
        if kind == "Threshold":
            above = x - self.numbers(name, x.shape)["threshold"]
            self.margin = min(self.margin, float(np.abs(above).min()))
            return (above > 0).astype(float)
        if kind == "Scale":
            scale = self.numbers(name, x.shape)["scale"]
            self.seen.note((scale, x))
            return scale * x
        if kind == "Flatten":
            first, last = (int(n) + x.ndim * (n < 0) for n in (node.get("start_dim", 1), node.get("end_dim", -1)))
            if not 0 <= first <= last < x.ndim or np.size(node.get("input_type", x.shape)) != x.ndim:
                raise Refused("Flatten names axes that are not there")
            return x.reshape(*x.shape[:first], -1, *x.shape[last + 1 :])
        return self.pooled(node, x) if kind.endswith("Pool2d") else self.weighted(node, x)

    def pooled(self, node: dict[str, Any], x: Array) -> Array:
        window = int(np.prod(np.broadcast_to(node["kernel_size"], 2)))
        share = 1 / window if node["type"] == "AvgPool2d" else 1.0
        self.seen.note((1, x), (share, x), terms=window)
        return share * fed(3, x, lambda: pool(x[None], {"stride": node["kernel_size"], "padding": 0} | node)[0])

    def weighted(self, node: dict[str, Any], x: Array) -> Array:
        weight, bias = np.asarray(node["weight"], np.float64), np.asarray(node.get("bias", 0.0), np.float64).ravel()
        if bias.size not in (1, len(weight)):
            raise Refused("a bias has another size than its weight has outputs")
        self.seen.note((weight, x), (1, bias), terms=weight[0].size)
        if weight.ndim == 2:
            return fed(1, x, lambda: weight @ x + bias)
        if len(x) != weight.shape[1] * node["groups"] or len(weight) % node["groups"]:
            raise Refused("a convolution's weights do not fit what it reads")
        if np.any(np.ravel(node.get("input_shape", 0)) != x.shape[1:]) and np.all(node.get("input_shape", 0)):
            raise Refused("input_shape says something else than what arrives")
        node = node | {"bias": np.broadcast_to(bias, len(weight))}
        if node["type"] == "Conv2d":
            return fed(3, x, lambda: convolve(x[None], node)[0])
        along = {key: (least, node[key]) for key, least in (("stride", 1), ("dilation", 1), ("padding", 0))}
        along = {key: n if isinstance(n, str) else (least, int(np.ravel(n)[0])) for key, (least, n) in along.items()}
        node |= along | {"weight": weight[:, :, None]}
        return fed(2, x, lambda: convolve(x[None, :, None], node)[0, :, 0])

    # Steps

    def run(self, x: Array) -> Ran:
        """Run one sample [T, ...]."""
        self.seen, self.sent = Precision(), []
        self.cells = {name: self.cell(name) for name in self.nodes if self.kinds[name] in STATEFUL}
        potentials: dict[str, list[Array]] = {name: [] for name in self.cells}
        kept = []
        for frame in np.asarray(x, np.float64):
            self.sent.append({self.input: frame.reshape(self.shapes[self.input])})
            self.margin = np.inf
            for name in self.computed:
                self.value(name)
            for name, cell in self.cells.items():
                potentials[name].append(cell.state["v"][0])
            all_seen = [self.seen, *(cell.seen for cell in self.cells.values())]
            margin = min([self.margin, *(cell.margin for cell in self.cells.values())])
            kept.append((all(seen.exact for seen in all_seen), margin, max(seen.largest for seen in all_seen)))
        sent = {name: np.stack([now[name] for now in self.sent]) for name in self.computed}
        spikes = {name: values for name, values in sent.items() if self.kinds[name] in SPIKING}
        return Ran(spikes, {k: np.stack(v) for k, v in potentials.items()}, sent[self.output], *map(list, zip(*kept)))

    def cell(self, name: str) -> Cell:
        own = {rule: value for node, rule, value in self.rules["nodes"] if node == name}
        own |= {"feedback_reset": None} if "reset" in own else {}
        looped = reaches(name, name, [(a, b) for a, b, _ in self.wires])
        shape = self.shapes[name]
        return Cell(self.kinds[name], self.numbers(name, shape), self.rules | own, looped, shape)

    def value(self, name: str) -> Array:
        """What a node sends at the present step; it is computed once."""
        now = self.sent[-1]
        if name not in now:
            x, cell = self.total(name), self.cells.get(name)
            now[name] = self.apply(name, x) if cell is None else cell.step(x[None], cell.emit())[0][0]
        return now[name]

    def total(self, name: str) -> Array:
        """The sum of what arrives, each signal of its own step; before the first step nothing was sent."""
        arriving = []
        for source, target, steps in self.wires:
            if target == name:
                steps += steps == 0 and (source, target) in self.late
                if steps >= len(self.sent):
                    arriving.append(np.zeros(self.shapes[source]))
                else:
                    arriving.append(self.sent[-1 - steps][source] if steps else self.value(source))
        self.seen.note(*((1, x) for x in arriving))
        return np.sum(arriving, axis=0)


def reaches(start: str, end: str, wires: list[tuple[str, str]]) -> bool:
    """Whether a path of one wire or more leads from start to end."""
    found: set[str] = set()
    waiting = [start]
    while waiting:
        here = waiting.pop()
        new = {b for a, b in wires if a == here} - found
        found |= new
        waiting += new
    return end in found


def cycles(names: Any, wires: list[tuple[str, str]]) -> Iterator[list[str]]:
    """All cycles that pass no node twice."""

    def onwards(path: list[str]) -> Iterator[list[str]]:
        for b in {b for a, b in wires if a == path[-1]}:
            if b == path[0]:
                yield path
            elif b not in path:
                yield from onwards([*path, b])

    for start in names:
        yield from onwards([start])


def fed(axes: int, x: Array, compute: Callable[[], Array]) -> Array:
    """What is computed of a signal of so many axes. Raises Refused for another one."""
    if x.ndim != axes:
        raise Refused("a node cannot read a signal of that many axes")
    try:
        return compute()
    except ValueError:
        raise Refused("a node cannot read a signal of that size") from None
