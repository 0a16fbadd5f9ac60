"""Populations that read themselves one time step later, as Lava's own Processes can carry them."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from asnn_deploy.ir.graph import INPUT
from asnn_deploy.ir.inputs import SequenceInput
from asnn_deploy.ir.layers import Add, Conv, Flatten, Linear, Readout
from networks.making import constant, linked, static_neuron


def looped(steps, weight, fed=None, *behind, bias=0.0, model="lif", rule="sum", scale=1, **parameters):
    """One population that reads itself; the answer is made of its spikes, or by layers behind it.

    weight: `[N, N]`. fed: those of what enters, `[N, inputs]`; without, nothing of it arrives.
    """
    fed = np.zeros((len(weight), 2)) if fed is None else fed
    table = lambda value: constant(value, steps)
    layers = [
        Linear("fc", table(fed), table(np.full(len(weight), bias))),
        Linear("again", table(weight)),
        Add("sum"),
        static_neuron("lif", steps, model, "zero", gain=1, **parameters),
        *behind,
        Readout("readout", table(scale), rule=rule),
    ]
    links = {"again": [("lif", 1)], "sum": ["fc", "again"]}
    return linked(fed.shape[1:], SequenceInput(steps), layers, links)


def random_weights(size):
    """From itself, and from an input, to a population of that size."""
    rng = np.random.default_rng(5)
    return rng.normal(0, 0.5, (size, size)), rng.normal(0.3, 0.5, (size, 8))


class Feedback:
    """A network under construction in which each population reads itself; weights as a normal distribution has them."""

    def __init__(self, draw):
        self.draw, self.rng = draw, np.random.default_rng(draw(st.integers(0, 999)))
        self.steps = draw(st.integers(1, 5))
        self.layers, self.links, self.last = [], {}, INPUT

    def table(self, *shape, spread=0.7):
        return constant(self.rng.normal(0, spread, shape), self.steps)

    def put(self, layer, *sources):
        self.layers.append(layer)
        self.links[layer.name] = list(sources or [self.last])
        self.last = layer.name

    def population(self, name, synapses, channels):
        """Neurons behind synapses; synapses: makes them of a name and of the number of their inputs' channels."""
        late, model = self.draw(st.booleans()), self.draw(st.sampled_from(["lif", "cuba-lif"]))
        again = synapses(f"{name}_again", channels, bias=not late and self.draw(st.booleans()))
        parameters = {
            "leak": self.rng.uniform(0.2, 1),
            "current_leak": self.rng.uniform(0.1, 0.8),
            "bias": self.rng.uniform(-0.2, self.draw(st.sampled_from([0.2, 1.6])), channels),
        }
        if model == "lif":
            del parameters["current_leak"]
        neurons = static_neuron(name, self.steps, model, "zero", **parameters)
        self.put(synapses(f"{name}_synapses", None, bias=self.draw(st.booleans())))
        forward, add = self.last, Add(f"{name}_sum")
        if not late:
            self.put(again, (name, 1))
        both = [forward, (again.name, int(late))]
        self.put(add, *(both if self.draw(st.booleans()) else reversed(both)))
        self.put(neurons)
        if late:
            self.put(again, name)
            self.last = name

    def whole(self):
        """Perhaps a convolution's population, one or two linear ones, and an answer made of spikes or of sums."""
        shape = (2, 3, 3)
        if self.draw(st.booleans()):
            self.population("conv", self.convolution, 2)
        self.put(Flatten("flat"))
        inputs = 18
        for k in range(self.draw(st.integers(1, 2))):
            size = self.draw(st.integers(1, 5))
            self.population(f"lif{k}", self.linear(size, inputs), size)
            inputs = size
        if self.draw(st.booleans()):
            self.put(Linear("out", self.table(3, inputs), self.table(3)))
        rule = self.draw(st.sampled_from(["sum", "mean", "maximum", "last", "most-spikes", "first-spike"]))
        self.put(Readout("readout", constant(self.draw(st.sampled_from([1, 0.3])), self.steps), rule=rule))
        kind = self.draw(st.sampled_from([("spikes", 1), ("counts", 3), ("values", 2)]))
        return linked(shape, SequenceInput(self.steps, *kind), self.layers, self.links)

    def convolution(self, name, _channels, bias):
        return Conv(name, self.table(2, 2, 3, 3, spread=0.4), self.table(2) if bias else None, padding=(1, 1))

    def linear(self, size, inputs):
        def make(name, channels, bias):
            return Linear(name, self.table(size, channels or inputs), self.table(size) if bias else None)

        return make
