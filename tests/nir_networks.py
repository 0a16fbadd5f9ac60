"""Networks that between them use everything the NIR exporter can write. On a grid, so that sums are exact, but
behind means of three and nine positions."""

from __future__ import annotations

import os

import numpy as np
import pytest
from asnn_exporters.nir import exporter, read
from hypothesis import strategies as st
from networks import CODING_STEPS, grid_weights, random_neuron, small_lenet

from asnn_deploy.errors import BundleError, GraphError, InputError
from asnn_deploy.input.coding import input_code
from asnn_deploy.ir.graph import DeployGraph, Edge
from asnn_deploy.ir.images import InputCode
from asnn_deploy.ir.layers import Add, Conv, Flatten, Linear, Neuron, Pool, Readout, Scale
from asnn_deploy.ir.quantization import Quantization
from asnn_deploy.ir.step_table import StepTable


def per_step(rng, shape, time_steps, grid=2.0**-6):
    """A table with another value at each step."""
    return StepTable.per_step(np.stack([grid_weights(rng, shape, grid=grid) for _ in range(time_steps)]))


def constant(rng, shape, time_steps, grid=2.0**-6):
    return StepTable.constant(grid_weights(rng, shape, grid=grid), time_steps)


def neuron(rng, name, time_steps, shape=(), reset="subtract", model="lif", extra=(), threshold=True):
    """A neuron layer; `extra` names further parameters, `threshold=False` leaves that one to its default."""
    parameters = dict(random_neuron(rng, name, time_steps, shape).parameters)
    if not threshold:
        del parameters["threshold"]
    for key in ("current_leak",) * (model == "cuba-lif") + tuple(extra):
        parameters[key] = StepTable.per_step(rng.uniform(0.1, 0.9, size=(time_steps, *shape)).astype(np.float32))
    return Neuron(name, model, parameters, reset)


def readout(rng, time_steps, classes=()):
    scale = rng.uniform(0.5, 1.5, (time_steps, *classes)) / time_steps
    return Readout("readout", StepTable.per_step(scale.astype(np.float32)))


def convolutional(seed=0, T=3, *, conv=None, lif=None, before=(), middle=(), coding="latency", size=6):
    """conv - before - neurons - middle - flatten - linear - readout over a 2-channel image."""
    rng = np.random.default_rng(seed)
    layers = [conv or Conv("conv", constant(rng, (4, 2, 3, 3), T), None, padding=(1, 1))]
    layers += [*before, lif or neuron(rng, "lif", T), *middle, Flatten("flatten")]
    shape = (2, size, size)
    for layer in layers:
        shape = layer.output_shape(shape)
    layers += [Linear("fc", per_step(rng, (3, *shape), T), constant(rng, (3,), T)), readout(rng, T, (3,))]
    return DeployGraph.chain((2, size, size), input_code(coding, T), layers)


def recurrent(seed=0, T=4, bias=True):
    """A spiking layer that reads its own spikes one step later through a convolution, and a delayed image."""
    rng = np.random.default_rng(seed)
    layers = (
        Conv("conv", constant(rng, (3, 1, 3, 3), T), None, padding=(1, 1)),
        Conv("late", constant(rng, (3, 1, 1, 1), T), constant(rng, (3,), T)),
        Add("add"),
        neuron(rng, "lif", T),
        Conv("back", per_step(rng, (3, 3, 3, 3), T), constant(rng, (3,), T) if bias else None, padding=(1, 1)),
        Flatten("flatten"),
        Linear("fc", constant(rng, (2, 48), T), None),
        Linear("echo", per_step(rng, (2, 48), T), constant(rng, (2,), T)),
        Add("answer"),
        readout(rng, T),
    )
    edges = (
        Edge("input", "conv"),
        Edge("input", "late", 2),
        Edge("conv", "add"),
        Edge("late", "add"),
        Edge("back", "add", 1),
        Edge("add", "lif"),
        Edge("lif", "back"),
        Edge("lif", "flatten"),
        Edge("flatten", "fc"),
        Edge("flatten", "echo", 1),
        Edge("fc", "answer"),
        Edge("echo", "answer"),
        Edge("answer", "readout"),
    )
    return DeployGraph(
        (1, 4, 4), input_code("hybrid-latency", T), layers, edges, dt=2.5e-4, quantization=Quantization(8)
    )


def residual(seed=0, T=2):
    """Two residual sums: one of three signals, one that adds a signal to itself."""
    rng = np.random.default_rng(seed)
    layers = (
        Conv("conv", constant(rng, (2, 2, 3, 3), T), None, padding=(1, 1)),
        neuron(rng, "lif", T, (2,)),
        Scale("half", StepTable.constant(np.float32([0.5, 0.25]), T)),
        Add("sum"),
        Add("twice"),
        neuron(rng, "lif2", T, (2, 4, 4)),
        Flatten("flatten"),
        Linear("fc", constant(rng, (3, 32), T), None),
        readout(rng, T),
    )
    edges = (
        Edge("input", "conv"),
        Edge("conv", "lif"),
        Edge("lif", "half"),
        Edge("lif", "sum"),
        Edge("half", "sum"),
        Edge("conv", "sum"),
        Edge("sum", "twice"),
        Edge("sum", "twice"),
        Edge("twice", "lif2"),
        Edge("lif2", "flatten"),
        Edge("flatten", "fc"),
        Edge("fc", "readout"),
    )
    return DeployGraph((2, 4, 4), input_code("latency", T), layers, edges)


def delayed(shape=(6,), T=4):
    """Linear layers over an image of any shape; spikes reach the answer a step later, and themselves after two."""
    rng = np.random.default_rng(0)
    layers = (
        Flatten("flatten"),
        Linear("fc", constant(rng, (5, int(np.prod(shape))), T, 2.0**-3), None),
        Add("add"),
        neuron(rng, "lif", T),
        Linear("back", constant(rng, (5, 5), T), constant(rng, (5,), T)),
        Linear("out", constant(rng, (3, 5), T), None),
        readout(rng, T),
    )
    edges = (Edge("input", "flatten"), Edge("flatten", "fc"), Edge("fc", "add"), Edge("back", "add", 2))
    edges += (Edge("add", "lif"), Edge("lif", "back"), Edge("lif", "out", 1), Edge("out", "readout"))
    return DeployGraph(shape, input_code("latency", T), layers, edges)


def late(T=3):
    """Convolutional spikes that are pooled and answered two steps later."""
    graph = convolutional(T=T, middle=[Pool("pool")])
    edges = tuple(Edge(e.source, e.target, 2 if e.source == "lif" else 0) for e in graph.edges)
    return DeployGraph(graph.input_shape, graph.code, graph.layers, edges)


def one_dimensional(mode, kernel=2):
    """Conv1d and 1-D pooling over a one-dimensional signal."""
    rng, T = np.random.default_rng(1), 3
    layers = [
        Conv("conv", constant(rng, (4, 2, 3), T), constant(rng, (4,), T), stride=(2,), padding=(1,), dilation=(1,)),
        neuron(rng, "lif", T, (4, 6)),
        Pool("pool", mode, (kernel,), (2,), (1,)),
        Flatten("flatten"),
    ]
    shape = (2, 12)
    for layer in layers:
        shape = layer.output_shape(shape)
    layers += [Linear("fc", constant(rng, (3, *shape), T), None), readout(rng, T)]
    return DeployGraph.chain((2, 12), input_code("hybrid-latency", T), layers)


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
    rng = np.random.default_rng(0)

    def conv(*shape, **geometry):
        return Conv("conv", per_step(rng, shape, 3, 2.0**-4), constant(rng, shape[:1], 3), **geometry)

    def pool(*settings):
        return [Pool("pool", *settings)]

    counts = convolutional(T=4)
    return {
        **{f"coding {name}": small_lenet(T, name) for name, T in CODING_STEPS.items()},
        **{f"per {grain}": small_lenet(3, granularity=grain) for grain in ("layer", "channel", "neuron")},
        "weights per step": convolutional(conv=conv(4, 2, 3, 3, stride=(2, 1), padding=(1, 0), dilation=(1, 2))),
        "groups": convolutional(conv=conv(4, 1, 3, 3, groups=2, padding=(1, 1))),
        "oblong kernel": convolutional(conv=conv(4, 2, 1, 3, padding=(0, 1), dilation=(1, 2), stride=(1, 2))),
        "max pool with padding": convolutional(middle=pool("max", (3, 3), (2, 2), (1, 1))),
        "sum pool": convolutional(middle=pool("sum", (2, 3), (2, 1))),
        "average pool": convolutional(middle=pool("average", (2, 2))),
        "average pool of nine": convolutional(middle=pool("average", (3, 3), (3, 3))),
        "bias per channel": convolutional(lif=neuron(rng, "lif", 3, (4,), extra=["bias"])),
        "bias per neuron": convolutional(lif=neuron(rng, "lif", 3, (4, 6, 6), extra=["bias"])),
        "reset to zero": convolutional(lif=neuron(rng, "lif", 3, reset="zero", extra=["bias"])),
        "broadcast granularity": convolutional(lif=neuron(rng, "lif", 3, (1, 6, 1))),
        "cuba-lif": convolutional(lif=neuron(rng, "lif", 3, (4,), model="cuba-lif")),
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
        "counts": DeployGraph(counts.input_shape, counting_code(), counts.layers, counts.edges),
    }


@st.composite
def random_graphs(draw):
    """Small networks: blocks of a convolution, neurons, maybe a delayed shortcut and a pool, then a linear readout."""
    T = draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    code = input_code(draw(st.sampled_from(["direct", "latency"] + ["hybrid-latency"] * (T > 1))), T)
    shape, layers, edges, last = (draw(st.integers(1, 2)), 6, 6), [], [], "input"

    def append(layer, *sources):
        layers.append(layer)
        edges.extend(Edge(*source) if isinstance(source, tuple) else Edge(source, layer.name) for source in sources)
        return layer.name

    for i in range(draw(st.integers(1, 2))):
        kernel = draw(st.sampled_from([(1, 1), (3, 3), (3, 1), (2, 2)] if i == 0 else [(1, 1), (2, 2)]))
        channels = draw(st.integers(1, 3))
        weight = draw(st.sampled_from([constant, per_step]))(rng, (channels, shape[0], *kernel), T)
        bias = constant(rng, (channels,), T) if draw(st.booleans()) else None
        conv = Conv(f"conv{i}", weight, bias, padding=(draw(st.integers(0, 1)),) * 2)
        last, shape = append(conv, last), conv.output_shape(shape)
        delay = draw(st.integers(0, 3))
        if delay:
            # A recurrent connection from this block's spikes.
            append(Add(f"add{i}"), last, (f"lif{i}", f"add{i}", delay))
            last = f"add{i}"
        grain = draw(st.sampled_from([(), shape[:1], shape]))
        model = draw(st.sampled_from(["lif", "cuba-lif"]))
        extra = ["bias"] if draw(st.booleans()) else []
        reset = draw(st.sampled_from(["subtract", "zero"]))
        last = append(neuron(rng, f"lif{i}", T, grain, reset, model, extra), last)
        mode = draw(st.sampled_from([None, "max", "sum", "average"]))
        if mode and min(shape[1:]) >= 2:
            pool = Pool(f"pool{i}", mode)
            last, shape = append(pool, last), pool.output_shape(shape)
    last = append(Flatten("flatten"), last)
    last = append(Linear("fc", constant(rng, (3, int(np.prod(shape))), T), None), last)
    append(readout(rng, T), last)
    return DeployGraph((layers[0].weight.shape[1], 6, 6), code, tuple(layers), tuple(edges))


def refused(path):
    """The one-line error that reading a file ends with."""
    with pytest.raises(BundleError) as caught:
        read(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert len(message) < 500 + len(str(path))
    return message.removeprefix(f"{path}: ")


def unwritable(graph, tmp_path, **options):
    """The error that writing a network ends with."""
    with pytest.raises((GraphError, InputError)) as caught:
        exporter.write(graph, tmp_path, **options)
    assert not os.listdir(tmp_path)
    return str(caught.value)
