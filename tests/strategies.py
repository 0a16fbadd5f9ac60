"""Hypothesis draws networks: over all kinds of layers, neurons, granularities, recurrences, inputs and answers.

Structure is drawn piece by piece, so that a failing network shrinks to the pieces that it needs; weights are small
multiples of a power of two, so that every float sum is exact in any order.
"""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from networks import grid_weights

from asnn_deploy.input.coding import input_code
from asnn_deploy.ir.graph import INPUT, DeployGraph, Edge
from asnn_deploy.ir.inputs import SequenceInput
from asnn_deploy.ir.layers import Add, Concat, Conv, Flatten, Linear, Neuron, Pool, Product, Readout, Reshape, Scale
from asnn_deploy.ir.neurons import MODELS
from asnn_deploy.ir.step_table import StepTable

CODINGS = [("direct", 2), ("latency", 3), ("hybrid-latency", 3), ("embedding", 4), ("hybrid-embedding", 5)]
FIRING = ("lif", "if", "cuba-lif")
RANGES = {
    "leak": (0.2, 1.0),
    "gain": (0.3, 1.2),
    "current_leak": (0.2, 0.8),
    "threshold": (0.5, 1.5),
    "bias": (-0.1, 0.3),
    "recovery": (0.2, 0.9),
    "feedback": (-0.5, 0.0),
}
RULES = ("sum", "mean", "maximum", "last", "most-spikes", "first-spike")


class Drawing:
    """A network under construction; `last` is the layer that the next one reads, `shape` what leaves it."""

    def __init__(self, draw):
        self.draw = draw
        self.rng = np.random.default_rng(draw(st.integers(0, 999)))
        self.layers, self.edges, self.last = [], [], INPUT
        if draw(st.booleans()):
            coding, self.steps = draw(st.sampled_from(CODINGS))
            self.code = input_code(coding, self.steps)
        else:
            self.steps = draw(st.integers(1, 4))
            kind, most = draw(st.sampled_from([("spikes", 1), ("counts", 3), ("values", 2)]))
            self.code = SequenceInput(self.steps, kind, most)
        self.shape = self.input_shape = (draw(st.integers(1, 2)), draw(st.integers(2, 4)), draw(st.integers(2, 4)))

    def put(self, layer, *sources):
        """Add a layer that reads `sources`, by default the last one; edges may be given whole."""
        self.layers.append(layer)
        for source in sources or [self.last]:
            self.edges.append(source if isinstance(source, Edge) else Edge(source, layer.name))
        self.last = layer.name
        return layer.name

    def table(self, *shape, scale=1.0):
        """Weights, the same at all steps or different ones in turn."""
        kinds = self.draw(st.integers(1, 2))
        if self.last == INPUT and self.code.analog.any() and self.code.kind == "image":
            index, scales = self.code.analog.astype(int), [1.0, 2.0**-8]
            return StepTable(np.stack([grid_weights(self.rng, shape) * np.float32(s) for s in scales]), index)
        values = np.stack([grid_weights(self.rng, shape) * np.float32(scale) for _ in range(kinds)])
        return StepTable(values, np.arange(self.steps) % kinds)

    def real(self, low, high, *shape):
        """Any float32 values, other ones at each step."""
        return StepTable.per_step(self.rng.uniform(low, high, (self.steps, *shape)).astype(np.float32))

    def grain(self, shape):
        """A granularity of parameters."""
        return [(), shape[:1], (shape[0], *(1,) * (len(shape) - 1)), shape][self.draw(st.integers(0, 3))]

    def neurons(self, name, shape, models=FIRING):
        """A population of any model, granularity and reset."""
        grain, model = self.grain(shape), self.draw(st.sampled_from(models))
        parameters = {
            key: self.real(*RANGES[key], *grain)
            for key, parameter in MODELS[model].parameters.items()
            if parameter.default is None or self.draw(st.booleans())
        }
        return self.put(Neuron(name, model, parameters, self.draw(st.sampled_from(["subtract", "zero"]))))

    def convolution(self, name, outputs, same=False):
        """A convolution of any geometry; `same` keeps the positions."""
        channels, *size = self.shape
        kernel, stride, padding, groups = (3, 3), (1, 1), (1, 1), 1
        if not same:
            kernel = tuple(self.draw(st.integers(1, min(3, n))) for n in size)
            stride = (self.draw(st.integers(1, 2)), 1)
            padding = (self.draw(st.integers(0, 1)), 0)
            groups = channels if self.draw(st.booleans()) and outputs % channels == 0 else 1
        weight = self.table(outputs, channels // groups, *kernel)
        bias = self.table(outputs) if self.draw(st.booleans()) else None
        layer = Conv(name, weight, bias, stride, padding, groups=groups)
        shape = layer.output_shape(self.shape)
        self.put(layer)
        return shape

    def block(self, i):
        """Synapses, perhaps a scale, perhaps recurrence, neurons, perhaps a residual, perhaps a pooling."""
        draw = self.draw
        if draw(st.booleans()):  # a convolution over time, too
            delays = draw(st.lists(st.integers(0, 2), min_size=2, max_size=3, unique=True))
            recent = Concat(f"recent{i}")
            self.put(recent, *(Edge(self.last, recent.name, delay) for delay in delays))
            self.shape = (len(delays) * self.shape[0], *self.shape[1:])
        self.shape = self.convolution(f"conv{i}", 2 * draw(st.integers(1, 2)))
        if draw(st.booleans()):
            self.put(Scale(f"scale{i}", self.real(0.5, 1.5, *([self.shape[0]] if draw(st.booleans()) else []))))
        forward = self.last
        if draw(st.booleans()):
            back = Conv(f"back{i}", self.table(*[self.shape[0]] * 2, 1, 1), None)
            self.put(back, Edge(f"lif{i}", back.name, draw(st.integers(1, 2))))
            self.put(Add(f"current{i}"), forward, back.name)
        spikes = self.neurons(f"lif{i}", self.shape)
        if draw(st.booleans()):
            self.put(Add(f"residual{i}"), spikes, Edge(spikes, f"residual{i}", draw(st.integers(1, 2))))
        elif draw(st.booleans()):
            self.put(
                Product(f"product{i}", "chw,chw->chw"), spikes, Edge(spikes, f"product{i}", draw(st.integers(0, 1)))
            )
        if min(self.shape[1:]) >= 2 and draw(st.booleans()):
            mode = draw(st.sampled_from(["max", "sum", "average"]))
            pool = Pool(f"pool{i}", mode, (2, 2), (2, draw(st.integers(1, 2))), (draw(st.integers(0, 1)), 0))
            self.shape = pool.output_shape(self.shape)
            self.put(pool)

    def answer(self):
        """From whatever there is to the readout, by any rule."""
        rule = self.draw(st.sampled_from(RULES))
        count = int(np.prod(self.shape))
        if self.draw(st.booleans()):
            self.put(Reshape("reshaped", (self.shape[0], count // self.shape[0])))
        self.put(Flatten("flat"))
        if self.draw(st.booleans()):  # each element counts differently, on a grid
            shares = 2.0 ** self.rng.integers(-1, 2, (self.steps, count))
            self.put(Scale("shares", StepTable.per_step(shares.astype(np.float32))))
        self.put(Linear("out", self.table(3, count, scale=0.5), self.table(3) if self.draw(st.booleans()) else None))
        if rule in ("most-spikes", "first-spike"):
            self.neurons("last", (3,))
        elif self.draw(st.booleans()):
            self.neurons("read", (3,), ("li",))
        return self.read(Readout("readout", self.real(0.5, 1.5, *([3] if self.draw(st.booleans()) else [])), rule=rule))

    def read(self, readout):
        """The whole network, read from the last layer."""
        self.put(readout)
        return DeployGraph(self.input_shape, self.code, tuple(self.layers), tuple(self.edges))


@st.composite
def graphs(draw):
    """Any network of one or two blocks."""
    drawing = Drawing(draw)
    for i in range(draw(st.integers(1, 2))):
        drawing.block(i)
    return drawing.answer()


def samples(graph, count, seed=0):
    """What the network takes: images, or frames within their bounds."""
    rng, shape = np.random.default_rng(seed), graph.input_shape
    if graph.code.kind == "image":
        images = rng.integers(0, 256, size=(count, *shape))
        return np.where(rng.random(images.shape) < 0.3, 0, images).astype(np.uint8)
    size = (count, graph.time_steps, *shape)
    if graph.code.values == "values":
        return (rng.integers(-16, 17, size) / 8).astype(np.float32)
    return rng.integers(0, int(graph.code.most) + 1, size).astype(np.uint8)
