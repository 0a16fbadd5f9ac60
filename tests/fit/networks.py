"""Small networks of the kinds that the random ones leave out."""

from itertools import pairwise

import numpy as np
from networks import random_neuron

from asnn_deploy.input.coding import input_code
from asnn_deploy.ir.graph import INPUT, DeployGraph, Edge
from asnn_deploy.ir.layers import Add, Concat, Conv, Flatten, Linear, Neuron, Pool, Product, Readout, Scale
from asnn_deploy.ir.step_table import StepTable

STEPS = 3


def table(*shape):
    return StepTable.constant(np.ones(shape, np.float32), STEPS)


def readout():
    return Readout("readout", table())


def neurons(name):
    return random_neuron(np.random.default_rng(0), name, STEPS)


def chain(shape, *layers, coding="latency"):
    return DeployGraph.chain(shape, input_code(coding, STEPS), layers)


def pooled_currents():
    """Average pooling between synapses and neurons, and before the answer."""
    return chain(
        (2, 7, 6),
        Conv("conv", table(4, 2, 3, 3), None, padding=(1, 1)),
        Pool("pool", "average", (3, 2), (2, 2), (1, 0)),
        neurons("lif"),
        Pool("mean", "average", (4, 3), (4, 3)),
        Flatten("flat"),
        Linear("fc", table(3, 4)),
        readout(),
    )


def one_dimensional():
    """1-D convolutions, and flattened currents."""
    return chain(
        (1, 9, 1),
        Conv("conv", table(3, 1, 3, 1), None, (2, 1), (1, 0)),
        Flatten("flat"),
        neurons("lif"),
        Linear("fc", table(2, 15)),
        readout(),
    )


def wide_linear():
    """A linear layer with more inputs than a small core has axons, and a scaling for each step before it."""
    factor = StepTable.per_step(np.arange(1, STEPS + 1, dtype=np.float32))
    return chain(
        (1, 5, 5),
        Conv("conv", table(4, 1, 1, 1)),
        neurons("lif"),
        Scale("scale", factor),
        Flatten("flat"),
        Linear("fc", table(6, 100)),
        readout(),
    )


def with_product():
    """Two layers whose spikes are multiplied, as in attention."""
    layers = [
        Conv("q_synapses", table(2, 1, 1, 1)),
        neurons("q"),
        Conv("k_synapses", table(2, 1, 1, 1)),
        neurons("k"),
        Product("attention", "chw,chw->chw"),
        Flatten("flat"),
        Linear("fc", table(2, 32)),
        readout(),
    ]
    edges = [
        Edge(INPUT, "q_synapses"),
        Edge("q_synapses", "q"),
        Edge(INPUT, "k_synapses"),
        Edge("k_synapses", "k"),
        Edge("q", "attention"),
        Edge("k", "attention"),
        Edge("attention", "flat"),
        Edge("flat", "fc"),
        Edge("fc", "readout"),
    ]
    return DeployGraph((1, 4, 4), input_code("latency", STEPS), tuple(layers), tuple(edges))


def with_shortcut(pool=None):
    """A residual sum of spikes around two layers; a max-pool of it where one is given."""
    layers = [Conv("in", table(2, 1, 1, 1)), neurons("first")]
    edges = [Edge(INPUT, "in"), Edge("in", "first")]
    for a, b, c in (("first", "a_synapses", "a"), ("a", "b_synapses", "b")):
        layers += [Conv(b, table(2, 2, 3, 3), None, padding=(1, 1)), neurons(c)]
        edges += [Edge(a, b), Edge(b, c)]
    layers.append(Add("sum"))
    edges += [Edge("b", "sum"), Edge("first", "sum")]
    last = "sum"
    for layer in [pool, Flatten("flat"), Linear("fc", table(2, 8 if pool else 32)), readout()]:
        if layer is not None:
            layers.append(layer)
            edges.append(Edge(last, layer.name))
            last = layer.name
    return DeployGraph((1, 4, 4), input_code("latency", STEPS), tuple(layers), tuple(edges))


def synapses_on_synapses():
    """A depthwise and a pointwise convolution without neurons between them."""
    return chain(
        (2, 4, 4),
        Conv("depthwise", table(2, 1, 3, 3), None, padding=(1, 1), groups=2),
        Conv("pointwise", table(4, 2, 1, 1)),
        Neuron("lif", "lif", {"leak": table(), "gain": table(), "threshold": table()}),
        Flatten("flat"),
        Linear("fc", table(2, 64)),
        readout(),
    )


def over_time():
    """A convolution that reads three steps of one layer and one of another, their channels joined."""
    layers = [
        Conv("first_synapses", table(2, 1, 3, 3), None, padding=(1, 1)),
        neurons("first"),
        Conv("second_synapses", table(3, 2, 3, 3), None, padding=(1, 1)),
        neurons("second"),
        Concat("recent"),
        Conv("third_synapses", table(2, 9, 3, 3)),
        neurons("third"),
        Flatten("flat"),
        Linear("fc", table(2, 8)),
        readout(),
    ]
    names = [INPUT, *(layer.name for layer in layers)]
    edges = [Edge(a, b) for a, b in pairwise(names)]
    edges += [Edge("first", "recent", delay) for delay in range(3)]
    return DeployGraph((1, 4, 4), input_code("latency", STEPS), tuple(layers), tuple(edges))
