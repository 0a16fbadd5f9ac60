"""Networks that between them use everything the NIR exporter can write. Sums are exact but for those behind means of
three and nine positions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from asnn_deploy.input.coding import input_code
from asnn_deploy.ir.graph import DeployGraph, Edge
from asnn_deploy.ir.images import InputCode
from asnn_deploy.ir.layers import Add, Conv, Flatten, Linear, Pool, Scale
from asnn_deploy.ir.quantization import Quantization
from networks.lenet import small_lenet
from networks.making import CODING_STEPS, Maker, constant, linked, shape_behind


def convolutional(seed=0, T=3, *, conv=None, lif=None, before=(), middle=(), code=None):
    """conv - before - neurons - middle - flatten - linear - readout over a 2-channel image."""
    m, shape = Maker(seed, T), (2, 6, 6)
    layers = [conv or m.conv("conv", 4, 2, bias=False), *before, lif or m.neuron("lif"), *middle, Flatten("flatten")]
    (inputs,) = shape_behind(layers, shape)
    layers += [Linear("fc", m.table(3, inputs, values=T), m.table(3)), m.readout(shape=(3,))]
    return DeployGraph.chain(shape, code or m.code(), layers)


def recurrent(seed=0, T=4, bias=True):
    """A spiking layer that reads its own spikes one step later through a convolution, and a delayed image."""
    m = Maker(seed, T)
    layers = (
        m.conv("conv", 3, 1, bias=False),
        m.conv("late", 3, 1, (1, 1)),
        Add("add"),
        m.neuron("lif"),
        Conv("back", m.table(3, 3, 3, 3, values=T), m.table(3) if bias else None, padding=(1, 1)),
        Flatten("flatten"),
        m.linear("fc", 2, 48, bias=False),
        Linear("echo", m.table(2, 48, values=T), m.table(2)),
        Add("answer"),
        m.readout(),
    )
    links = {"late": [("input", 2)], "add": ["conv", "late", ("back", 1)], "back": ["lif"], "flatten": ["lif"]}
    links |= {"echo": [("flatten", 1)], "answer": ["fc", "echo"]}
    graph = linked((1, 4, 4), input_code("hybrid-latency", T), layers, links)
    return replace(graph, dt=2.5e-4, quantization=Quantization(8))


def residual(seed=0, T=2):
    """Two residual sums: one of three signals, one that adds a signal to itself."""
    m = Maker(seed, T)
    layers = (
        m.conv("conv", 2, 2, bias=False),
        m.neuron("lif", (2,)),
        Scale("half", constant([0.5, 0.25], T)),
        Add("sum"),
        Add("twice"),
        m.neuron("lif2", (2, 4, 4)),
        Flatten("flatten"),
        m.linear("fc", 3, 32, bias=False),
        m.readout(),
    )
    return m.linked(layers, {"sum": ["lif", "half", "conv"], "twice": ["sum", "sum"]}, (2, 4, 4))


def delayed(shape=(6,), T=4):
    """Linear layers over an image of any shape; spikes reach the answer a step later, and themselves after two."""
    m = Maker(0, T)
    layers = (
        Flatten("flatten"),
        Linear("fc", m.table(5, int(np.prod(shape)), grid=2.0**-3), None),
        Add("add"),
        m.neuron("lif"),
        m.linear("back", 5, 5),
        m.linear("out", 3, 5, bias=False),
        m.readout(),
    )
    return m.linked(layers, {"add": ["fc", ("back", 2)], "out": [("lif", 1)]}, shape)


def late(T=3):
    """Convolutional spikes that are pooled and answered two steps later."""
    graph = convolutional(T=T, middle=[Pool("pool")])
    edges = tuple(Edge(e.source, e.target, 2 if e.source == "lif" else 0) for e in graph.edges)
    return replace(graph, edges=edges)


def one_dimensional(mode, kernel=2):
    """Conv1d and 1-D pooling over a one-dimensional signal."""
    m, shape = Maker(1, 3), (2, 12)
    conv = m.conv("conv", 4, 2, (3,), stride=(2,), dilation=(1,))
    layers = [conv, m.neuron("lif", (4, 6)), Pool("pool", mode, (kernel,), (2,), (1,)), Flatten("flatten")]
    (inputs,) = shape_behind(layers, shape)
    layers += [m.linear("fc", 3, inputs, bias=False), m.readout()]
    return DeployGraph.chain(shape, input_code("hybrid-latency", 3), layers)


def counting_code():
    """Frames of counts with rising and falling levels, an empty step, and a pixel that always fires."""
    table = np.zeros((4, 256), np.int32)
    table[0, 10:] = 3
    table[0, 200:] = 1
    table[1] = 1
    table[3, 100:] = 2
    return InputCode("counts", table, np.zeros(4, bool))


def networks():
    """All of them, by a name that says what is special."""
    m = Maker(0, 3)

    def conv(*shape, **geometry):
        return Conv("conv", m.table(*shape, values=3, grid=2.0**-4), m.table(shape[0]), **geometry)

    def pool(*settings):
        return convolutional(middle=[Pool("pool", *settings)])

    def neurons(*arguments, **others):
        return convolutional(lif=m.neuron("lif", *arguments, **others))

    return {
        **{f"coding {name}": small_lenet(T, name) for name, T in CODING_STEPS.items()},
        **{f"per {grain}": small_lenet(3, granularity=grain) for grain in ("layer", "channel", "neuron")},
        "weights per step": convolutional(conv=conv(4, 2, 3, 3, stride=(2, 1), padding=(1, 0), dilation=(1, 2))),
        "groups": convolutional(conv=conv(4, 1, 3, 3, groups=2, padding=(1, 1))),
        "oblong kernel": convolutional(conv=conv(4, 2, 1, 3, padding=(0, 1), dilation=(1, 2), stride=(1, 2))),
        "max pool with padding": pool("max", (3, 3), (2, 2), (1, 1)),
        "sum pool": pool("sum", (2, 3), (2, 1)),
        "average pool": pool("average", (2, 2)),
        "average pool of nine": pool("average", (3, 3), (3, 3)),
        "bias per channel": neurons((4,), extra=["bias"]),
        "bias per neuron": neurons((4, 6, 6), extra=["bias"]),
        "reset to zero": neurons(reset="zero", extra=["bias"]),
        "broadcast granularity": neurons((1, 6, 1)),
        "cuba-lif": neurons((4,), model="cuba-lif"),
        "recurrent": recurrent(),
        "recurrent without bias": recurrent(bias=False),
        "residual": residual(),
        "delayed spikes": late(),
        "delayed in one dimension": delayed((6,)),
        "delayed in two dimensions": delayed((2, 3)),
        "one time step": convolutional(T=1),
        "1-D max": one_dimensional("max"),
        "1-D sum": one_dimensional("sum"),
        "1-D average of three": one_dimensional("average", 3),
        "counts": convolutional(T=4, code=counting_code()),
    }


NETWORKS = networks()
