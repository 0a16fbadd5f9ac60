"""A unit for some steps: in one call or in several, from any step on, with its own sums or with finished ones."""

from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks.features import strides_groups_dilation
from networks.lenet import loihi_cuba, small_lenet, static_lenet
from networks.making import random_inputs

from asnn_deploy.engine.choice import Choice
from asnn_deploy.engine.encoder import encode
from asnn_deploy.engine.executor import Executor
from asnn_deploy.engine.population import Population
from asnn_deploy.quantizing import quantize

NETWORKS = {
    "a kernel": small_lenet,
    "a program": lambda: static_lenet(lif=loihi_cuba),
    "groups": strides_groups_dilation,
}


@cache
def form(network, fixed):
    graph = NETWORKS[network]()
    return quantize(graph) if fixed else graph


@cache
def pair(network, fixed):
    """Two units of one network; each is reset before it runs."""
    return first_unit(form(network, fixed)), first_unit(form(network, fixed))


def first_unit(graph):
    """The first unit, which reads the input: neurons with their synapses, another one at each call."""
    unit = Executor(graph, wanted=[]).units[0]
    assert isinstance(unit, Population)
    return unit


@pytest.mark.parametrize("fixed", [False, True])
@pytest.mark.parametrize("network", NETWORKS)
@settings(max_examples=10)
@given(cuts=st.sets(st.integers(1, 3)), events=st.booleans())
def test_steps_in_parts_are_those_at_once(network, fixed, cuts, events):
    """The parts add up events or dense products, the whole the other."""
    graph = form(network, fixed)
    frames = encode(graph.code, random_inputs(graph, 3))
    whole, parts = pair(network, fixed)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Choice, "takes_events", lambda *_: not events)
        whole.reset(3)
        expected = whole.advance(range(graph.time_steps), frames)
        potentials, counts = whole.potential, whole.emitted
        patched.setattr(Choice, "takes_events", lambda *_: events)
        parts.reset(3)
        ends = [0, *sorted(cuts), graph.time_steps]
        for begin, end in pairwise(ends):
            found = parts.advance(range(begin, end), frames[begin:end])
            for name, signal in expected.items():
                assert np.array_equal(found[name], signal[begin:end]), name
            assert np.array_equal(parts.potential, potentials[begin:end])
            assert np.array_equal(parts.emitted, counts[begin:end])
    assert np.array_equal(parts.states, whole.states)


def test_samples_do_not_touch_each_other():
    graph = small_lenet(granularity="neuron")
    frames = encode(graph.code, random_inputs(graph, 5))
    together, alone = first_unit(graph), first_unit(graph)
    together.reset(5)
    expected = together.advance(range(graph.time_steps), frames)
    for b in range(5):
        alone.reset(1)
        found = alone.advance(range(graph.time_steps), frames[:, b : b + 1])
        for name, signal in expected.items():
            assert np.array_equal(found[name], signal[:, b : b + 1])
