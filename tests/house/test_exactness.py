"""What the tests take for granted when they demand equal bits, and what they allow elsewhere."""

from dataclasses import replace

import numpy as np
import pytest
from exactness import EVERYTHING, assert_answers, order_dependent
from hypothesis import given
from networks.drawn import exact_graphs
from networks.formats import NETWORKS
from networks.lenet import small_lenet
from networks.making import CODING_STEPS, random_inputs

from asnn_deploy.engine import runner as reference
from asnn_deploy.engine.dense import pool

MEANS = ["average pool of nine", "1-D average of three"]


def test_the_small_networks_are_order_free():
    for coding, steps in CODING_STEPS.items():
        for grain in ("layer", "channel", "neuron"):
            assert not order_dependent(small_lenet(steps, coding, granularity=grain, channels=3, size=12))


@given(exact_graphs())
def test_the_drawn_networks_are_order_free(graph):
    assert not order_dependent(graph)


def test_sums_behind_means_of_three_and_nine_are_not():
    assert [name for name, graph in NETWORKS.items() if order_dependent(graph)] == MEANS


def answers_backwards(graph, layer, spikes):
    """Each step's answer, with the last linear layer's products added up from the last to the first."""
    steps = []
    for t, fired in enumerate(spikes):
        x = pool(graph.by_name["pool"], fired.astype(np.float32)).reshape(len(fired), -1)
        total = np.zeros((len(x), graph.classes), np.float32)
        for i in reversed(range(x.shape[1])):
            total = total + x[:, i, None] * layer.weight.at(t)[:, i]
        bias = 0 if layer.bias is None else layer.bias.at(t)
        steps.append((total + bias) * graph.readout.scale.at(t))
    return np.stack(steps)


@pytest.mark.parametrize("name", MEANS)
def test_another_order_stays_within_the_bound_and_another_weight_does_not(name):
    graph = NETWORKS[name]
    images = random_inputs(graph, 8)
    expected = reference.run(graph, images, EVERYTHING)
    (sums,) = order_dependent(graph)
    layer = graph.by_name[sums]
    backwards = answers_backwards(graph, layer, expected.spikes["lif"])
    assert not np.array_equal(backwards, expected.step_logits)
    assert_answers(graph, images, backwards, backwards.sum(axis=0), expected)
    nudged = replace(layer, weight=layer.weight.map(lambda w: w + np.float32(2.0**-12)))
    other = replace(graph, layers=tuple(nudged if part is layer else part for part in graph.layers))
    found = reference.run(other, images, EVERYTHING)
    with pytest.raises(AssertionError):
        assert_answers(graph, images, found.step_logits, found.logits, expected)
