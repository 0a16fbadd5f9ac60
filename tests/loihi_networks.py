"""Static networks that Loihi's own neurons can carry."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from networks import grid_weights

from asnn_deploy.input.coding import input_code
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.layers import Conv, Flatten, Linear, Neuron, Pool, Readout
from asnn_deploy.ir.step_table import StepTable


def static_lif(name, steps, model="lif", reset="zero", **parameters):
    """A static layer: leak 0.5, gain 0.5, threshold 1 where nothing else is said."""
    values = {"leak": 0.5, "gain": 0.5, "threshold": 1.0, **parameters}
    tables = {key: StepTable.constant(np.asarray(value, np.float32), steps) for key, value in values.items()}
    return Neuron(name, model, tables, reset)


def static_lenet(steps=4, coding="latency", channels=1, size=8, classes=5, seed=0, pool="max", lif=None, **parameters):
    """conv - LIF - pool - conv (strided, grouped) - LIF - pool - flatten - linear - LIF - linear - readout."""
    rng = np.random.default_rng(seed)
    code = input_code(coding, steps)
    scale = np.float32(2.0**-8 if code.analog[0] else 1)
    lif = lif or static_lif

    def table(shape, factor=1.0):
        return StepTable.constant(grid_weights(rng, shape) * np.float32(factor), steps)

    return DeployGraph.chain(
        (channels, size, size),
        code,
        [
            Conv("conv1", table((6, channels, 3, 3), scale), table((6,)), padding=(1, 1)),
            lif("lif1", steps, **parameters),
            Pool("pool1", pool),
            Conv("conv2", table((8, 3, 3, 3)), table((8,)), (1, 2), (1, 1), groups=2),
            lif("lif2", steps, **parameters),
            Pool("pool2", "max", (2, 1), (1, 1), (1, 0)),
            Flatten("flatten"),
            Linear("fc1", table((12, 8 * 5 * 2)), table((12,))),
            lif("lif3", steps, **parameters),
            Linear("fc2", table((classes, 12)), table((classes,))),
            Readout("readout", StepTable.constant(np.float32(1 / steps), steps)),
        ],
    )


def cuba(name, steps, **parameters):
    return static_lif(name, steps, "cuba-lif", current_leak=0.25, **parameters)


def without_synaptic_bias(graph):
    """A bias behind a leaky current is none of Loihi's."""
    layers = [replace(x, bias=None) if isinstance(x, (Conv, Linear)) else x for x in graph.layers]
    return replace(graph, layers=tuple(layers))
