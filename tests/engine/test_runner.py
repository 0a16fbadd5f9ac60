"""Batches on all cores."""

import numpy as np
from engine.agreement import ALL
from hypothesis import given, settings
from networks.drawn import exact_graphs
from networks.lenet import small_lenet
from networks.making import random_inputs

from asnn_deploy.engine.runner import Runner, run
from asnn_deploy.ir.trace import Record
from asnn_deploy.quantize import quantize


def test_threads_do_not_touch_each_other():
    graph = quantize(small_lenet())
    images = random_inputs(graph, 70)
    traces = []
    for threads in (1, 3):
        with Runner(graph, threads) as runner:
            traces.append([runner.run(images, ALL), runner.run(images[:5], Record()), runner.run(images[:1], ALL)])
    for one, other in zip(*traces):
        assert np.array_equal(one.logits, other.logits)
        for name in one.spikes:
            assert np.array_equal(one.spikes[name], other.spikes[name])


@settings(max_examples=10)
@given(exact_graphs())
def test_batches_do_not_touch_each_other(graph):
    images = random_inputs(graph, 9)
    whole, parts = run(graph, images, ALL, 9), run(graph, images, ALL, 2)
    for name in whole.spikes:
        assert np.array_equal(whole.spikes[name], parts.spikes[name])
    assert np.array_equal(whole.logits, parts.logits)


def test_no_images_give_an_empty_trace():
    graph = small_lenet()
    for version in (graph, quantize(graph)):
        trace = run(version, random_inputs(graph, 0), ALL)
        assert trace.logits.shape == (0, 5)
        assert trace.spikes["lif1"].shape == (4, 0, 6, 8, 8)
