"""Batches on all cores."""

import numpy as np
from engine.agreement import ALL
from hypothesis import given, settings
from hypothesis import strategies as st
from networks.drawn import exact_graphs
from networks.lenet import small_lenet
from networks.making import random_inputs

from asnn_deploy.engine.early_exit import step_margins
from asnn_deploy.engine.executor import Executor
from asnn_deploy.engine.runner import PIECE, Runner, run
from asnn_deploy.ir.trace import Record
from asnn_deploy.quantizing import quantize


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


@settings(max_examples=15)
@given(st.integers(0, 3 * PIECE + 1), st.integers(1, 4))
def test_pieces_cover_a_batch_once_and_come_back_in_order(count, threads):
    graph = small_lenet()
    images = random_inputs(graph, count)
    with Runner(graph, threads) as runner:
        cuts = runner.map(images, Record(), lambda cut, trace: (range(*cut.indices(count)), trace.samples))
    assert [i for piece, _ in cuts for i in piece] == list(range(count))
    assert all(len(piece) == samples <= PIECE for piece, samples in cuts)
    assert max(map(len, (piece for piece, _ in cuts))) <= max(1, -(-count // threads)), (
        "no thread has more than its share"
    )


def test_what_is_recorded_may_change_from_run_to_run():
    graph = small_lenet()
    images = random_inputs(graph, 5)
    with Runner(graph, 1) as runner:
        plain = runner.run(images)
        full = runner.run(images, Record(spikes=True, arriving=True, spike_counts=True))
        again = runner.run(images)
    assert not plain.spikes
    assert not again.spikes
    assert np.array_equal(plain.logits, full.logits)
    assert np.array_equal(plain.logits, again.logits)
    for name, fired in full.spikes.items():
        assert np.array_equal(full.spike_counts[name], fired.reshape(*fired.shape[:2], -1).sum(axis=2))


def test_samples_that_stop_early_come_back_in_order():
    graph = small_lenet()
    images = random_inputs(graph, 40)
    margin = float(np.median(step_margins(run(graph, images, ALL).step_logits)))
    with Runner(graph, 3) as runner:
        found, steps = runner.run_until(images, margin)
    expected, ran = Executor(graph, wanted=[graph.readout.name]).run_until(images, margin)
    assert np.array_equal(found.logits, expected.logits)
    assert steps.tolist() == ran.tolist()
    assert len(set(ran)) > 1
