"""Draws NIR networks that are right, node by node, with numbers on coarse grids, and the rules by which to read them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np
from hypothesis import strategies as st
from naive_nir import reaches
from nir_files import node

from asnn_deploy.conventions import meaning, tools
from asnn_deploy.ir.meaning import FIRES, INTEGRATIONS, RESETS, STARTS, TAUS, UPDATES, Meaning
from asnn_deploy.ir.neurons.firing import IMMEDIATE

STEPS, SAMPLES = 6, 2
EIGHTHS = np.array([0, 4, 8, -4, -8, 2, 6, -2, 12, 1, 3, -1, -3, 16, -6, 5]) / 8
"""Weights, the simplest first."""
VALUES = np.array([0, 1, 1, 0, -1, 2, 0.5, -0.5, 3, -2, 0.25, 1.5, 0, 1, 1, 0])
"""Inputs."""
NAMES = ["b", "a", "c", "lif", "d d", "x-y", "x_y", "ü", "z", "1", "fc", "m", "n", "o", "p", "q", "r", "s", "t", "u"]
"""Of nodes; two of them have the same plain name."""


def numbers(draw, values, *shape):
    """An array of some of sixteen values, float32."""
    count = math.prod(shape)
    return (
        values[np.frombuffer(draw(st.binary(min_size=count, max_size=count)), np.uint8) % 16]
        .reshape(shape)
        .astype(np.float32)
    )


@st.composite
def meanings(draw):
    """Rules, a tool's or any that go together."""
    dt = draw(st.sampled_from([2.0**-10, 1.0, 1e-4]))
    if draw(st.integers(0, 3)) == 3:
        # An exporter's errors are in files of its own only: the conformance cases hold how they are put right.
        return replace(meaning(draw(st.sampled_from(tools())), dt=dt), mends=())
    fires, reset = draw(st.sampled_from(list(FIRES))), draw(st.sampled_from(list(RESETS)))
    several = fires == "at" and reset in IMMEDIATE and draw(st.booleans())
    return Meaning(
        dt=dt,
        reset=reset,
        integration=draw(st.sampled_from(["euler", "euler", "euler", *INTEGRATIONS])),
        fires=fires,
        spikes="many" if several else "one",
        update=draw(st.sampled_from(list(UPDATES))),
        feedback_reset=draw(st.sampled_from([None, None, None, *(RESETS if not several else IMMEDIATE)])),
        taus=draw(st.sampled_from(["as written", *TAUS])),
        start=draw(st.sampled_from(["zero", *STARTS])),
        minimum=draw(st.sampled_from([None, None, 0.0, -0.5, -2.0])),
    )


@dataclass
class Growing:
    """A graph that grows node by node. shapes: what leaves each node."""

    draw: st.DrawFn
    told: Meaning
    entry: tuple[int, ...]
    depth: int
    nodes: dict = field(default_factory=dict)
    edges: list = field(default_factory=list)
    shapes: dict = field(default_factory=dict)

    def __post_init__(self):
        self.dt = float(np.float32(self.told.dt))
        self.free = self.draw(st.permutations(NAMES))
        self.shapes["input"] = self.entry
        self.nodes["input"] = node("Input", shape=np.array(self.entry))

    def one_of(self, values):
        return self.draw(st.sampled_from(list(values)))

    def grow(self, most):
        """Add up to so many nodes, and edges back; return the graph and the shape of what leaves it."""
        for _ in range(self.one_of(range(1, most + 1))):
            self.add(*self.one_of(self.kinds_for(reading := self.reading())), reading)
        for _ in range(self.one_of([0, 0, 1, 1, 2])):
            self.feed_back()
        return {"nodes": self.nodes, "edges": self.edges}, self.end()

    def reading(self):
        """The nodes that a new one reads, all of one shape; the latest ones rather than others."""
        names = list(self.shapes)[::-1]
        first = self.one_of([names[0], *names])
        same = [name for name in names if self.shapes[name] == self.shapes[first] and name != first]
        return [first, *(self.draw(st.lists(st.sampled_from(same), max_size=2, unique=True)) if same else [])]

    def kinds_for(self, reading):
        """Makers of nodes that read such a signal, with their kinds."""
        neurons = ["LIF", "IF", "CubaLIF", "LI", "CubaLI", "I", "Threshold"]
        found = [(self.neuron, kind) for kind in neurons] + [(self.scale, "Scale"), (self.delay, "Delay")]
        axes = len(self.shapes[reading[0]])
        weights = {
            1: [(self.linear, "Affine"), (self.linear, "Linear")],
            2: [(self.conv, "Conv1d")],
            3: [(self.conv, "Conv2d")],
        }
        found = [*(weights[axes] * (3 if axes == 1 else 5)), *found, (self.flatten, "Flatten")]
        if axes == 3:
            found += [(self.pool, "AvgPool2d"), (self.pool, "SumPool2d")]
        return found + ([(self.nested, "NIRGraph")] * 2 if self.depth else [])

    def add(self, make, kind, reading):
        name = self.free.pop()
        made, shape = make(kind, self.shapes[reading[0]])
        self.place(name, made, shape, reading)

    def place(self, name, made, shape, reading):
        self.nodes[name], self.shapes[name] = made, shape
        self.edges += [(source, name) for source in reading]

    def feed_back(self):
        """An edge from a node to one that it may hang on, by itself, or with weights or a delay on the way."""
        target = self.one_of([name for name in self.nodes if name != "input"])
        reads = self.shapes[next(source for source, reader in self.edges if reader == target)]
        sources = [name for name in self.nodes if self.shapes[name] == reads and name != "input"]
        spiking = [name for name in sources if self.nodes[name].get("type") in ("IF", "LIF", "CubaLIF", "Threshold")]
        if not sources:
            return
        source, way = self.one_of(spiking or sources), self.one_of(["straight", "weights", "delay", "alone"])
        if source not in spiking:
            way = self.one_of([way, "delay", "delay"])
        if way == "alone" and len(reads) == 1:  # a loop that the input does not reach
            self.place(biased := self.free.pop(), *self.linear("Affine", reads, *reads), [])
            self.place(name := self.free.pop(), *self.neuron("LIF", reads), [biased])
            self.edges += [(name, biased), (name, target)]
            return
        if way == "straight":
            self.edges += [(source, target)] if (source, target) not in self.edges else []
            return
        if way == "delay":
            made = node("Delay", delay=np.float32(self.dt * self.one_of([1, 2])))
        else:
            made = (self.linear("Affine", reads, *reads) if len(reads) == 1 else self.scale("Scale", reads))[0]
        self.place(name := self.free.pop(), made, reads, [source])
        self.edges.append((name, target))

    def end(self):
        """Lead all that nobody reads to the output, which adds it; return its shape."""
        loose: list[str] = []
        for name in [*self.shapes][::-1]:  # a loop that nothing leaves, too
            if not any(name == end or reaches(name, end, self.edges) for end in loose):
                loose.append(name)
        shape = self.shapes[loose[0]]
        if any(self.shapes[name] != shape for name in loose) and len(shape) > 1:
            shape = (2,)
        for name in loose:
            if self.shapes[name] != shape and len(self.shapes[name]) > 1:
                count = math.prod(self.shapes[name])
                self.place(flat := self.free.pop(), node("Flatten", start_dim=0), (count,), [name])
                name = flat
            if self.shapes[name] != shape:
                self.place(bridge := self.free.pop(), *self.linear("Affine", self.shapes[name], *shape), [name])
                name = bridge
            self.edges.append((name, "output"))
        self.nodes["output"] = node("Output", shape=np.array(shape))
        return shape

    # Nodes: what they are made of, and the shape of what leaves them

    def spread(self, values, shape):
        """A parameter: one number, with axes or without, one for each channel, or one for each element."""
        shapes = [(), (), (1,), (1,) * len(shape), shape, (shape[0], *(1,) * (len(shape) - 1))]
        values = np.array([values[i % len(values)] for i in range(16)])
        return numbers(self.draw, values, *self.one_of(shapes))

    def neuron(self, kind, shape):
        usual = node(kind)
        steps = [2, 2, 4, 1, 8, 2, 4, 0.5, *([3] if self.one_of([False] * 4 + [True]) else [])]
        written = self.dt**2 if self.told.taus == "times dt" else self.dt
        whole = self.one_of(steps)
        values = {
            "tau": np.array(steps) * written,
            "tau_syn": np.array(steps) * written,
            "r": [1, 1, 2, 0.5, 1 / self.dt] if kind in ("IF", "I") else [1, 1, 2, 0.5],
            "w_in": [1, 1, 2, 0.5],
            "v_leak": [0, 0, 0, 0.5, -0.25, 1],
            "v_threshold": [1, 0.5, 0.25, 2],
            "v_reset": [0, 0, 0.25, -0.5],
            "threshold": [0.5, 1, 0, -0.25],
        }
        values["tau_mem"] = values["tau"]
        keys = [key for key in usual if key != "type"] + [key for key in ("v_reset",) if "v_threshold" in usual]
        keys += ["w_in"] if kind.startswith("Cuba") else []
        made = {"type": kind} | {key: self.spread(values[key], shape) for key in keys}
        if self.one_of([False, False, True]) and kind not in ("Threshold", "IF", "I"):  # as exporters write gains of 1
            tau = "tau_mem" if kind.startswith("Cuba") else "tau"
            made |= {tau: np.float32(whole * written), "r": np.float32(whole)}
            if kind.startswith("Cuba"):
                made |= {"tau_syn": np.float32(whole * written), "w_in": np.float32(whole)}
        for key in ("v_reset", "w_in"):  # as older files
            if key in made and self.one_of([False, False, True]):
                del made[key]
        return made, shape

    def scale(self, kind, shape):
        return node(kind, scale=self.spread([0.5, 1, -1, 2, -0.5], shape)), shape

    def delay(self, kind, shape):
        steps = self.one_of([1, 0, 2, 7])
        return node(kind, delay=np.full(self.one_of([(), (1,), shape]), np.float32(steps * self.dt))), shape

    def linear(self, kind, shape, outputs=None):
        outputs = outputs or self.one_of([2, 1, 3, *shape])
        made = node(kind, weight=numbers(self.draw, EIGHTHS, outputs, *shape))
        return made | ({"bias": numbers(self.draw, EIGHTHS, outputs)} if kind == "Affine" else {}), (outputs,)

    def conv(self, kind, shape):
        groups = self.one_of([1, 1, 1, *(n for n in (2, 3) if shape[0] % n == 0)])
        outputs = groups * self.one_of([1, 2])
        sizes = shape[1:]
        kernel = tuple(self.one_of([k for k in (1, 2, 3) if k <= n]) for n in sizes)
        stride = tuple(self.one_of([1, 1, 2]) for _ in sizes)
        padding = self.one_of(["valid", "same", 0, 1, "each"])
        dilation = tuple(self.one_of([d for d in (1, 1, 2) if (k - 1) * d < n]) for k, n in zip(kernel, sizes))
        spans = [(k - 1) * d for k, d in zip(kernel, dilation)]
        if padding == "same":
            stride = (1,) * len(sizes)
            dilation = tuple(1 if k % 2 == 0 else d for k, d in zip(kernel, dilation))
            leaving = sizes
        else:
            pads = [self.one_of([0, 1]) if padding == "each" else 0 if padding == "valid" else padding for _ in sizes]
            padding = np.array(pads) if padding == "each" else padding
            leaving = tuple((n + 2 * p - span - 1) // s + 1 for n, p, span, s in zip(sizes, pads, spans, stride))
        made = node(kind, weight=numbers(self.draw, EIGHTHS, outputs, shape[0] // groups, *kernel), groups=groups)
        made |= {"stride": np.array(stride), "padding": padding, "dilation": np.array(dilation)}
        made |= {"bias": numbers(self.draw, EIGHTHS, outputs)} if self.one_of([True, False]) else {}
        made |= {"input_shape": np.array(self.one_of([sizes, (0,) * len(sizes)]))} if self.one_of([True, False]) else {}
        return made, (outputs, *leaving)

    def pool(self, kind, shape):
        kernel = tuple(self.one_of([k for k in (1, 2, 3) if k <= n]) for n in shape[1:])
        stride, pads = ([self.one_of(allowed) for _ in kernel] for allowed in ([1, 2], [0, 0, 1]))
        pads = [min(pad, k // 2) for pad, k in zip(pads, kernel)]
        made = node(kind, kernel_size=np.array(kernel), stride=np.array(stride), padding=np.array(pads))
        if self.one_of([False, False, True]):
            made, stride, pads = node(kind, kernel_size=np.array(kernel)), kernel, [0, 0]
        leaving = ((n + 2 * pad - k) // s + 1 for n, pad, k, s in zip(shape[1:], pads, kernel, stride))
        return made, (shape[0], *leaving)

    def flatten(self, kind, shape):
        first = self.one_of(range(len(shape)))
        last = self.one_of(range(first, len(shape)))
        start, end = (self.one_of([n, n - len(shape)]) for n in (first, last))
        made = node(kind, start_dim=start, end_dim=end)
        if (first, last) == (1, len(shape) - 1) and self.one_of([False, True]):
            made = node(kind)
        if self.one_of([False, True]):
            made["input_type"] = {"input": np.array(shape)}
        return made, (*shape[:first], math.prod(shape[first : last + 1]), *shape[last + 1 :])

    def nested(self, kind, shape):
        return Growing(self.draw, self.told, shape, self.depth - 1).grow(2)


@dataclass
class Drawn:
    """A network as `nir_files.write` takes it, the rules to read it by, and samples [N, T, ...].

    own: rules of single nodes, (node, rule, value).
    """

    nodes: dict
    edges: list
    told: Meaning
    own: tuple
    samples: np.ndarray


@st.composite
def networks(draw):
    """A network that is right but for cycles, which may pass none or several spiking neurons."""
    told = draw(meanings())
    entry = draw(st.sampled_from([(2,), (1,), (3,), (2, 4), (1, 3), (2, 3, 3), (1, 3, 4), (3, 2, 2)]))
    graph, _ = Growing(draw, told, entry, depth=2).grow(5)
    spiking = [name for name, made in members(graph) if made["type"] in ("IF", "LIF", "CubaLIF")]
    own = ()
    if spiking and told.spikes == "one" and draw(st.booleans()):
        rule, values = draw(st.sampled_from([("reset", RESETS), ("fires", FIRES), ("update", UPDATES)]))
        own = ((draw(st.sampled_from(spiking)), rule, draw(st.sampled_from(list(values)))),)
    return Drawn(graph["nodes"], graph["edges"], told, own, numbers(draw, VALUES, SAMPLES, STEPS, *entry))


def members(graph, outer=""):
    """The nodes of a graph and of those in it, by their full names."""
    for name, made in graph["nodes"].items():
        yield from members(made, f"{outer}{name}.") if "nodes" in made else [(outer + name, made)]
