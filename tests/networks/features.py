"""Small networks that between them hold every kind of layer, table, edge and neuron that a graph may have."""

from __future__ import annotations

import numpy as np

from asnn_deploy.ir.graph import INPUT
from asnn_deploy.ir.inputs import SequenceInput
from asnn_deploy.ir.layers import Add, Concat, Conv, Flatten, Neuron, Pool, Scale
from asnn_deploy.ir.step_table import StepTable
from networks.attention import attention, transformer_block
from networks.making import Maker, constant

STEPS = 4
SIZE = 6


def strides_groups_dilation():
    m = Maker(1)
    layers = [
        m.conv("wide", 4, 2, groups=2, stride=(2, 1)),
        m.neuron("lif1", (4,)),
        m.conv("far", 6, 4, dilation=(1, 2), padding=(1, 2), groups=2),
        m.neuron("lif2", (6, 3, 6)),
    ]
    return m.chain(layers)


def weights_at_each_step():
    m = Maker(2)
    a, b = m.conv("a", 4, 2, values=STEPS), m.conv("b", 4, 4, values=2)
    return m.chain([a, m.neuron("lif1"), b, m.neuron("lif2"), Pool("pool")])


def padded_maximum_of_currents():
    m = Maker(3)
    return m.chain([m.conv("a", 4, 2), Pool("pool", "max", (3, 3), (2, 2), (1, 1)), m.neuron("lif1")])


def sums_and_averages():
    m = Maker(4)
    layers = [
        m.conv("a", 4, 2),
        m.neuron("lif1"),
        Pool("sum", "sum", (2, 2), (2, 2)),
        m.conv("b", 4, 4),
        Pool("average", "average", (3, 3), (1, 1), (1, 1)),
        m.neuron("lif2"),
    ]
    return m.chain(layers)


def one_dimension():
    m = Maker(5)
    a = m.conv("a", 4, 2, kernel=(3,), stride=(1,), dilation=(1,))
    pool = Pool("pool", "max", (2,), (2,), (0,))
    return m.chain([a, m.neuron("lif1", (4,)), pool], (2, 12))


def scaled_currents():
    """A factor right behind a convolution and a sum of currents: runtimes like to fold both into the convolution."""
    m = Maker(6)
    factor = constant(m.rng.uniform(0.5, 1.5, 4), STEPS)
    powers = 2.0 ** m.rng.integers(-1, 2, (STEPS, 4 * SIZE * SIZE))  # what a convolution reads must stay on a grid
    halves_and_doubles = StepTable.per_step(powers.astype(np.float32))
    layers = [
        m.conv("a", 4, 2),
        Scale("scale", factor),
        m.conv("b", 4, 2),
        Scale("scale_b", m.real(0.5, 1.5)),
        Add("add"),
        m.neuron("lif1"),
        Flatten("flatten"),
        Scale("scale_c", halves_and_doubles),
        m.linear("fc", 3, 4 * SIZE * SIZE),
        Scale("scale_d", constant(0.3, STEPS)),
        m.neuron("lif2"),
        m.linear("out", 3, 3),
        Scale("scale_e", constant(0.7, STEPS)),
        m.readout(),
    ]
    return m.linked(layers, {"b": [INPUT], "add": ["scale", "scale_b"]})


def inexact_sums():
    """Currents on grids so far apart that their sum is rounded: it must be rounded once, behind both convolutions."""
    m = Maker(7)
    tiny = m.table(4, 4, 3, 3).map(lambda value: value * np.float32(2.0**-21))
    layers = [
        m.conv("a", 4, 2),
        m.neuron("lif1"),
        m.conv("b", 4, 4),
        Conv("c", tiny, None, padding=(1, 1)),
        Add("add"),
        m.neuron("lif2"),
        *m.tail(4 * SIZE * SIZE),
    ]
    return m.linked(layers, {"c": ["lif1"], "add": ["b", "c", "b"]})


def residual():
    m = Maker(8)
    layers = [
        m.conv("a", 4, 2),
        m.neuron("lif1"),
        m.conv("b", 4, 4),
        m.neuron("lif2"),
        m.conv("c", 4, 4),
        m.neuron("lif3"),
        Add("add"),
        Pool("pool"),
        *m.tail(4 * 9),
    ]
    return m.linked(layers, {"add": ["lif3", "lif1", ("lif2", 1)]})


def delayed_edges():
    m = Maker(9)
    layers = [
        m.conv("a", 4, 2),
        m.neuron("lif1"),
        m.conv("b", 4, 4),
        m.neuron("lif2"),
        Add("add"),
        Pool("pool"),
        *m.tail(36),
    ]
    links = {"a": [(INPUT, 1)], "b": [("lif1", 2)], "add": ["lif2", ("lif1", STEPS + 3)]}
    return m.linked(layers, links)


def recurrent():
    """A population that hears itself one and two steps later, through weights that change."""
    m = Maker(10)
    layers = [
        m.conv("a", 4, 2),
        m.conv("again", 4, 4, values=2),
        m.conv("later", 4, 4, kernel=(1, 1)),
        m.conv("never", 4, 4),
        Add("add"),
        m.neuron("lif1"),
        *m.tail(4 * SIZE * SIZE),
    ]
    links = {"again": [("lif1", 1)], "later": [("lif1", 2)], "never": [("lif1", STEPS + 5)]}
    links["add"] = ["a", "again", "later", "never"]
    return m.linked(layers, links)


def two_populations():
    """Two populations in a loop; the answer reads a pooled signal from its middle."""
    m = Maker(11)
    layers = [
        m.conv("a", 4, 2),
        Add("add"),
        m.neuron("lif1"),
        Scale("half", constant(0.5, STEPS)),
        m.conv("b", 4, 4),
        m.neuron("lif2", reset="zero"),
        m.conv("back", 4, 4),
        Pool("pool"),
        *m.tail(4 * 9),
    ]
    return m.linked(layers, {"add": ["a", ("back", 1)], "pool": ["half"]})


def delayed_and_listed_first():
    """A delayed edge from a later layer to an earlier one that closes no loop."""
    m = Maker(12)
    layers = [
        m.conv("a", 4, 2),
        m.neuron("lif1"),
        m.conv("b", 4, 2),
        m.neuron("lif2"),
        Add("add"),
        *m.tail(4 * SIZE * SIZE),
    ]
    links = {"a": [("side", 1)], "side": [INPUT], "b": [INPUT], "add": ["lif1", "lif2"]}
    layers.insert(2, Pool("side", "max", (1, 1), (1, 1)))
    return m.linked(layers, links)


def currents_that_leak():
    m = Maker(14)
    shape = (4, SIZE, SIZE)
    parameters = {
        "current_leak": m.real(0.2, 0.8, 4),
        "leak": m.real(0.2, 0.9),
        "gain": m.real(0.3, 1.0, *shape),
        "threshold": m.real(0.7, 1.3, 4),
        "bias": m.real(-0.1, 0.3, *shape),
    }
    return m.chain([m.conv("a", 4, 2), Neuron("cuba", "cuba-lif", parameters)])


def over_time():
    """Convolutions over time and space: each reads the last three steps of what is before it."""
    m = Maker(18)
    layers = [m.conv("a", 4, 2), m.neuron("lif1"), Concat("recent"), m.conv("b", 4, 12), m.neuron("lif2"), *m.tail(144)]
    return m.linked(layers, {"recent": ["lif1", ("lif1", 1), ("lif1", 2)]})


def integrators():
    """Integrate-and-fire neurons, and leaky integrators, which the answer reads."""
    m = Maker(19)
    fires = Neuron("if1", "if", {"gain": m.real(0.3, 1.0), "threshold": m.real(0.7, 1.3, 4)})
    read = Neuron("li", "li", {"leak": m.real(0.2, 0.9), "gain": m.real(0.3, 1.0, 3)})
    inputs = 4 * SIZE * SIZE
    layers = [m.conv("a", 4, 2), fires, Flatten("flat"), m.linear("out", 3, inputs), read, m.readout()]
    return m.linked(layers, {})


def largest_counts():
    """The largest of sums of spikes."""
    m = Maker(20)
    layers = [
        m.conv("a", 4, 2),
        m.neuron("lif1"),
        m.conv("b", 4, 4),
        m.neuron("lif2"),
        Add("add"),
        Pool("pool"),
        *m.tail(36),
    ]
    return m.linked(layers, {"add": ["lif1", "lif2", "lif1"]})


def sequence(kind, most=1):
    """Frames as they are given: spikes, counts up to `most`, or values."""
    m = Maker(21)
    return m.chain([m.conv("a", 4, 2), m.neuron("lif1")], code=SequenceInput(STEPS, kind, most))


def hard_reset_with_bias():
    m = Maker(15)
    parameters = {
        "leak": m.real(0.2, 0.9),
        "gain": m.real(0.3, 1.0),
        "threshold": m.real(0.4, 0.8),
        "bias": m.real(-0.1, 0.2, 4),
    }
    return m.chain([m.conv("a", 4, 2), Neuron("lif1", "lif", parameters, reset="zero")])


def one_step():
    m = Maker(16, steps=1)
    return m.chain([m.conv("a", 4, 2), m.neuron("lif1")])


def awkward_names():
    """Layers named as the file's own values are."""
    m = Maker(17)
    layers = [
        m.conv("image", 4, 2),
        m.neuron("spikes"),
        m.conv("spikes.weight", 4, 4),
        m.neuron("flat"),
        m.conv("logits", 4, 4),
        m.neuron("batch"),
        Add("out"),
        Flatten("steps"),
        m.linear("step_logits", 3, 4 * SIZE * SIZE),
        m.readout("body"),
    ]
    return m.linked(layers, {"out": ["batch", "flat", ("spikes", 1)]})


NETWORKS = [
    strides_groups_dilation,
    weights_at_each_step,
    padded_maximum_of_currents,
    sums_and_averages,
    one_dimension,
    scaled_currents,
    inexact_sums,
    residual,
    delayed_edges,
    recurrent,
    two_populations,
    delayed_and_listed_first,
    attention,
    transformer_block,
    currents_that_leak,
    hard_reset_with_bias,
    one_step,
    awkward_names,
    over_time,
    integrators,
    largest_counts,
]
