"""Compiled synapses against the NumPy definitions: every geometry, events and dense products."""

from itertools import pairwise

import numpy as np
import pytest
from engine.agreement import assert_compiled_equals_numpy
from hypothesis import example, given, settings
from hypothesis import strategies as st
from networks.drawn import convolutions, exact_graphs
from networks.lenet import small_lenet
from networks.making import constant, random_inputs

from asnn_deploy.engine.choice import Choice
from asnn_deploy.engine.compiled import Synapses
from asnn_deploy.engine.registers import NotCompilable
from asnn_deploy.input.coding import input_code
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.images import InputCode
from asnn_deploy.ir.layers import Conv, Linear, Readout
from asnn_deploy.ir.step_table import StepTable
from asnn_deploy.quantizing import quantize


@settings(max_examples=60)
@given(convolutions(), st.booleans(), st.booleans())
def test_every_convolution(drawn, fixed, analog):
    layer, shape = drawn
    if fixed:
        layer = Conv(
            "conv", layer.weight.astype(np.int8), None, layer.stride, layer.padding, layer.dilation, layer.groups
        )
    kind = np.int32 if fixed else np.float32
    layers = [layer, Readout("answer", constant(3, 2, kind), constant(1, 2, kind) if fixed else None)]
    code = input_code("direct" if analog else "latency", 2)
    graph = DeployGraph.chain(shape, code, layers, arithmetic="fixed" if fixed else "float32")
    fused = assert_compiled_equals_numpy(graph, random_inputs(graph, 3))
    assert isinstance(fused.units[0], Synapses)


@pytest.mark.parametrize("events", [True, False])
@pytest.mark.parametrize("convert", [lambda graph: graph, quantize], ids=["float", "fixed"])
@settings(max_examples=10)
@given(exact_graphs())
@example(small_lenet())
def test_events_and_dense_products_are_equal(events, convert, graph):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Choice, "takes_events", lambda *_: events)
        assert_compiled_equals_numpy(convert(graph), random_inputs(graph, 4))


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=6), st.data())
def test_runs_are_consecutive_steps_of_one_type(steps, data):
    """Any order of steps with pixels or spikes, and with weights whose sums need 16 bits or 32."""
    analog, wide = (np.array(column) for column in zip(*steps))
    table = np.where(analog[:, None], np.arange(256), 1)
    weight = StepTable(np.array([[[1]], [[2**20]]], np.int32), wide.astype(int))
    layers = [Linear("fc", weight), Readout("answer", constant(1, len(steps), np.int32))]
    graph = DeployGraph.chain((1,), InputCode("mixed", table, analog), layers, arithmetic="fixed")
    synapses = Synapses(graph, graph.by_name["fc"])
    begin = data.draw(st.integers(0, len(steps) - 1))
    end = data.draw(st.integers(begin + 1, len(steps)))
    runs = list(synapses.runs(range(begin, end)))
    assert [t for run in runs for t in range(run.part.start, run.part.stop)] == list(range(begin, end))
    for run in runs:
        assert (run.at.start, run.at.stop) == (run.part.start - begin, run.part.stop - begin)
        assert {bool(a) for a in analog[run.part]} == {run.graded}
        assert {np.int32 if w else np.int16 for w in wide[run.part]} == {run.kind}
    for one, other in pairwise(runs):
        assert (one.graded, one.kind) != (other.graded, other.kind), "as few runs as can be"


@pytest.mark.parametrize("first", [range(1), range(3)])
@pytest.mark.parametrize("convert", [lambda graph: graph, quantize], ids=["float", "fixed"])
def test_what_was_silent_at_first_is_measured_on_the_steps_at_hand(first, convert):
    """Fewer steps than those without events, or more: no kernel reads tables or biases of the others."""
    graph = convert(small_lenet(coding="latency"))
    synapses = Synapses(graph, graph.by_name["conv1"])
    size = graph.input_shape
    later = range(first.stop, 4)
    silent, spikes = np.zeros((len(first), 2, *size), np.uint8), np.ones((len(later), 2, *size), np.uint8)
    seen = []
    with pytest.MonkeyPatch.context() as patched:
        for name in ("currents", "dense_sums"):
            plain = getattr(Synapses, name)
            watched = lambda self, run, *x, plain=plain: seen.append(run.part) or plain(self, run, *x)
            patched.setattr(Synapses, name, watched)
        synapses.advance(first, silent)
        seen.clear()
        found = synapses.advance(later, spikes)["conv1"]
    assert seen
    assert all(part == slice(later.start, later.stop) for part in seen)
    assert np.array_equal(found, Synapses(graph, graph.by_name["conv1"]).advance(later, spikes)["conv1"])


def test_a_layer_without_an_exact_accumulator_is_not_compiled():
    layers = [Linear("fc", constant([[2.0**24, 1.0]], 1)), Readout("answer", constant(1, 1))]
    graph = DeployGraph.chain((2,), input_code("latency", 1), layers)
    with pytest.raises(NotCompilable, match="fc"):
        Synapses(graph, graph.by_name["fc"])
