"""Self-attention: products of spikes and of counts."""

from __future__ import annotations

from asnn_deploy.ir.graph import INPUT
from asnn_deploy.ir.layers import Add, Pool, Product, Reshape, Scale
from networks.making import Maker, constant

STEPS = 4
SIZE = 6


def attention():
    m = Maker(13)
    layers = [
        m.conv("q", 4, 2),
        m.neuron("q_lif"),
        Pool("rows", "sum", (1, SIZE), (1, 1)),
        m.conv("k", 4, 2),
        m.neuron("k_lif"),
        Product("scores", "cha, chw -> cwa"),
        m.neuron("lif1"),
        *m.tail(4 * SIZE),
    ]
    return m.linked(layers, {"k": [INPUT], "scores": ["rows", "k_lif"]})


def transformer_block():
    """Self-attention between two residual additions: heads, products of counts, a scale, and counts read by synapses."""
    m = Maker(18)
    shape, heads = (4, SIZE, SIZE), (2, 2, SIZE * SIZE)
    layers = [
        m.conv("a", 4, 2),
        m.neuron("tokens"),
        m.conv("q", 4, 4, (1, 1)),
        m.neuron("q_lif"),
        Reshape("q_heads", heads),
        m.conv("k", 4, 4, (1, 1)),
        m.neuron("k_lif"),
        Reshape("k_heads", heads),
        m.conv("v", 4, 4, (1, 1)),
        m.neuron("v_lif"),
        Reshape("v_heads", heads),
        Product("kv", "hdm,hem->hde"),
        Product("qkv", "hdn,hde->hen"),
        Reshape("joined", shape),
        Scale("scale", constant(2.0**-4, STEPS)),
        m.neuron("attention"),
        m.conv("projection", 4, 4, (1, 1)),
        m.neuron("projected"),
        Add("attended"),
        m.conv("mlp", 4, 4, (1, 1), stride=(2, 2)),
        m.neuron("mlp_lif"),
        Pool("short", "max", (3, 3), (2, 2), (1, 1)),
        Add("sum"),
        *m.tail(4 * (SIZE // 2) ** 2),
    ]
    links = {name: ["tokens"] for name in ("q", "k", "v")}
    links |= {"kv": ["k_heads", "v_heads"], "qkv": ["q_heads", "kv"], "attended": ["tokens", "projected"]}
    links |= {"short": ["tokens"], "sum": ["mlp_lif", "short"]}
    return m.linked(layers, links)
