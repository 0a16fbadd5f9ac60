"""What networks are made of: weights, tables, neurons, layers and links; and what networks are given.

Weights are small multiples of a power of two, so that every sum is exact in any order.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np

from asnn_deploy.input.coding import CODINGS, input_code
from asnn_deploy.ir.graph import INPUT, DeployGraph, Edge
from asnn_deploy.ir.layers import Conv, Flatten, Linear, Neuron, Readout
from asnn_deploy.ir.neurons import MODELS
from asnn_deploy.ir.step_table import StepTable

CODING_STEPS = dict.fromkeys(CODINGS, 4) | {
    "direct": 3,
    "hybrid-embedding": 5,
    "embedding-reference": 6,
    "hybrid-embedding-reference": 6,
}
"""How many time steps tests give each coding."""
SHAPE = (2, 6, 6)
"""The images of networks that have no other size."""


def grid_weights(rng, shape, spread=24, grid=2.0**-5):
    return (rng.integers(-spread, spread + 1, size=shape) * grid).astype(np.float32)


def constant(value, steps, dtype=np.float32):
    """A table of one value, the same at all steps."""
    return StepTable.constant(np.asarray(value, dtype), steps)


def random_neuron(rng, name, steps, shape=(), reset="subtract", model="lif", extra=(), threshold=True):
    """Neurons with another leak and gain at each step; `shape` is the granularity.

    `extra` names further parameters; `threshold=False` leaves that one to its default.
    """

    def draw(low, high):
        return StepTable.per_step(rng.uniform(low, high, size=(steps, *shape)).astype(np.float32))

    parameters = {"leak": draw(0.2, 0.9), "gain": draw(0.3, 1.2)}
    if threshold:
        parameters["threshold"] = constant(1, steps)
    for key in ("current_leak",) * (model == "cuba-lif") + tuple(extra):
        parameters[key] = draw(0.1, 0.9)
    return Neuron(name, model, parameters, reset)


def firing_neuron(name, steps, firing, model="lif", **parameters):
    """Static neurons that fire and reset in any way."""
    return fires_by(static_neuron(name, steps, model, **parameters), firing)


def fires_by(neuron, firing):
    """Neurons that fire and reset in another way."""
    comparison, spiking = "at" if firing.at else "above", "many" if firing.many else "one"
    return replace(neuron, reset=str(firing), comparison=comparison, spiking=spiking)


def static_neuron(name, steps, model="lif", reset="subtract", **parameters):
    """Neurons that are the same at all steps: leaks and gain 0.5, threshold 1, unless values or tables are given."""
    values = {"leak": 0.5, "gain": 0.5, "threshold": 1, "current_leak": 0.5, "rate": 0.5, "current_rate": 0.5}
    values = {key: value for key, value in values.items() if key in MODELS[model].parameters} | parameters
    tables = {key: x if isinstance(x, StepTable) else constant(x, steps) for key, x in values.items()}
    return Neuron(name, model, tables, reset)


def random_readout(rng, steps, shape=(), name="readout"):
    """A mean over the steps in which each counts differently; `shape` is () or that of the classes."""
    return Readout(name, StepTable.per_step((rng.uniform(0.5, 1.5, (steps, *shape)) / steps).astype(np.float32)))


class Maker:
    """Layers with random weights; `steps` is T."""

    def __init__(self, seed=0, steps=4):
        self.rng = np.random.default_rng(seed)
        self.steps = steps

    def table(self, *shape, values=1, grid=2.0**-5):
        """Order-free weights; K = `values`, in force in turn."""
        return StepTable(grid_weights(self.rng, (values, *shape), grid=grid), np.arange(self.steps) % values)

    def real(self, low, high, *shape):
        """Any float32 values, other ones at each step."""
        return StepTable.per_step(self.rng.uniform(low, high, (self.steps, *shape)).astype(np.float32))

    def conv(self, name, c_out, c_in, kernel=(3, 3), values=1, bias=True, **options):
        options.setdefault("padding", tuple(k // 2 for k in kernel))
        groups = options.get("groups", 1)
        weight = self.table(c_out, c_in // groups, *kernel, values=values)
        return Conv(name, weight, self.table(c_out, values=values) if bias else None, **options)

    def linear(self, name, out, inputs, values=1, bias=True):
        return Linear(name, self.table(out, inputs, values=values), self.table(out, values=values) if bias else None)

    def neuron(self, name, shape=(), reset="subtract", **others):
        return random_neuron(self.rng, name, self.steps, shape, reset, **others)

    def readout(self, name="readout", shape=()):
        return random_readout(self.rng, self.steps, shape, name)

    def tail(self, inputs):
        """From (C, H, W) to the answer."""
        return [
            Flatten("flatten"),
            self.linear("fc", 8, inputs),
            self.neuron("fc_lif"),
            self.linear("out", 3, 8),
            self.readout(),
        ]

    def code(self):
        return input_code("latency", self.steps)

    def linked(self, layers, links, shape=SHAPE):
        """The network of `linked` layers."""
        return linked(shape, self.code(), layers, links)

    def chain(self, layers, shape=SHAPE, code=None):
        """The network of layers of which each reads the one before, and the tail behind them."""
        inputs = int(np.prod(shape_behind(layers, shape)))
        return DeployGraph.chain(shape, code or self.code(), [*layers, *self.tail(inputs)])


def linked(shape, code, layers, links):
    """A graph from `{target: [source, (source, delay), ...]}`; a layer that is not named follows the one before it."""
    names = [INPUT, *(layer.name for layer in layers)]
    edges = []
    for before, name in pairwise(names):
        for source in links.get(name, [before]):
            edges.append(Edge(source, name) if isinstance(source, str) else Edge(source[0], name, source[1]))
    return DeployGraph(shape, code, tuple(layers), tuple(edges))


def shape_behind(layers, shape):
    """The shape of what leaves layers of which each reads the one before."""
    for layer in layers:
        shape = layer.output_shape(shape)
    return shape


def random_inputs(graph, count, seed=0):
    """What a network takes: images `[N, C, H, W]`, about a third of the pixels dark, or frames within their bounds."""
    rng, shape = np.random.default_rng(seed), graph.input_shape
    if graph.code.kind == "image":
        images = rng.integers(0, 256, size=(count, *shape))
        return np.where(rng.random(images.shape) < 0.3, 0, images).astype(np.uint8)
    size = (count, graph.time_steps, *shape)
    if graph.code.values == "values":
        return (rng.integers(-16, 17, size) / 8).astype(np.float32)
    return rng.integers(0, int(graph.code.most) + 1, size).astype(np.uint8)
