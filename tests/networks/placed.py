"""Networks of the kinds that a placement on a chip treats differently. All weights are 1: only connections count."""

from __future__ import annotations

import numpy as np

from asnn_deploy.input.coding import input_code
from asnn_deploy.ir.graph import INPUT
from asnn_deploy.ir.layers import Add, Concat, Conv, Flatten, Linear, Pool, Product, Readout, Scale
from asnn_deploy.ir.step_table import StepTable
from networks.making import linked, random_neuron, static_neuron

STEPS = 3


def ones(*shape):
    return StepTable.constant(np.ones(shape, np.float32), STEPS)


def neurons(name):
    return random_neuron(np.random.default_rng(0), name, STEPS)


def answered(shape, layers, inputs, classes=2, **links):
    """The network of linked layers, with a linear readout behind them."""
    answer = [Flatten("flat")] if "flat" not in {layer.name for layer in layers} else []
    answer += [Linear("fc", ones(classes, inputs)), Readout("readout", ones())]
    return linked(shape, input_code("latency", STEPS), [*layers, *answer], links)


def pooled_currents():
    """Average pooling between synapses and neurons, and before the answer."""
    layers = [
        Conv("conv", ones(4, 2, 3, 3), None, padding=(1, 1)),
        Pool("pool", "average", (3, 2), (2, 2), (1, 0)),
        neurons("lif"),
        Pool("mean", "average", (4, 3), (4, 3)),
    ]
    return answered((2, 7, 6), layers, 4, classes=3)


def one_dimensional():
    """1-D convolutions, and flattened currents."""
    layers = [Conv("conv", ones(3, 1, 3, 1), None, (2, 1), (1, 0)), Flatten("flat"), neurons("lif")]
    return answered((1, 9, 1), layers, 15)


def wide_linear():
    """A linear layer with more inputs than a small core has axons, and a scaling for each step before it."""
    factor = StepTable.per_step(np.arange(1, STEPS + 1, dtype=np.float32))
    layers = [Conv("conv", ones(4, 1, 1, 1)), neurons("lif"), Scale("scale", factor)]
    return answered((1, 5, 5), layers, 100, classes=6)


def with_product():
    """Two layers whose spikes are multiplied, as in attention."""
    layers = [
        Conv("q_synapses", ones(2, 1, 1, 1)),
        neurons("q"),
        Conv("k_synapses", ones(2, 1, 1, 1)),
        neurons("k"),
        Product("attention", "chw,chw->chw"),
    ]
    return answered((1, 4, 4), layers, 32, k_synapses=[INPUT], attention=["q", "k"])


def with_shortcut(pool=None):
    """A residual sum of spikes around two layers; a max-pool of it if one is given."""
    layers = [
        Conv("in", ones(2, 1, 1, 1)),
        neurons("first"),
        Conv("a_synapses", ones(2, 2, 3, 3), None, padding=(1, 1)),
        neurons("a"),
        Conv("b_synapses", ones(2, 2, 3, 3), None, padding=(1, 1)),
        neurons("b"),
        Add("sum"),
        *([pool] if pool else []),
    ]
    return answered((1, 4, 4), layers, 8 if pool else 32, sum=["b", "first"])


def synapses_on_synapses():
    """A depthwise and a pointwise convolution without neurons between them."""
    layers = [
        Conv("depthwise", ones(2, 1, 3, 3), None, padding=(1, 1), groups=2),
        Conv("pointwise", ones(4, 2, 1, 1)),
        static_neuron("lif", STEPS, leak=1, gain=1),
    ]
    return answered((2, 4, 4), layers, 64)


def over_time():
    """A convolution that reads three steps of one layer and one of another, their channels joined."""
    layers = [
        Conv("first_synapses", ones(2, 1, 3, 3), None, padding=(1, 1)),
        neurons("first"),
        Conv("second_synapses", ones(3, 2, 3, 3), None, padding=(1, 1)),
        neurons("second"),
        Concat("recent"),
        Conv("third_synapses", ones(2, 9, 3, 3)),
        neurons("third"),
    ]
    return answered((1, 4, 4), layers, 8, recent=["second", *(("first", delay) for delay in range(3))])
