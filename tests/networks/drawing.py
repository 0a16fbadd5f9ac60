"""A network that Hypothesis draws piece by piece, so that a failing one shrinks to the pieces that it needs.

Weights are small multiples of a power of two, so that every float sum is exact in any order.
"""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from membranes import FIRINGS

from asnn_deploy.input.coding import input_code
from asnn_deploy.ir.graph import INPUT, DeployGraph, Edge
from asnn_deploy.ir.inputs import SequenceInput
from asnn_deploy.ir.layers import Add, Concat, Conv, Flatten, Linear, Neuron, Pool, Product, Readout, Reshape, Scale
from asnn_deploy.ir.neurons import MODELS
from asnn_deploy.ir.neurons.firing import IMMEDIATE
from asnn_deploy.ir.step_table import StepTable
from networks.making import fires_by, grid_weights

CODINGS = {
    "direct": (1, 4),
    "latency": (1, 4),
    "hybrid-latency": (2, 4),
    "embedding": (4, 4),
    "hybrid-embedding": (5, 5),
}
"""The fewest and the most steps of each."""
FIRING = ("lif", "if", "cuba-lif")
FOREIGN = ("relaxing-lif", "relaxing-cuba-lif", "relaxing-li")
"""Models and parameters that only networks of other tools have."""
FOREIGN_PARAMETERS = ("reset_potential", "minimum", "initial")
RANGES = {
    "leak": (0.2, 1.0),
    "gain": (0.3, 1.2),
    "current_leak": (0.2, 0.8),
    "threshold": (0.5, 1.5),
    "bias": (-0.1, 0.3),
    "recovery": (0.2, 0.9),
    "feedback": (-0.5, 0.0),
    "rate": (0.2, 0.9),
    "current_rate": (0.2, 0.8),
    "steps": (1.1, 4.0),
    "rest": (-0.2, 0.4),
    "reset_potential": (-0.3, 0.4),
    "minimum": (-0.6, 0.1),
    "initial": (-0.3, 0.9),
}
RULES = ("sum", "mean", "maximum", "last", "most-spikes", "first-spike")


class Drawing:
    """A network under construction; `last` is the layer that the next one reads, `shape` what leaves it.

    `images`: it reads images, no sequences; `sides`: the least and the largest height and width; `foreign`: its neurons
    may be and fire as those of other tools' networks.
    """

    def __init__(self, draw, images=False, sides=(2, 4), foreign=False):
        self.draw, self.foreign = draw, foreign
        self.rng = np.random.default_rng(draw(st.integers(0, 999)))
        self.layers, self.edges, self.last = [], [], INPUT
        if images or draw(st.booleans()):
            coding = draw(st.sampled_from(list(CODINGS)))
            self.steps = draw(st.integers(*CODINGS[coding]))
            self.code = input_code(coding, self.steps)
        else:
            self.steps = draw(st.integers(1, 4))
            kind, most = draw(st.sampled_from([("spikes", 1), ("counts", 3), ("values", 2)]))
            self.code = SequenceInput(self.steps, kind, most)
        self.shape = self.input_shape = (draw(st.integers(1, 2)), draw(st.integers(*sides)), draw(st.integers(*sides)))

    def put(self, layer, *sources):
        """Add a layer that reads `sources`, by default the last one; edges may be given whole."""
        self.layers.append(layer)
        for source in sources or [self.last]:
            self.edges.append(source if isinstance(source, Edge) else Edge(source, layer.name))
        self.last = layer.name
        return layer.name

    def table(self, *shape, scale=1.0):
        """Weights, the same at all steps or different ones in turn; whole pixels meet small ones."""
        turn = np.arange(self.steps) % self.draw(st.integers(1, self.steps))
        scales = np.full(self.steps, scale)
        if self.last == INPUT and self.code.kind == "image":
            scales = np.where(self.code.analog, 2.0**-8, 1.0)
        kinds = list(dict.fromkeys(zip(turn, scales)))
        values = np.stack([grid_weights(self.rng, shape) * np.float32(factor) for _, factor in kinds])
        return StepTable(values, [kinds.index(kind) for kind in zip(turn, scales)])

    def real(self, low, high, *shape):
        """Any float32 values, other ones at each step."""
        return StepTable.per_step(self.rng.uniform(low, high, (self.steps, *shape)).astype(np.float32))

    def grain(self, shape):
        """A granularity of parameters."""
        return [(), shape[:1], (shape[0], *(1,) * (len(shape) - 1)), shape][self.draw(st.integers(0, 3))]

    def neurons(self, name, shape, models=FIRING, exactly=False):
        """A population of any model, granularity and reset; `exactly`: of these models only."""
        if self.foreign and not exactly:
            models = (*models, *(f"relaxing-{model}" for model in models if f"relaxing-{model}" in FOREIGN))
        grain, model = self.grain(shape), MODELS[self.draw(st.sampled_from(models))]
        parameters = {
            key: self.real(*RANGES[key], *grain)
            for key, parameter in model.parameters.items()
            if parameter.required or ((self.foreign or key not in FOREIGN_PARAMETERS) and self.draw(st.booleans()))
        }
        firing = self.draw(st.sampled_from([f for f in FIRINGS if self.allows(model, f)]))
        return self.put(fires_by(Neuron(name, model.name, parameters), firing))

    def allows(self, model, firing):
        """Whether neurons of a model may fire so here."""
        if not self.foreign:
            return firing.plain and firing in IMMEDIATE
        return firing in model.resets and (firing.plain or model.variants)

    def convolution(self, name, outputs, square=False):
        """A convolution of any geometry; `square`: its kernel is, or zeros make it so."""
        channels, *size = self.shape
        kernel = tuple(self.draw(st.integers(1, min(3, n))) for n in size)
        if square and sum(kernel) % 2:
            kernel = (min(kernel),) * 2
        dilation = tuple(self.draw(st.integers(1, 2)) if 2 * k - 1 <= n else 1 for k, n in zip(kernel, size))
        stride = (self.draw(st.integers(1, 2)), self.draw(st.integers(1, 2)))
        padding = (self.draw(st.integers(0, 2)), self.draw(st.integers(0, 1)))
        groups = channels if self.draw(st.booleans()) and outputs % channels == 0 else 1
        weight = self.table(outputs, channels // groups, *kernel)
        bias = self.table(outputs) if self.draw(st.booleans()) else None
        layer = Conv(name, weight, bias, stride, padding, dilation, groups)
        self.shape = layer.output_shape(self.shape)
        return self.put(layer)

    def pool(self, name, modes=("max", "sum", "average")):
        """Windows that may overlap and reach beyond the edge, if there is room for one."""
        if min(self.shape[1:]) >= 2:
            stride, padding = (2, self.draw(st.integers(1, 2))), (self.draw(st.integers(0, 1)), 0)
            layer = Pool(name, self.draw(st.sampled_from(modes)), (2, 2), stride, padding)
            self.shape = layer.output_shape(self.shape)
            self.put(layer)

    def linear(self, name, outputs, scale=1.0):
        """A linear layer of flat signals, with a bias or without."""
        weight = self.table(outputs, int(np.prod(self.shape)), scale=scale)
        self.shape = (outputs,)
        return self.put(Linear(name, weight, self.table(outputs) if self.draw(st.booleans()) else None))

    def block(self, i):
        """Synapses, perhaps a scale, perhaps recurrence, neurons, perhaps a residual, perhaps a pooling."""
        draw = self.draw
        if draw(st.booleans()):  # a convolution over time, too
            delays = draw(st.lists(st.integers(0, 2), min_size=2, max_size=3, unique=True))
            recent = Concat(f"recent{i}")
            self.put(recent, *(Edge(self.last, recent.name, delay) for delay in delays))
            self.shape = (len(delays) * self.shape[0], *self.shape[1:])
        self.convolution(f"conv{i}", 2 * draw(st.integers(1, 2)))
        if draw(st.booleans()):
            self.put(Scale(f"scale{i}", self.real(0.5, 1.5, *([self.shape[0]] if draw(st.booleans()) else []))))
        if draw(st.booleans()):
            self.recurrence(i)
        spikes = self.neurons(f"lif{i}", self.shape)
        if draw(st.booleans()):
            self.put(Add(f"residual{i}"), spikes, Edge(spikes, f"residual{i}", draw(st.integers(1, 2))))
        elif draw(st.booleans()):
            self.put(
                Product(f"product{i}", "chw,chw->chw"), spikes, Edge(spikes, f"product{i}", draw(st.integers(0, 1)))
            )
        if draw(st.booleans()):
            self.pool(f"pool{i}")

    def recurrence(self, i):
        """The last currents and those that the spikes of the neurons to come cause later."""
        forward = self.last
        back = Conv(f"back{i}", self.table(*[self.shape[0]] * 2, 1, 1), None)
        self.put(back, Edge(f"lif{i}", back.name, self.draw(st.integers(1, 2))))
        self.put(Add(f"current{i}"), forward, back.name)

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
        self.linear("out", 3, scale=0.5)
        if rule in ("most-spikes", "first-spike"):
            self.neurons("last", (3,))
        elif self.draw(st.booleans()):
            self.neurons("read", (3,), ("li",))
        return self.sums(rule)

    def sums(self, rule="sum"):
        """The whole network: an answer that weighs each step differently, perhaps each class."""
        return self.read(Readout("readout", self.real(0.5, 1.5, *([3] if self.draw(st.booleans()) else [])), rule=rule))

    def read(self, readout):
        """The whole network, read from the last layer."""
        self.put(readout)
        return DeployGraph(self.input_shape, self.code, tuple(self.layers), tuple(self.edges))
