"""Compiled neurons as a unit: what they give, keep and count, whatever is asked of them."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks.lenet import small_lenet
from networks.making import random_inputs

from asnn_deploy.engine.encoder import encode
from asnn_deploy.engine.population import Population
from asnn_deploy.quantizing import quantize

FORMS = pytest.mark.parametrize("convert", [lambda graph: graph, quantize], ids=["float", "fixed"])


def unit(graph, outputs=("lif1", "pool1"), watched=True, counted=True, synapses=True):
    layer = graph.by_name
    conv = layer["conv1"] if synapses else None
    return Population(graph, conv, layer["lif1"], layer["pool1"], outputs, watched, counted)


def inputs(graph, count=4):
    return encode(graph.code, random_inputs(graph, count))


@FORMS
def test_it_gives_what_is_needed_and_nothing_else(convert):
    """Any outputs, potentials or none, counts or none: what is given is the same."""
    graph = convert(small_lenet())
    frames, steps = inputs(graph), range(graph.time_steps)
    full = unit(graph)
    full.reset(4)
    expected = full.advance(steps, frames)
    spikes = expected["lif1"]
    assert full.emitted.tolist() == spikes.reshape(*spikes.shape[:2], -1).sum(axis=2).tolist()
    for outputs in ((), ("lif1",), ("pool1",), ("lif1", "pool1")):
        for watched in (False, True):
            for counted in (False, True):
                some = unit(graph, outputs, watched, counted)
                some.reset(4)
                found = some.advance(steps, frames)
                assert set(found) == set(outputs)
                for name, signal in found.items():
                    assert np.array_equal(signal, expected[name])
                assert np.array_equal(some.states, full.states)
                if watched:
                    assert np.array_equal(some.potential, full.potential)
                if counted:
                    assert np.array_equal(some.emitted, full.emitted)


@FORMS
def test_neurons_alone_are_those_behind_their_synapses(convert):
    graph = convert(small_lenet())
    frames, steps = inputs(graph), range(graph.time_steps)
    whole, alone = unit(graph), unit(graph, synapses=False)
    for population in (whole, alone):
        population.reset(4)
    expected = whole.advance(steps, frames)
    currents = whole.synapses.advance(steps, frames)["conv1"]
    found = alone.advance(steps, currents)
    assert alone.layers == ("lif1", "pool1")
    for name in expected:
        assert np.array_equal(found[name], expected[name]), name
    assert np.array_equal(alone.potential, whole.potential)


@FORMS
@settings(max_examples=10)
@given(kept=st.permutations(range(4)), count=st.integers(0, 4), cut=st.integers(1, 3))
def test_kept_samples_go_on_from_their_states(convert, kept, count, cut):
    graph = convert(small_lenet())
    frames, chosen = inputs(graph), np.array(kept[:count], int)
    whole, some = unit(graph), unit(graph)
    whole.reset(4)
    some.reset(4)
    expected = whole.advance(range(graph.time_steps), frames)
    some.advance(range(cut), frames[:cut])
    some.keep(chosen)
    found = some.advance(range(cut, graph.time_steps), frames[cut:, chosen])
    for name in found:
        assert np.array_equal(found[name], expected[name][cut:, chosen])


def test_a_reset_forgets_a_batch_of_any_size():
    graph = small_lenet()
    frames, steps = inputs(graph), range(graph.time_steps)
    fresh, used = unit(graph), unit(graph)
    fresh.reset(2)
    expected = fresh.advance(steps, frames[:, :2])
    for before, after in combinations((4, 2, 2), 2):
        used.reset(before)
        used.advance(steps, frames[:, :before])
        used.reset(after)
        assert used.states.shape[0] == after
        assert not used.states.any()
        found = used.advance(steps, frames[:, :after])
        assert np.array_equal(found["lif1"][:, :2], expected["lif1"])
