"""Heads and tokens, found by the graph's layers alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from networks.attention import transformer_block
from networks.features import residual

from asnn_deploy.deploy.deployment import Deployment
from asnn_deploy.engine.runner import run
from asnn_deploy.ir.trace import Record
from asnn_deploy.verifying.heads import Place, place
from asnn_deploy.verifying.parity import Comparison
from asnn_deploy.verifying.targets import placed


def test_neurons_before_and_behind_the_products():
    graph = transformer_block()  # 4 channels in 2 heads, 6 x 6 tokens
    for name in ("q_lif", "k_lif", "v_lif", "attention"):
        assert place(graph, name, (3, 1, 2)) == Place(head=1, token=8, channel=1, position=(1, 2))
    for name in ("tokens", "projected", "mlp_lif", "fc_lif"):
        assert place(graph, name, (0,) * len(graph.shapes[name])) is None
    assert place(residual(), "lif1", (0, 0, 0)) is None


def test_every_place_is_that_of_the_reshaped_signal():
    graph = transformer_block()
    heads = np.arange(4 * 36).reshape(graph.by_name["q_heads"].shape)
    whole = heads.reshape(graph.shapes["q_lif"])
    for index in np.ndindex(whole.shape):
        at = place(graph, "q_lif", index)
        assert heads[at.head, at.channel, at.token] == whole[index]


def test_a_divergence_says_where_in_attention_it_is():
    graph = transformer_block()
    images = np.full((2, *graph.input_shape), 255, np.uint8)
    trace = run(graph, images, Record(spikes=True))
    damaged = {name: spikes.copy() for name, spikes in trace.spikes.items()}
    damaged["attention"][2, 1, 2, 5, 0] ^= 1
    comparison = Comparison("reference")
    comparison.add(trace, replace(trace, spikes=damaged))
    with Deployment(graph) as deployment:
        first = placed(comparison.report(), deployment.graph).first_divergence
    assert (first.layer, first.step, first.sample, first.head, first.token) == ("attention", 2, 1, 1, 30)
