"""Small networks that between them hold every kind of layer, table, edge and neuron that a graph may have."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from networks import grid_weights, random_neuron

from asnn_deploy.input.coding import input_code
from asnn_deploy.ir.graph import INPUT, DeployGraph, Edge
from asnn_deploy.ir.inputs import SequenceInput
from asnn_deploy.ir.layers import Add, Concat, Conv, Flatten, Linear, Neuron, Pool, Product, Readout, Reshape, Scale
from asnn_deploy.ir.step_table import StepTable

STEPS = 4
SIZE = 6


class Maker:
    """Layers with random weights; `steps` is T."""

    def __init__(self, seed=0, steps=STEPS):
        self.rng = np.random.default_rng(seed)
        self.steps = steps

    def table(self, *shape, values=1):
        """Order-free weights; K = `values`, in force in turn."""
        return StepTable(grid_weights(self.rng, (values, *shape)), np.arange(self.steps) % values)

    def real(self, low, high, *shape):
        """Any float32 values, other ones at each step."""
        return StepTable.per_step(self.rng.uniform(low, high, (self.steps, *shape)).astype(np.float32))

    def conv(self, name, c_out, c_in, kernel=(3, 3), values=1, **options):
        options.setdefault("padding", tuple(k // 2 for k in kernel))
        groups = options.get("groups", 1)
        weight = self.table(c_out, c_in // groups, *kernel, values=values)
        return Conv(name, weight, self.table(c_out, values=values), **options)

    def linear(self, name, out, inputs, values=1):
        return Linear(name, self.table(out, inputs, values=values), self.table(out, values=values))

    def lif(self, name, shape=(), reset="subtract"):
        return random_neuron(self.rng, name, self.steps, shape, reset)

    def readout(self, name="readout"):
        return Readout(name, self.real(0.1, 0.5))

    def tail(self, inputs):
        """From (C, H, W) to the answer."""
        return [
            Flatten("flatten"),
            self.linear("fc", 8, inputs),
            self.lif("fc_lif"),
            self.linear("out", 3, 8),
            self.readout(),
        ]

    def code(self):
        return input_code("latency", self.steps)

    def chain(self, layers, inputs, channels=2):
        return DeployGraph.chain((channels, SIZE, SIZE), self.code(), [*layers, *self.tail(inputs)])


def linked(shape, code, layers, links):
    """A graph from `{target: [source, (source, delay), ...]}`; a layer that is not named follows the one before it."""
    names = [INPUT, *(layer.name for layer in layers)]
    edges = []
    for before, name in pairwise(names):
        for source in links.get(name, [before]):
            edges.append(Edge(source, name) if isinstance(source, str) else Edge(source[0], name, source[1]))
    return DeployGraph(shape, code, tuple(layers), tuple(edges))


def strides_groups_dilation():
    m = Maker(1)
    return m.chain(
        [
            m.conv("wide", 4, 2, groups=2, stride=(2, 1)),
            m.lif("lif1", (4,)),
            m.conv("far", 6, 4, dilation=(1, 2), padding=(1, 2), groups=2),
            m.lif("lif2", (6, 3, 6)),
        ],
        6 * 3 * 6,
    )


def weights_at_each_step():
    m = Maker(2)
    return m.chain(
        [m.conv("a", 4, 2, values=STEPS), m.lif("lif1"), m.conv("b", 4, 4, values=2), m.lif("lif2"), Pool("pool")],
        4 * 9,
    )


def padded_maximum_of_currents():
    m = Maker(3)
    return m.chain([m.conv("a", 4, 2), Pool("pool", "max", (3, 3), (2, 2), (1, 1)), m.lif("lif1")], 4 * 9)


def sums_and_averages():
    m = Maker(4)
    return m.chain(
        [
            m.conv("a", 4, 2),
            m.lif("lif1"),
            Pool("sum", "sum", (2, 2), (2, 2)),
            m.conv("b", 4, 4),
            Pool("average", "average", (3, 3), (1, 1), (1, 1)),
            m.lif("lif2"),
        ],
        4 * 9,
    )


def one_dimension():
    m = Maker(5)
    a = m.conv("a", 4, 2, kernel=(3,), stride=(1,), dilation=(1,))
    pool = Pool("pool", "max", (2,), (2,), (0,))
    return DeployGraph.chain((2, 12), m.code(), [a, m.lif("lif1", (4,)), pool, *m.tail(4 * 6)])


def scaled_currents():
    """A factor right behind a convolution and a sum of currents: runtimes like to fold both into the convolution."""
    m = Maker(6)
    factor = StepTable.constant(m.rng.uniform(0.5, 1.5, 4).astype(np.float32), STEPS)
    powers = 2.0 ** m.rng.integers(-1, 2, (STEPS, 4 * SIZE * SIZE))  # what a convolution reads must stay on a grid
    halves_and_doubles = StepTable.per_step(powers.astype(np.float32))
    layers = [
        m.conv("a", 4, 2),
        Scale("scale", factor),
        m.conv("b", 4, 2),
        Scale("scale_b", m.real(0.5, 1.5)),
        Add("add"),
        m.lif("lif1"),
        Flatten("flatten"),
        Scale("scale_c", halves_and_doubles),
        m.linear("fc", 3, 4 * SIZE * SIZE),
        Scale("scale_d", StepTable.constant(np.float32(0.3), STEPS)),
        m.lif("lif2"),
        m.linear("out", 3, 3),
        Scale("scale_e", StepTable.constant(np.float32(0.7), STEPS)),
        m.readout(),
    ]
    return linked((2, SIZE, SIZE), m.code(), layers, {"b": [INPUT], "add": ["scale", "scale_b"]})


def inexact_sums():
    """Currents on grids so far apart that their sum is rounded: it must be rounded once, behind both convolutions."""
    m = Maker(7)
    tiny = m.table(4, 4, 3, 3).map(lambda value: value * np.float32(2.0**-21))
    layers = [
        m.conv("a", 4, 2),
        m.lif("lif1"),
        m.conv("b", 4, 4),
        Conv("c", tiny, None, padding=(1, 1)),
        Add("add"),
        m.lif("lif2"),
        *m.tail(4 * SIZE * SIZE),
    ]
    return linked((2, SIZE, SIZE), m.code(), layers, {"c": ["lif1"], "add": ["b", "c", "b"]})


def residual():
    m = Maker(8)
    layers = [
        m.conv("a", 4, 2),
        m.lif("lif1"),
        m.conv("b", 4, 4),
        m.lif("lif2"),
        m.conv("c", 4, 4),
        m.lif("lif3"),
        Add("add"),
        Pool("pool"),
        *m.tail(4 * 9),
    ]
    return linked((2, SIZE, SIZE), m.code(), layers, {"add": ["lif3", "lif1", ("lif2", 1)]})


def delayed_edges():
    m = Maker(9)
    layers = [m.conv("a", 4, 2), m.lif("lif1"), m.conv("b", 4, 4), m.lif("lif2"), Add("add"), Pool("pool"), *m.tail(36)]
    links = {"a": [(INPUT, 1)], "b": [("lif1", 2)], "add": ["lif2", ("lif1", STEPS + 3)]}
    return linked((2, SIZE, SIZE), m.code(), layers, links)


def recurrent():
    """A population that hears itself one and two steps later, through weights that change."""
    m = Maker(10)
    layers = [
        m.conv("a", 4, 2),
        m.conv("again", 4, 4, values=2),
        m.conv("later", 4, 4, kernel=(1, 1)),
        m.conv("never", 4, 4),
        Add("add"),
        m.lif("lif1"),
        *m.tail(4 * SIZE * SIZE),
    ]
    links = {"again": [("lif1", 1)], "later": [("lif1", 2)], "never": [("lif1", STEPS + 5)]}
    links["add"] = ["a", "again", "later", "never"]
    return linked((2, SIZE, SIZE), m.code(), layers, links)


def two_populations():
    """Two populations in a loop; the answer reads a pooled signal from its middle."""
    m = Maker(11)
    layers = [
        m.conv("a", 4, 2),
        Add("add"),
        m.lif("lif1"),
        Scale("half", StepTable.constant(np.float32(0.5), STEPS)),
        m.conv("b", 4, 4),
        m.lif("lif2", reset="zero"),
        m.conv("back", 4, 4),
        Pool("pool"),
        *m.tail(4 * 9),
    ]
    return linked((2, SIZE, SIZE), m.code(), layers, {"add": ["a", ("back", 1)], "pool": ["half"]})


def delayed_and_listed_first():
    """A delayed edge from a later layer to an earlier one that closes no loop."""
    m = Maker(12)
    layers = [m.conv("a", 4, 2), m.lif("lif1"), m.conv("b", 4, 2), m.lif("lif2"), Add("add"), *m.tail(4 * SIZE * SIZE)]
    links = {"a": [("side", 1)], "side": [INPUT], "b": [INPUT], "add": ["lif1", "lif2"]}
    layers.insert(2, Pool("side", "max", (1, 1), (1, 1)))
    return linked((2, SIZE, SIZE), m.code(), layers, links)


def attention():
    m = Maker(13)
    layers = [
        m.conv("q", 4, 2),
        m.lif("q_lif"),
        Pool("rows", "sum", (1, SIZE), (1, 1)),
        m.conv("k", 4, 2),
        m.lif("k_lif"),
        Product("scores", "cha, chw -> cwa"),
        m.lif("lif1"),
        *m.tail(4 * SIZE),
    ]
    return linked((2, SIZE, SIZE), m.code(), layers, {"k": [INPUT], "scores": ["rows", "k_lif"]})


def transformer_block():
    """Self-attention between two residual additions: heads, products of counts, a scale, and counts read by synapses."""
    m = Maker(18)
    shape, heads = (4, SIZE, SIZE), (2, 2, SIZE * SIZE)
    layers = [
        m.conv("a", 4, 2),
        m.lif("tokens"),
        m.conv("q", 4, 4, (1, 1)),
        m.lif("q_lif"),
        Reshape("q_heads", heads),
        m.conv("k", 4, 4, (1, 1)),
        m.lif("k_lif"),
        Reshape("k_heads", heads),
        m.conv("v", 4, 4, (1, 1)),
        m.lif("v_lif"),
        Reshape("v_heads", heads),
        Product("kv", "hdm,hem->hde"),
        Product("qkv", "hdn,hde->hen"),
        Reshape("joined", shape),
        Scale("scale", StepTable.constant(np.float32(2.0**-4), STEPS)),
        m.lif("attention"),
        m.conv("projection", 4, 4, (1, 1)),
        m.lif("projected"),
        Add("attended"),
        m.conv("mlp", 4, 4, (1, 1), stride=(2, 2)),
        m.lif("mlp_lif"),
        Pool("short", "max", (3, 3), (2, 2), (1, 1)),
        Add("sum"),
        *m.tail(4 * (SIZE // 2) ** 2),
    ]
    links = {name: ["tokens"] for name in ("q", "k", "v")}
    links |= {"kv": ["k_heads", "v_heads"], "qkv": ["q_heads", "kv"], "attended": ["tokens", "projected"]}
    links |= {"short": ["tokens"], "sum": ["mlp_lif", "short"]}
    return linked((2, SIZE, SIZE), m.code(), layers, links)


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
    return m.chain([m.conv("a", 4, 2), Neuron("cuba", "cuba-lif", parameters)], 4 * SIZE * SIZE)


def over_time():
    """Convolutions over time and space: each reads the last three steps of what is before it."""
    m = Maker(18)
    layers = [m.conv("a", 4, 2), m.lif("lif1"), Concat("recent"), m.conv("b", 4, 12), m.lif("lif2"), *m.tail(144)]
    return linked((2, SIZE, SIZE), m.code(), layers, {"recent": ["lif1", ("lif1", 1), ("lif1", 2)]})


def integrators():
    """Integrate-and-fire neurons, and leaky integrators, which the answer reads."""
    m = Maker(19)
    fires = Neuron("if1", "if", {"gain": m.real(0.3, 1.0), "threshold": m.real(0.7, 1.3, 4)})
    read = Neuron("li", "li", {"leak": m.real(0.2, 0.9), "gain": m.real(0.3, 1.0, 3)})
    inputs = 4 * SIZE * SIZE
    layers = [m.conv("a", 4, 2), fires, Flatten("flat"), m.linear("out", 3, inputs), read, m.readout()]
    return linked((2, SIZE, SIZE), m.code(), layers, {})


def largest_counts():
    """The largest of sums of spikes."""
    m = Maker(20)
    layers = [m.conv("a", 4, 2), m.lif("lif1"), m.conv("b", 4, 4), m.lif("lif2"), Add("add"), Pool("pool"), *m.tail(36)]
    return linked((2, SIZE, SIZE), m.code(), layers, {"add": ["lif1", "lif2", "lif1"]})


def sequence(kind, most=1):
    """Frames as they are given: spikes, counts up to `most`, or values."""
    m = Maker(21)
    layers = [m.conv("a", 4, 2), m.lif("lif1"), *m.tail(4 * SIZE * SIZE)]
    return linked((2, SIZE, SIZE), SequenceInput(STEPS, kind, most), layers, {})


def hard_reset_with_bias():
    m = Maker(15)
    parameters = {
        "leak": m.real(0.2, 0.9),
        "gain": m.real(0.3, 1.0),
        "threshold": m.real(0.4, 0.8),
        "bias": m.real(-0.1, 0.2, 4),
    }
    return m.chain([m.conv("a", 4, 2), Neuron("lif1", "lif", parameters, reset="zero")], 4 * SIZE * SIZE)


def one_step():
    m = Maker(16, steps=1)
    return m.chain([m.conv("a", 4, 2), m.lif("lif1")], 4 * SIZE * SIZE)


def awkward_names():
    """Layers named as the file's own values are."""
    m = Maker(17)
    layers = [
        m.conv("image", 4, 2),
        m.lif("spikes"),
        m.conv("spikes.weight", 4, 4),
        m.lif("flat"),
        m.conv("logits", 4, 4),
        m.lif("batch"),
        Add("out"),
        Flatten("steps"),
        m.linear("step_logits", 3, 4 * SIZE * SIZE),
        m.readout("body"),
    ]
    return linked((2, SIZE, SIZE), m.code(), layers, {"out": ["batch", "flat", ("spikes", 1)]})


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
