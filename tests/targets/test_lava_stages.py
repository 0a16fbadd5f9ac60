"""How networks are cut into stages and what travels between them, without Lava."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest
from asnn_targets.lava.messages import ANSWER, SUMMAND, Layout, Slot, filled, potential_of, signal_slots
from asnn_targets.lava.partition import HOP, Form, best_form, cut_positions, measure, partition, rows_of
from asnn_targets.lava.stages import Stage, plan
from exactness import EVERYTHING, assert_order_free
from hypothesis import example, given, settings
from networks.drawn import exact_graphs
from networks.features import NETWORKS, awkward_names, recurrent, residual
from networks.lenet import small_lenet
from networks.making import constant, random_inputs

from asnn_deploy.engine import runner as reference
from asnn_deploy.ir.graph import INPUT, DeployGraph
from asnn_deploy.ir.images import InputCode
from asnn_deploy.ir.layers import Flatten, Linear, Pool, Readout
from asnn_deploy.ir.trace import Record
from asnn_deploy.quantizing import quantize

ROWS = 5


def finest(graph):
    """A stage for every place where a graph may be cut."""
    edges = [0, *cut_positions(graph), len(graph.layers)]
    return [tuple(layer.name for layer in graph.layers[a:b]) for a, b in pairwise(edges)]


def random_costs(graph, seed=0):
    rng = np.random.default_rng(seed)
    return {name: float(rng.integers(1, 100)) for name in graph.by_name}


def every_plan(graph, record=EVERYTHING):
    """Plans with one stage, two, and as many as there can be."""
    for parts in ([tuple(graph.by_name)], partition(graph, random_costs(graph), 2), finest(graph)):
        yield plan(graph, record, ROWS, parts)


def run_line(whole, batches):
    """The last stage's unpacked message at each step, for batches that stream one behind the other."""
    line = [Stage(stage, first=i == 0) for i, stage in enumerate(whole.stages)]
    for images in batches:
        message = whole.images.pack(whole.images.empty(ROWS), len(images), {INPUT: images})
        for t in range(whole.graph.time_steps if len(images) else 1):
            assert line[0].wants_message == (t == 0)
            passed = line[0].step(message if t == 0 else None)
            for stage in line[1:]:
                assert stage.wants_message
                passed = stage.step(passed)
            yield whole.answers.unpack(passed)


def assert_same(messages, traces):
    for trace in traces:
        for t in range(len(trace.step_logits)):
            values = next(messages)
            for name, spikes in trace.spikes.items():
                assert np.array_equal(values[name], spikes[t]), (name, t)
                assert np.array_equal(values[potential_of(name)], trace.potentials[name][t]), (name, t)
        assert np.array_equal(values[ANSWER].reshape(len(trace.logits), -1), trace.logits)
    assert next(messages, None) is None


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.__name__)
def test_every_kind_of_layer_edge_and_neuron_passes_through_a_line_of_stages(network):
    graph = network()
    assert_order_free(graph)
    batches = [random_inputs(graph, n, seed=n) for n in (ROWS, 2)]
    traces = [reference.run(graph, images, EVERYTHING) for images in batches]
    for whole in every_plan(graph):
        assert_same(run_line(whole, batches), traces)


@settings(max_examples=12)
@given(exact_graphs())
def test_random_networks_pass_in_integers(graph):
    graph = quantize(graph)
    batches = [random_inputs(graph, n, seed=n) for n in (3, ROWS)]
    messages = [list(run_line(whole, batches)) for whole in every_plan(graph)]
    readout = graph.readout
    for i, images in enumerate(batches):
        last = (i + 1) * graph.time_steps - 1
        expected = reference.run(graph, images).logits
        for line in messages:
            assert np.array_equal(line[last][ANSWER].reshape(len(images), -1) * readout.unit, expected)


def test_bubbles_pass_without_a_trace():
    graph = small_lenet()
    batch, nobody = random_inputs(graph, 3), random_inputs(graph, 0)
    for whole in every_plan(graph):
        steady = list(run_line(whole, [batch, batch]))
        broken = [values for values in run_line(whole, [nobody, batch, nobody, nobody, batch]) if len(values[ANSWER])]
        assert len(steady) == len(broken) == 2 * graph.time_steps
        for a, b in zip(steady, broken):
            assert all(np.array_equal(a[name], b[name]) for name in a)


def test_only_what_is_needed_travels():
    graph = residual()
    for whole in every_plan(graph, Record()):
        slots = {slot.name for stage in whole.stages for slot in stage.outlet.slots}
        assert slots <= {*graph.by_name, ANSWER}
    assert [slot.name for slot in plan(graph, Record(), ROWS, finest(graph)).answers.slots] == [ANSWER]
    recorded = plan(graph, Record(step_logits=True, spikes=True), ROWS, finest(graph)).answers.slots
    assert {slot.name for slot in recorded} == {ANSWER, SUMMAND, *(n.name for n in graph.spiking)}


def test_spikes_and_frames_travel_as_bytes_and_currents_in_their_own_type():
    graph = small_lenet()
    types = {name: slot.dtype for name, slot in signal_slots(graph).items()}
    assert {types[name] for name in (INPUT, "lif1", "pool1", "flatten")} == {"uint8"}
    assert {types[name] for name in ("conv1", "fc2", "readout")} == {"float32"}
    assert signal_slots(quantize(graph))["conv1"].dtype == "int64"


def test_counts_beyond_a_byte_travel_in_the_graph_type():
    code = InputCode("counts", np.full((1, 256), 200), np.zeros(1, bool))
    layers = [Pool("pool", "sum"), Flatten("flat"), Linear("fc", constant(np.ones((2, 4)), 1))]
    graph = DeployGraph.chain((1, 4, 4), code, [*layers, Readout("readout", constant(1, 1))])
    assert signal_slots(graph)[INPUT].dtype == "uint8"
    assert signal_slots(graph)["pool"].dtype == "float32"


def test_rows_are_marked_and_come_back_in_their_types():
    layout = Layout([Slot("a", "float32", (2, 3)), Slot("b", "uint8", ()), Slot("c", "int64", (2,))])
    assert layout.row_bytes == 1 + 24 + 1 + 16
    rng = np.random.default_rng(0)
    values = {
        "a": rng.normal(size=(2, 2, 3)).astype(np.float32),
        "b": np.array([7, 255], np.uint8),
        "c": np.array([[-1, 2**40], [3, -(2**62)]]),
    }
    message = layout.pack(np.full((4, layout.row_bytes), 9, np.uint8), 2, values)
    assert filled(message) == 2
    found = layout.unpack(message)
    assert all(np.array_equal(found[name], values[name]) and found[name].dtype == values[name].dtype for name in values)
    assert filled(layout.pack(message, 0, {})) == 0
    assert layout.unpack(message)["a"].shape == (0, 2, 3)


def test_stages_begin_behind_neurons_and_pooling():
    graph = small_lenet()
    beginnings = [graph.layers[p].name for p in cut_positions(graph)]
    assert beginnings == ["conv2", "fc1", "fc2"]
    costs = random_costs(graph)
    assert partition(graph, costs, 1) == [tuple(graph.by_name)]
    for count in (2, 3, 99):
        parts = partition(graph, costs, count)
        assert [name for part in parts for name in part] == list(graph.by_name)
        assert {part[0] for part in parts} <= {"conv1", *beginnings}


@pytest.mark.parametrize("count", [1, 2, 3, 5])
@settings(max_examples=10)
@given(exact_graphs())
@example(small_lenet(size=16))
def test_the_costliest_stage_is_as_cheap_as_can_be_in_the_fewest_stages(count, graph):
    of_layer, positions = random_costs(graph), cut_positions(graph)
    costs = list(of_layer.values())

    def largest(cuts):
        return max(sum(costs[a:b]) for a, b in pairwise([0, *cuts, len(costs)]))

    ways = [cuts for n in range(min(count, len(positions) + 1)) for cuts in combinations(positions, n)]
    best = min(map(largest, ways))
    names = list(graph.by_name)
    found = [names.index(part[0]) for part in partition(graph, of_layer, count)[1:]]
    assert largest(found) == best
    assert len(found) == min(len(cuts) for cuts in ways if largest(cuts) == best)


def test_the_form_that_takes_the_least_time():
    graph = small_lenet(size=16)
    idle = dict.fromkeys(graph.by_name, 0.0)
    busy = idle | dict.fromkeys(("conv1", "conv2", "fc1", "fc2"), 20 * HOP)

    def form(costs, cores, batch, rows=128):
        found = best_form(graph, costs, cores, batch, rows)
        return len(found.stages), found.lanes

    uneven = idle | {"conv1": 20 * HOP, "conv2": 70 * HOP}
    assert form(busy, 1, 64) == form(uneven, 1, 64) == (1, 1)
    assert form(busy, 2, 64) == (2, 1), "one runtime, where stages are even"
    assert form(uneven, 2, 64) == (1, 2), "lanes are even where stages are not"
    assert form(uneven, 2, 1) == (2, 1), "one sample cannot be in two lanes"
    assert form(idle, 2, 1) == (1, 1)
    assert [rows_of(Form([()], 2), batch, 32) for batch in (1, 3, 64, 1000)] == [1, 2, 32, 32]


def test_costs_are_measured_on_images():
    graph = small_lenet(size=16)
    costs = measure(graph, random_inputs(graph, 4))
    assert list(costs) == list(graph.by_name)
    assert costs["conv1"] > 0
    assert costs["lif1"] == 0, "it is fused with its synapses"


def test_a_recurrent_loop_stays_in_one_stage():
    graph = recurrent()
    loops = [edge for edge in graph.edges if edge.delay and edge.source == "lif1"]
    assert loops
    assert cut_positions(graph)
    for part in finest(graph):
        assert len({edge.source in part for edge in loops} | {edge.target in part for edge in loops}) == 1


def test_layer_names_cannot_collide_with_slots():
    for name in (ANSWER, SUMMAND, potential_of("x")):
        assert " " in name
    assert "logits" in awkward_names().by_name
