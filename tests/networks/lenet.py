"""Small LeNets: one in every coding and granularity, and a static one that Loihi's own neurons can carry."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from asnn_deploy.input.coding import input_code
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.layers import Conv, Flatten, Linear, Pool, Readout
from asnn_deploy.ir.step_table import StepTable
from networks.making import constant, grid_weights, random_neuron, random_readout, static_neuron


def small_lenet(
    time_steps=4, coding="hybrid-latency", channels=1, size=8, classes=5, seed=0, granularity="layer", widths=(6, 8, 12)
):
    """conv - LIF - max-pool - conv - LIF - max-pool - flatten - linear - LIF - linear - readout."""
    rng = np.random.default_rng(seed)
    code = input_code(coding, time_steps)
    kinds = np.unique(code.analog)

    def stem(*shape):  # analog steps carry 0..255
        values = np.stack([grid_weights(rng, shape) * np.float32(2.0**-8 if k else 1.0) for k in kinds])
        return StepTable(values, np.searchsorted(kinds, code.analog))

    def table(*shape):
        return constant(grid_weights(rng, shape), time_steps)

    half, quarter = size // 2, size // 4
    first, second, hidden = widths
    grains = {
        "layer": [(), (), ()],
        "channel": [(first,), (second,), (hidden,)],
        "neuron": [(first, size, size), (second, half, half), (hidden,)],
    }[granularity]
    return DeployGraph.chain(
        (channels, size, size),
        code,
        [
            Conv("conv1", stem(first, channels, 3, 3), stem(first), padding=(1, 1)),
            random_neuron(rng, "lif1", time_steps, grains[0]),
            Pool("pool1"),
            Conv("conv2", table(second, first, 3, 3), table(second), padding=(1, 1)),
            random_neuron(rng, "lif2", time_steps, grains[1]),
            Pool("pool2"),
            Flatten("flatten"),
            Linear("fc1", table(hidden, second * quarter * quarter), table(hidden)),
            random_neuron(rng, "lif3", time_steps, grains[2]),
            Linear("fc2", table(classes, hidden), table(classes)),
            random_readout(rng, time_steps),
        ],
    )


def loihi_lif(name, steps, reset="zero", **parameters):
    """A static layer with the reset of Loihi's neurons."""
    return static_neuron(name, steps, reset=reset, **parameters)


def loihi_cuba(name, steps, **parameters):
    """The same with a synaptic current."""
    return static_neuron(name, steps, "cuba-lif", "zero", **{"current_leak": 0.25, **parameters})


def static_lenet(
    steps=4, coding="latency", channels=1, size=8, classes=5, seed=0, pool="max", lif=loihi_lif, **parameters
):
    """conv - LIF - pool - conv (strided, grouped) - LIF - pool - flatten - linear - LIF - linear - readout."""
    rng = np.random.default_rng(seed)
    code = input_code(coding, steps)

    def table(*shape, factor=1.0):
        return constant(grid_weights(rng, shape) * np.float32(factor), steps)

    stem = 2.0**-8 if code.analog[0] else 1.0
    return DeployGraph.chain(
        (channels, size, size),
        code,
        [
            Conv("conv1", table(6, channels, 3, 3, factor=stem), table(6), padding=(1, 1)),
            lif("lif1", steps, **parameters),
            Pool("pool1", pool),
            Conv("conv2", table(8, 3, 3, 3), table(8), (1, 2), (1, 1), groups=2),
            lif("lif2", steps, **parameters),
            Pool("pool2", "max", (2, 1), (1, 1), (1, 0)),
            Flatten("flatten"),
            Linear("fc1", table(12, 8 * 5 * 2), table(12)),
            lif("lif3", steps, **parameters),
            Linear("fc2", table(classes, 12), table(classes)),
            Readout("readout", constant(1 / steps, steps)),
        ],
    )


def without_synaptic_bias(graph):
    """A bias behind a leaky current is none of Loihi's."""
    layers = [replace(x, bias=None) if isinstance(x, (Conv, Linear)) else x for x in graph.layers]
    return replace(graph, layers=tuple(layers))
