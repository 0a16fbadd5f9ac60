"""Strategies: networks of all kinds of layers, neurons, granularities, recurrences, inputs and answers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from asnn_deploy.ir.graph import Edge
from asnn_deploy.ir.layers import Add, Conv, Flatten, Pool, Product, Reshape, Scale
from asnn_deploy.ir.quantization import Quantization
from asnn_deploy.ir.step_table import StepTable
from asnn_deploy.quantizing import quantize
from networks.drawing import Drawing


@st.composite
def graphs(draw):
    """Any network of one or two blocks, of our own neurons or of other tools'."""
    drawing = Drawing(draw, foreign=True)
    for i in range(draw(st.integers(1, 2))):
        drawing.block(i)
    return drawing.answer()


@st.composite
def image_graphs(draw, models=("lif",)):
    """Convolutions of images, perhaps a residual, perhaps recurrence, a pooling, linear layers.

    Event signals only feed synapses, so such a network has an integer version and neurons at definite places.
    """
    drawing = Drawing(draw, images=True, sides=(4, 6))
    drawing.convolution("conv1", 4)
    drawing.neurons("lif1", drawing.shape, models)
    if draw(st.booleans()):
        weight = drawing.table(4, 2, 3, 3)
        drawing.put(Conv("conv2", weight, None, (1, 1), (1, 1), groups=2))
        if draw(st.booleans()):
            drawing.recurrence(2)
        drawing.neurons("lif2", drawing.shape, models)
        late = draw(st.none() | st.integers(1, drawing.steps + 1))  # of the residual: the sum of spikes goes on
        drawing.put(Add("residual"), "lif1", "lif2", *([] if late is None else [Edge("lif1", "residual", late)]))
    drawing.pool("pool")
    drawing.put(Flatten("flat"))
    drawing.linear("fc1", 5)
    drawing.neurons("lif3", (5,), models)
    drawing.linear("fc2", 3)
    return drawing.sums()


@st.composite
def attentions(draw):
    """A residual block of spiking self-attention: any width, heads, tokens, order of the products, scale, coding."""
    drawing = Drawing(draw, images=True, sides=(1, 3))
    heads, each = draw(st.integers(1, 3)), draw(st.integers(1, 4))
    inputs, height, width = drawing.input_shape
    tokens, channels = height * width, heads * each
    shape = (channels, height, width)

    def spikes(name, inputs, *sources):
        """Neurons behind a convolution of single positions."""
        conv = Conv(f"{name}_conv", drawing.table(channels, inputs, 1, 1), drawing.table(channels))
        drawing.put(conv, *sources)
        return drawing.neurons(name, shape, ("lif",))

    spikes("stem", inputs)
    spikes("second", channels)
    drawing.put(Add("tokens"), "stem", "second")
    for x in "qkv":
        spikes(x, channels, "tokens")
        drawing.put(Reshape(f"{x}_heads", (heads, each, tokens)))
    if draw(st.booleans()):
        drawing.put(Product("kv", "hdm,hem->hde"), "k_heads", "v_heads")
        drawing.put(Product("qkv", "hdn,hde->hen"), "q_heads", "kv")
    else:
        drawing.put(Product("qk", "hdn,hdm->hnm"), "q_heads", "k_heads")
        drawing.put(Product("qkv", "hnm,hem->hen"), "qk", "v_heads")
    drawing.put(Reshape("joined", shape))
    factor = 2.0 ** -drawing.rng.integers(0, 4, (channels,) if draw(st.booleans()) else ())
    drawing.put(Scale("scale", StepTable.constant(factor.astype(np.float32), drawing.steps)))
    drawing.neurons("attention", shape, ("lif",))
    drawing.put(Add("out"), "tokens", "attention")
    drawing.put(Pool("pool", "sum", (height, width), (1, 1)))
    drawing.put(Flatten("flat"))
    drawing.shape = (channels,)
    drawing.linear("fc", 3)
    return drawing.sums()


def exact_graphs():
    """Networks of either kind: order-free, and with an integer version."""
    return st.integers(0, 3).flatmap(lambda kind: attentions() if kind == 3 else image_graphs())


@st.composite
def integer_graphs(draw):
    """Integer versions by any choices: bits, scales, clips."""
    graph = draw(exact_graphs())
    clips = {layer.name: draw(st.floats(0.3, 1.3)) for layer in graph.synapses}
    choices = Quantization(draw(st.integers(2, 8)), draw(st.sampled_from(["channel", "layer"])), clips)
    return quantize(replace(graph, quantization=choices))


@st.composite
def sums_of_spikes_and_currents(draw):
    """Blocks whose neurons may hear their own spikes directly, as no integer network does; for NIR, of square kernels."""
    drawing = Drawing(draw, images=True, sides=(4, 6))
    for i in range(draw(st.integers(1, 2))):
        drawing.convolution(f"conv{i}", draw(st.integers(1, 3)), square=True)
        delay = draw(st.integers(0, 3))
        if delay:
            drawing.put(Add(f"add{i}"), drawing.last, Edge(f"lif{i}", f"add{i}", delay))
        drawing.neurons(f"lif{i}", drawing.shape, ("lif", "cuba-lif"))
        if draw(st.booleans()):
            drawing.pool(f"pool{i}")
    drawing.put(Flatten("flat"))
    drawing.linear("fc", 3)
    return drawing.sums()


@st.composite
def convolutions(draw, steps=2):
    """A 1-D or 2-D convolution with zero weights, and an input shape that it fits."""
    axes = draw(st.integers(1, 2))
    groups = draw(st.integers(1, 2))

    def each(low, high):
        return tuple(draw(st.integers(low, high)) for _ in range(axes))

    kernel, stride, padding, dilation = each(1, 3), each(1, 3), each(0, 2), each(1, 2)
    room = each(0, 3)
    size = tuple(max(1, d * (k - 1) + 1 - 2 * p) + r for k, p, d, r in zip(kernel, padding, dilation, room))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    weight = rng.integers(-1, 2, size=(steps, 2 * groups, draw(st.integers(1, 2)), *kernel)).astype(np.float32)
    layer = Conv("conv", StepTable(weight, [*reversed(range(steps))]), None, stride, padding, dilation, groups)
    return layer, (weight.shape[2] * groups, *size)
