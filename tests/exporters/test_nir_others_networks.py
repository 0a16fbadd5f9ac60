"""Networks in NIR files of other tools: shapes, nesting, delays and cycles, and what is said of those that cannot be."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from asnn_exporters.nir.others import graph_of, layer_names, read_network
from nir_errors import refused_by
from nir_files import (
    FAULTY_NETWORKS,
    LOOPS,
    affine,
    between,
    chain,
    conv,
    looped,
    node,
    recurrent,
    write,
)

from asnn_deploy.engine.executor import Executor
from asnn_deploy.errors import BundleError, GraphError
from asnn_deploy.ir.graph import Edge
from asnn_deploy.ir.layers import Add, Flatten, Reshape
from asnn_deploy.ir.meaning import Meaning
from asnn_deploy.ir.trace import Record


@pytest.fixture
def network(tmp_path):
    """Reads the network of nodes and edges."""
    return lambda *parts, **options: read_network(write(tmp_path / "network.nir", *parts, **options))


@pytest.fixture
def graph(network):
    """Reads the graph of nodes and edges, by NIR's own rules."""
    return lambda *parts: graph_of(network(*parts), Meaning())


def answers(graph, samples):
    """What leaves the network at each step, `[T, N, ...]`, by plain NumPy; samples: `[N, T, ...]`."""
    ready = replace(graph, code=graph.code.fed(samples)).over(samples.shape[1])
    return Executor(ready, compiled=False).run(samples, Record(step_logits=True)).step_logits


def edges_of(graph):
    return {(e.source, e.target, e.delay) for e in graph.edges}


@pytest.mark.parametrize("fault", FAULTY_NETWORKS)
def test_what_no_network_can_be_is_refused(tmp_path, fault):
    parts, said = FAULTY_NETWORKS[fault]
    path = write(tmp_path / "network.nir", *parts)
    assert refused_by(read_network, path, (GraphError, BundleError)) == said


# Shapes


@pytest.mark.parametrize("kind", ["IF", "LIF", "I", "LI", "CubaLI", "CubaLIF", "Threshold", "Scale"])
@pytest.mark.parametrize("entry", [(5,), (4, 6), (3, 4, 4)])
def test_one_number_for_all_stays_one_number(network, kind, entry):
    """0-d, of length 1, of as many axes as the signal, or mixed: the same network, with one value per layer."""
    usual = node(kind, scale=2.0) if kind == "Scale" else node(kind)
    same = [
        usual,
        {k: v if k == "type" else np.full(1, v) for k, v in usual.items()},
        {k: v if k == "type" else np.full((1,) * len(entry), v) for k, v in usual.items()},
        {k: v if k == "type" or i % 2 else np.full(1, v) for i, (k, v) in enumerate(usual.items())},
    ]
    graphs = [graph_of(network(*chain(entry, entry, n)), Meaning()) for n in same]
    assert all(other == graphs[0] for other in graphs)
    assert {t.shape for t in graphs[0].by_name["0"].tables().values()} <= {()}


def test_wide_and_single_numbers_meet_in_one_node(network):
    taus = np.linspace(0.01, 0.04, 4).reshape(4, 1, 1)
    lif = node("LIF", tau=taus, v_threshold=np.linspace(1, 2, 16 * 4).reshape(4, 4, 4), r=[2.0])
    tables = graph_of(network(*chain((4, 4, 4), (4, 4, 4), lif)), Meaning()).by_name["0"].parameters
    assert tables["leak"].shape == (4,)
    assert tables["threshold"].shape == (4, 4, 4)


CONVOLUTIONS = [
    {},
    {"stride": 2},
    {"padding": 1},
    {"padding": "valid"},
    {"padding": "same"},
    {"dilation": 2},
    {"padding": "same", "dilation": 2},
    {"groups": 2},
    {"bias": np.arange(4)},
    {"bias": 2.0},
]


@pytest.mark.parametrize("kernel", [(3,), (4,), (2,), (3, 3), (1, 3), (2, 2), (3, 2), (4, 1)])
@pytest.mark.parametrize("options", CONVOLUTIONS, ids=str)
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
def test_convolutions_are_torchs(graph, kernel, options):
    groups = options.get("groups", 1)
    made = conv(4, 2 // groups, *kernel, **options)
    x = (np.arange(2 * 9 ** len(kernel)) * 7 % 5).reshape(1, 1, 2, *(9,) * len(kernel)).astype(np.uint8)
    weight = torch.from_numpy(made["weight"])
    bias = torch.from_numpy(np.broadcast_to(np.float32(options.get("bias", 0)), 4).copy())
    function = torch.nn.functional.conv1d if len(kernel) == 1 else torch.nn.functional.conv2d
    numbers = {k: v for k, v in options.items() if k != "bias"}
    expected = function(torch.from_numpy(x[0].astype(np.float32)), weight, bias, **numbers).numpy()
    found = answers(graph(*chain(x.shape[2:], expected.shape[1:], made)), x)
    np.testing.assert_array_equal(found[0], expected.reshape(1, -1))


@pytest.mark.parametrize("options", [{}, {"stride": 1}, {"padding": 1}, {"stride": [2, 1], "padding": [0, 1]}], ids=str)
@pytest.mark.parametrize("kernel", [2, [2, 3], [1, 4]])
@pytest.mark.parametrize("kind", ["SumPool2d", "AvgPool2d"])
def test_pooling_is_torchs(graph, kind, kernel, options):
    if np.any(np.asarray(options.get("padding", 0)) * 2 > np.asarray(kernel)):
        options = {**options, "padding": 0}
    x = (np.arange(2 * 64) * 7 % 5).reshape(1, 1, 2, 8, 8).astype(np.uint8)
    size = tuple(np.broadcast_to(kernel, 2).tolist())
    mean = torch.nn.functional.avg_pool2d(torch.from_numpy(x[0].astype(np.float32)), size, **options).numpy()
    expected = mean if kind == "AvgPool2d" else np.rint(mean * np.prod(size))
    found = answers(graph(*chain((2, 8, 8), expected.shape[1:], node(kind, kernel_size=kernel, **options))), x)
    np.testing.assert_allclose(found[0], expected.reshape(1, -1), rtol=1e-6)  # a mean's division is rounded


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (0, -1, (24,)),
        (0, 2, (24,)),
        (-3, -1, (24,)),
        (0, 1, (6, 4)),
        (1, -1, (2, 12)),
        (1, 2, (2, 12)),
        (1, 1, (2, 3, 4)),
    ],
)
def test_flattening_counts_no_batch(network, start, end, expected):
    found = network(*chain((2, 3, 4), expected, node("Flatten", start_dim=start, end_dim=end, input_type=[2, 3, 4])))
    assert found.shapes["0"] == expected
    assert isinstance(found.layers["0"], Flatten if len(expected) == 1 else Reshape)
    graph_of(found, Meaning())


def test_unknown_input_type_says_nothing(network):
    """Some exporters write zeros, some an empty dataset, some a group as of nir 0.2."""
    import h5py

    for unknown in ([0, 0, 0], h5py.Empty("f4"), {"input": np.array([2, 3, 4])}):
        flatten = {"type": "Flatten", "start_dim": 0, "end_dim": -1, "input_type": unknown}
        assert network(*chain((2, 3, 4), (24,), flatten)).shapes["0"] == (24,)


def batched(start=1):
    """A network by a tool that counts a batch axis in every shape."""
    nodes = [
        conv(4, 2, 3, 3),
        node("IF", r=np.ones((1, 4, 4, 4)), v_threshold=np.ones((1, 4, 4, 4))),
        node("Flatten", start_dim=start, end_dim=-1, input_type=np.array([1, 4, 4, 4])),
        affine(5, 64),
        node("LIF", tau=np.full((1, 5), 0.01)),
    ]
    return chain((1, 2, 6, 6), (1, 5), *nodes)


def test_a_batch_axis_in_every_shape_is_dropped_and_said(network):
    found = network(*batched())
    assert found.shapes["input"] == (2, 6, 6)
    assert found.shapes["output"] == (5,)
    assert found.nodes["1"].fields["r"].shape == (4, 4, 4)
    assert found.notes == (
        "every shape in the file begins with an axis of length 1; it was taken for a batch axis and dropped",
    )


def test_a_batch_axis_in_some_shapes_is_no_batch_axis(tmp_path):
    nodes, edges = batched()
    nodes["4"] = node("LIF", tau=np.full(5, 0.01))
    message = refused_by(read_network, write(tmp_path / "n.nir", nodes, edges), GraphError)
    assert message == (
        "node '1' (IF): r has shape (1, 4, 4, 4), what it reads has shape (4, 4, 4); it reads node '0' (Conv2d)"
    )


def test_a_single_channel_is_no_batch_axis(network):
    """Every shape begins with 1, and the convolution needs it."""
    neurons = node("IF", r=np.ones((1, 4, 4)))
    found = network(*chain((1, 6, 6), (1, 4, 4), conv(1, 1, 3, 3), neurons))
    assert found.shapes["input"] == (1, 6, 6)
    assert found.notes == ()


def test_one_neuron_is_no_batch_axis(network):
    assert network(*chain((1,), (1,), affine(1, 1), node("LIF", tau=[0.01]))).shapes["input"] == (1,)


@pytest.mark.parametrize("leaves", [(5,), (20, 5)])
def test_an_axis_of_time_is_found_by_what_the_next_node_takes(network, leaves):
    found = network(*chain((20, 3), leaves, fc=affine(5, 3), lif=node("LIF")))
    assert found.shapes["input"] == (3,)
    (said,) = found.notes
    assert said == ("the first axis (20) of node 'input' (Input) was taken for time: what reads it takes (3,)")


def test_an_output_of_other_axes_is_said(network):
    (said,) = network(*chain((2, 3), (6,), node("LIF"))).notes
    assert said == "node 'output' (Output) says shape (6,); what it reads has (2, 3), as many elements"


# Nesting


def test_graphs_within_graphs_become_one(network):
    inner = {"nodes": {"in": node("Input", shape=[3]), "if": node("IF"), "out": node("Output", shape=[3])}}
    inner["edges"] = [("in", "if"), ("if", "out")]
    outer = {"nodes": {"i": node("Input", shape=[3]), "g": inner, "o": node("Output", shape=[3])}}
    outer["edges"] = [("i", "g"), ("g", "o")]
    found = network(*between({"a": outer, "b": inner}, [("input", "a"), ("a", "b"), ("b", "output")], (3,), (3,)))
    assert {name for name, n in found.nodes.items() if n.kind == "IF"} == {"a.g.if", "b.if"}
    graph = graph_of(found, Meaning())
    assert [layer.name for layer in graph.layers] == ["a.g.if", "b.if", "output"]
    assert edges_of(graph) == {("input", "a.g.if", 0), ("a.g.if", "b.if", 0), ("b.if", "output", 0)}


def test_files_that_were_flattened_before_mean_the_same(network):
    nodes, edges = recurrent()
    inner = nodes.pop("lif1")
    flat = nodes | {f"lif1.{name}": n for name, n in inner["nodes"].items()}
    ends = {("fc1", "lif1"): ("fc1", "lif1.input"), ("lif1", "fc2"): ("lif1.output", "fc2")}
    led = [ends.get(edge, edge) for edge in edges] + [(f"lif1.{a}", f"lif1.{b}") for a, b in inner["edges"]]
    assert graph_of(network(flat, led), Meaning()) == graph_of(network(*recurrent()), Meaning())


def test_signals_that_meet_at_the_entry_of_a_graph_are_added(network):
    inner = {"nodes": {"i": node("Input", shape=[3]), "o": node("Output", shape=[3])}, "edges": [("i", "o")]}
    parts = between(
        {"a": affine(3, 3), "g": inner}, [("input", "a"), ("input", "g"), ("a", "g"), ("g", "output")], (3,), (3,)
    )
    graph = graph_of(network(*parts), Meaning())
    assert isinstance(graph.by_name["g.i"], Add)
    assert edges_of(graph) == {("input", "a", 0), ("input", "g.i", 0), ("a", "g.i", 0), ("g.i", "output", 0)}


# Names and order


def test_names_become_those_of_layers(network):
    odd = {"a b": node("IF"), "a_b": node("IF"), "a/b".replace("/", "|"): node("IF"), "Ä": node("IF")}
    names = ["entry", *odd, "input", "exit"]
    nodes = {"entry": node("Input", shape=[3]), **odd, "input": node("IF"), "exit": node("Output", shape=[3])}
    found = network(nodes, list(pairwise(names)))
    assert layer_names(found) == {
        "entry": "input", "input": "input_2", "a_b": "a_b", "a b": "a_b_2", "a|b": "a_b_3", "Ä": "_", "exit": "exit",
    }  # fmt: skip
    assert [layer.name for layer in graph_of(found, Meaning()).layers] == [
        "a_b_2",
        "a_b",
        "a_b_3",
        "_",
        "input_2",
        "exit",
    ]


def test_names_of_sums_give_way_to_nodes(network):
    nodes = {"b": affine(3, 3), "b_sum": node("IF"), "a": affine(3, 3)}
    edges = [("input", "a"), ("a", "b"), ("input", "b"), ("b", "b_sum"), ("b_sum", "output")]
    graph = graph_of(network(*between(nodes, edges, (3,), (3,))), Meaning())
    assert [layer.name for layer in graph.layers] == ["a", "b_sum_2", "b", "b_sum", "output"]


def test_an_answer_of_several_axes_is_flattened(graph):
    made = graph(*chain((2, 3, 4), (2, 3, 4), node("IF")))
    assert [layer.kind for layer in made.layers] == ["neuron", "flatten", "readout"]
    assert made.classes == 24


def shuffled(parts, seed):
    """The same nodes and edges in another order, within graphs too; HDF5 keeps the order in which they are written."""
    draw = random.Random(seed)
    nodes, edges = parts
    order = draw.sample(list(nodes), len(nodes))
    inner = {
        n: dict(zip(("nodes", "edges"), shuffled((v["nodes"], v["edges"]), seed)))
        for n, v in nodes.items()
        if "nodes" in v
    }
    return {name: inner.get(name, nodes[name]) for name in order}, draw.sample(edges, len(edges))


def skipping():
    """A network whose sums have several summands, some of them delayed."""
    nodes = {f"w{i}": affine(3, 3) for i in range(4)} | {"z": node("LIF"), "d": node("Delay", delay=2e-4)}
    edges = [("input", f"w{i}") for i in range(4)] + [(f"w{i}", "z") for i in range(4)]
    return between(nodes, [*edges, ("z", "w1"), ("z", "d"), ("d", "w0"), ("z", "output"), ("w2", "output")], (3,), (3,))


@pytest.mark.parametrize("make", [recurrent, skipping, batched, lambda: looped("LIF", "Affine", delay=1e-4)])
@pytest.mark.parametrize("seed", range(5))
def test_the_order_in_the_file_means_nothing(network, make, seed):
    expected = graph_of(network(*make()), Meaning())
    found = graph_of(network(*shuffled(make(), seed)), Meaning())
    assert found == expected
    assert found.edges == expected.edges
    assert [layer.name for layer in found.layers] == [layer.name for layer in expected.layers]


def test_summands_are_in_order(graph):
    made = graph(*skipping())
    assert [(e.source, e.delay) for e in made.inputs_of["z_sum"]] == [("w0", 0), ("w1", 0), ("w2", 0), ("w3", 0)]
    assert [(e.source, e.delay) for e in made.inputs_of["w0_sum"]] == [("input", 0), ("z", 2)]
    assert [(e.source, e.delay) for e in made.inputs_of["w1_sum"]] == [("input", 0), ("z", 1)]


# Cycles and delays


@pytest.mark.parametrize("loop", LOOPS)
def test_delays_that_are_not_known_are_refused(network, loop):
    parts, said = LOOPS[loop]
    found = network(*parts)
    with pytest.raises(GraphError) as caught:
        graph_of(found, Meaning())
    assert str(caught.value) == said


@pytest.mark.parametrize("kind", ["IF", "LIF", "CubaLIF", "Threshold"])
@pytest.mark.parametrize("before", [(), ("Affine",), ("Affine", "LI"), ("I", "Affine"), ("CubaLI",)])
def test_a_cycle_is_a_step_later_behind_its_spiking_neuron(graph, kind, before):
    made = graph(*looped(*before, kind))
    last = f"n{len(before)}"
    assert {e for e in edges_of(made) if e[2]} == {(last, "n0_sum", 1)}


def test_a_recurrent_bias_arrives_at_the_first_step(graph):
    """The delay lies before the recurrent weights: their bias alone arrives at step 0."""
    made = graph(*recurrent())
    assert Edge("lif1.lif", "lif1.w_rec", 1) in made.edges
    assert {e.delay for e in made.inputs_of["lif1.lif_sum"]} == {0}


def test_a_neuron_that_reads_itself(graph):
    made = graph(*looped("LIF"))
    assert edges_of(made) == {("input", "n0_sum", 0), ("n0", "n0_sum", 1), ("n0_sum", "n0", 0), ("n0", "output", 0)}


def test_only_edges_within_the_cycle_are_delayed(graph):
    made = graph(*recurrent())
    assert {(e.source, e.target) for e in made.edges if e.delay} == {("lif1.lif", "lif1.w_rec")}


def test_two_recurrent_layers_are_two_cycles(graph):
    nodes = {"a": node("LIF"), "ra": affine(3, 3), "w": affine(3, 3), "b": node("IF"), "rb": affine(3, 3)}
    edges = [
        ("input", "a"),
        ("a", "ra"),
        ("ra", "a"),
        ("a", "w"),
        ("w", "b"),
        ("b", "rb"),
        ("rb", "b"),
        ("b", "output"),
    ]
    made = graph(*between(nodes, edges, (3,), (3,)))
    assert {e for e in edges_of(made) if e[2]} == {("a", "ra", 1), ("b", "rb", 1)}


def test_cycles_that_meet_in_one_place_pass_one_neuron_each(graph):
    """Two neurons share their recurrent weights: no cycle that passes the weights once passes both."""
    nodes = {"a": node("LIF"), "b": node("IF"), "w": affine(3, 3)}
    edges = [("input", "a"), ("input", "b"), ("a", "w"), ("b", "w"), ("w", "a"), ("w", "b"), ("a", "output")]
    made = graph(*between(nodes, edges, (3,), (3,)))
    assert {e for e in edges_of(made) if e[2]} == {("a", "w_sum", 1), ("b", "w_sum", 1)}


def test_many_ways_through_a_cycle_are_refused_in_time(network):
    """Exponentially many cycles: the search gives up, and says the candidates."""
    nodes = {f"w{i}{side}": affine(1, 1) for i in range(40) for side in "ab"} | {"s": node("IF"), "t": node("IF")}
    edges = [(f"w{i}{a}", f"w{i + 1}{b}") for i in range(39) for a in "ab" for b in "ab"]
    edges += [("input", "s"), ("s", "w0a"), ("s", "w0b"), ("w39a", "s"), ("w39b", "s"), ("s", "output")]
    edges += [("w5a", "t"), ("t", "w3a")]
    found = network(*between(nodes, edges, (1,), (1,)))
    with pytest.raises(GraphError, match=r"pass(es)? several spiking neurons, 's', 't': NIR does not say which"):
        graph_of(found, Meaning())


@pytest.mark.parametrize("steps", [1, 3])
def test_a_delay_in_a_cycle_is_its_only_delay(graph, steps):
    for kinds in (("LIF",), ("Affine",), ("Affine", "LI"), ("LIF", "Affine", "IF")):
        made = graph(*looped(*kinds, delay=steps * 1e-4))
        assert {e.delay for e in made.edges} == {0, steps}


@pytest.mark.parametrize("delay", [0, 1e-9])
def test_a_delay_of_no_steps_is_none(graph, delay):
    made = graph(*looped("LIF", delay=delay))
    assert edges_of(made) == edges_of(graph(*looped("LIF")))


def test_delays_add_up(graph):
    delays = [node("Delay", delay=np.full(3, 2e-4)), node("Delay", delay=[3e-4]), node("Delay", delay=0.0)]
    made = graph(*chain((3,), (3,), affine(3, 3), *delays, node("IF"), node("Delay", delay=np.float32(1e-4))))
    assert edges_of(made) == {("input", "0", 0), ("0", "4", 5), ("4", "output", 1)}


@pytest.mark.parametrize(("delay", "steps"), [(2.4e-4, 2), (2.6e-4, 3), ([1.9e-4, 2.1e-4, 2e-4], 2)])
def test_delays_are_rounded_on_request(network, delay, steps):
    found = network(*chain((3,), (3,), affine(3, 3), node("Delay", delay=delay)))
    assert Edge("0", "output", steps) in graph_of(found, Meaning(), round_delays=True).edges


def test_a_delayed_signal_arrives_later(graph):
    made = graph(*chain((2,), (2,), node("Delay", delay=[2e-4]), node("Scale", scale=[1.0, 3.0])))
    x = np.array([[[1, 2], [3, 4], [5, 6], [7, 8]]], np.uint8)
    np.testing.assert_array_equal(answers(made, x)[:, 0], [[0, 0], [0, 0], [1, 6], [3, 12]])


def test_signals_that_meet_before_a_delay_are_added(graph):
    nodes = {"a": affine(3, 3), "d": node("Delay", delay=2e-4)}
    edges = [("input", "a"), ("input", "d"), ("a", "d"), ("d", "output")]
    made = graph(*between(nodes, edges, (3,), (3,)))
    assert edges_of(made) == {("input", "a", 0), ("input", "d", 0), ("a", "d", 0), ("d", "output", 2)}


def test_a_cycle_that_the_input_does_not_reach_runs_on_its_biases(network):
    nodes = {
        "bias": affine(3, 4, bias=np.full(3, 2.0)),
        "lif": node("IF", v_threshold=1e-4),
        "back": affine(4, 3),
        "li": node("I"),
    }
    edges = [("bias", "lif"), ("lif", "back"), ("back", "li"), ("li", "bias"), ("lif", "output"), ("input", "output")]
    found = network(*between(nodes, edges, (3,), (3,)))
    assert found.notes == ("the input does not reach 'back', 'bias', 'li', 'lif': they run on their biases alone",)
    made = graph_of(found, Meaning())
    assert Edge("lif", "back", 1) in made.edges
    assert answers(made, np.zeros((1, 5, 3), np.uint8)).any()


def test_a_cycle_of_nothing_but_delays_is_refused(network):
    nodes = {"a": node("Delay", delay=1e-4), "b": node("Delay", delay=1e-4), "c": node("IF")}
    edges = [("a", "b"), ("b", "a"), ("b", "c"), ("input", "c"), ("c", "output")]
    with pytest.raises(
        GraphError, match="node 'a' .Delay.: its shape cannot be found: it lies in a cycle that nothing"
    ):
        network(*between(nodes, edges, (3,), (3,)))


# Cost


def test_weights_are_shared_by_all_readings(network):
    found = network(*recurrent())
    one, other = (graph_of(found, Meaning(dt=dt)) for dt in (1e-4, 2e-4))
    assert one.by_name["fc1"] is other.by_name["fc1"]
    assert one != other
    assert one.dt == one.meaning.dt == 1e-4


def test_dividing_by_a_time_constant_keeps_to_the_integration(network):
    """The divisor is what a step takes, by Euler's method and by exact integration."""
    lif = node("LIF", tau=[3e-4], v_threshold=[1.0], r=[1.0])
    for integration, taken in (("euler", 1 / 3), ("exponential", -np.expm1(-1 / 3))):
        meaning = Meaning(update="dividing", integration=integration)
        tables = graph_of(network(*chain((1,), (1,), lif)), meaning).by_name["0"].parameters
        np.testing.assert_allclose(1 / tables["steps"].at(0), taken, rtol=1e-6)
        np.testing.assert_allclose(tables["rate"].at(0), taken, rtol=1e-6)
