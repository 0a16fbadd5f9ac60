"""Networks that read sequences of frames, of any length, with every rule of the answer: on every target, exact."""

import re
from dataclasses import replace
from functools import partial

import naive
import numpy as np
import pytest
from networks.making import constant, grid_weights, linked, static_neuron

import asnn_deploy
from asnn_deploy.deploy.deployment import Deployment
from asnn_deploy.deploy.registry import TARGETS
from asnn_deploy.engine.runner import run
from asnn_deploy.errors import DataError, GraphError, UnsupportedError
from asnn_deploy.ir.answers import RULES, running
from asnn_deploy.ir.inputs import SequenceInput
from asnn_deploy.ir.layers import Add, Conv, Flatten, Linear, Readout
from asnn_deploy.ir.serialize import load_graph, save_graph
from asnn_deploy.ir.step_table import StepTable
from asnn_deploy.ir.trace import Record
from asnn_deploy.quantizing import quantize

T, CHANNELS, SIDE, CLASSES = 5, 2, 4, 3
EVERYTHING = Record(spikes=True, potentials=True, step_logits=True)
FLOATS, FIXED = ["nir", "onnxruntime", "lava"], ["lava-fixed"]


def network(values="spikes", most=1.0, steps=T, rule="sum", model="lif"):
    """A convolution, a recurrent population, and an answer; all tables constant."""
    rng, length = np.random.default_rng(0), steps or 1
    table = partial(constant, steps=length)

    def neurons(name):
        return static_neuron(name, length, model, **({} if model == "if" else {"leak": 0.75}))

    layers = (
        Conv("conv", table(grid_weights(rng, (4, CHANNELS, 3, 3))), None, padding=(1, 1)),
        neurons("lif1"),
        Flatten("flat"),
        Linear("fc", table(grid_weights(rng, (6, 4 * SIDE * SIDE))), table(grid_weights(rng, 6))),
        Linear("back", table(grid_weights(rng, (6, 6))), table(grid_weights(rng, 6))),
        Add("current"),
        neurons("lif2"),
        Linear("out", table(grid_weights(rng, (CLASSES, 6)))),
        *([neurons("lif3")] if rule in ("most-spikes", "first-spike") else []),
        Readout("readout", table(1.0), rule=rule),
    )
    links = {"back": [("lif2", 1)], "current": ["fc", "back"]}
    return linked((CHANNELS, SIDE, SIDE), SequenceInput(steps, values, most), layers, links)


def frames(values="spikes", most=1.0, count=3, steps=T, seed=1):
    rng = np.random.default_rng(seed)
    if values == "values":
        return (rng.integers(-8, 9, (count, steps, CHANNELS, SIDE, SIDE)) / 8 * most).astype(np.float32)
    return rng.integers(0, int(most) + 1, (count, steps, CHANNELS, SIDE, SIDE)).astype(np.uint8)


def same(got, expected):
    assert list(got.spikes) == list(expected.spikes)
    for name, spikes in expected.spikes.items():
        assert np.array_equal(got.spikes[name], spikes), name
    assert np.array_equal(got.logits, expected.logits)


CASES = [
    ("spikes", 1.0, "sum", "lif"),
    ("counts", 7.0, "mean", "if"),
    ("spikes", 1.0, "last", "cuba-lif"),
    ("counts", 3.0, "first-spike", "lif"),
    ("spikes", 1.0, "most-spikes", "cuba-lif"),
    ("spikes", 1.0, "maximum", "lif"),
    ("values", 2.0, "sum", "lif"),
]


@pytest.mark.parametrize(("values", "most", "rule", "model"), CASES)
def test_the_executors_equal_plain_numbers(values, most, rule, model):
    graph, x = network(values, most, rule=rule, model=model), frames(values, most, 1)
    for version in (graph, quantize(graph)):
        trace = run(version, x, EVERYTHING)
        spikes, potentials, logits = naive.run(version, x[0])
        for name in spikes:
            assert np.array_equal(trace.spikes[name][:, 0], spikes[name]), name
            assert np.array_equal(trace.potentials[name][:, 0].astype(object), potentials[name]), name
        assert trace.logits[0].tolist() == [float(v) for v in logits]
        assert trace.spikes["lif2"].any()


@pytest.mark.parametrize(("values", "most", "rule", "model"), CASES)
@pytest.mark.parametrize("name", [*FLOATS, *FIXED])
def test_every_target_is_exact(values, most, rule, model, name):
    target = TARGETS.find(name)
    if target.unavailable():
        pytest.skip(target.unavailable())
    graph, x = network(values, most, rule=rule, model=model), frames(values, most)
    if name == "nir" and rule == "maximum":
        with pytest.raises(UnsupportedError, match="'readout'.*the largest value over time"), Deployment(graph) as d:
            d.file("nir")
        return
    expected = run(quantize(graph) if name in FIXED else graph, x, Record(spikes=True))
    with Deployment(graph) as deployment, target.open(deployment, len(x)) as session:
        same(session.run(x, Record(spikes=True)), expected)


@pytest.mark.parametrize("name", FLOATS)
def test_frames_that_come_too_late_still_enter(name):
    """The input arrives a step late, so that nothing reads the last frame."""
    target = TARGETS.find(name)
    if target.unavailable():
        pytest.skip(target.unavailable())
    graph, x = network("counts", 3.0), frames("counts", 3.0)
    graph = replace(graph, edges=tuple(replace(e, delay=int(e.source == "input" or e.delay)) for e in graph.edges))
    with Deployment(graph) as deployment, target.open(deployment, len(x)) as session:
        same(session.run(x, Record(spikes=True)), run(graph, x, Record(spikes=True)))
        assert asnn_deploy.load(deployment.file("nir")) == graph


def test_any_length_is_one_network():
    free = network(steps=None)
    assert free.any_length
    for steps in (1, T, 9):
        x = frames(steps=steps)
        expected = run(network(steps=steps), x, Record(spikes=True))
        same(asnn_deploy.run(free, x), expected)
        same(asnn_deploy.run(free, x, target="onnxruntime"), expected)
    with pytest.raises(GraphError, match="sequences of any length; say over how many time steps"):
        _ = free.time_steps
    with pytest.raises(
        GraphError, match="'lif1' .*: leak covers 2 time steps, the graph takes sequences of any length"
    ):
        tables = {**free.by_name["lif1"].parameters, "leak": StepTable.per_step(np.float32([0.5, 0.6]))}
        replace(free, layers=tuple(replace(x, parameters=tables) if x.name == "lif1" else x for x in free.layers))


def test_a_sequence_survives_files(tmp_path):
    for graph in (network(), network(steps=None), quantize(network("counts", 3.0, rule="last"))):
        save_graph(tmp_path / "graph.npz", graph)
        assert load_graph(tmp_path / "graph.npz") == graph
    with Deployment(network("counts", 7.0, rule="first-spike")) as deployment:
        assert asnn_deploy.load(deployment.file("nir")) == deployment.graph


@pytest.mark.parametrize("most", [np.nan, np.inf, -np.inf, 0.0, 1e300])
@pytest.mark.parametrize("values", ["counts", "spikes"])
def test_a_largest_count_that_cannot_be(values, most):
    with pytest.raises(GraphError, match=re.escape(f"sequence of {values} up to {most:g};")):
        SequenceInput(T, values, most)


@pytest.mark.parametrize("most", [np.nan, np.inf, 0.0])
def test_a_largest_value_that_cannot_be(most):
    with pytest.raises(GraphError, match=f"sequence of values up to {most:g}; .* values are finite"):
        SequenceInput(T, "values", most)


@pytest.mark.parametrize("rule", RULES)
def test_rules_of_the_answer(rule):
    x = np.float32([[[0, 1]], [[2, 0]], [[-1, 0]]])
    expected = {
        "sum": [1, 1],
        "most-spikes": [1, 1],
        "mean": [1 / 3, 1 / 3],
        "maximum": [2, 1],
        "last": [-1, 0],
        "first-spike": [2, 3],
    }[rule]
    assert np.allclose(running(rule, x)[-1, 0], expected)
    assert np.allclose(running(rule, x[:1])[-1, 0], {"first-spike": [0, 1]}.get(rule, [0, 1]))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            np.zeros((2, T, CHANNELS, SIDE, 9)),
            r"data arrays: frames have shape \[2, 5, 2, 4, 9\], the network takes \[N, 5, 2, 4, 4\]",
        ),
        (np.zeros((2, 7, CHANNELS, SIDE, SIDE)), r"shape \[2, 7, 2, 4, 4\], the network takes \[N, 5, 2, 4, 4\]"),
        (np.full((1, T, CHANNELS, SIDE, SIDE), 4), r"frames lie in 4..4; the network takes counts from 0 to 3"),
        (np.full((1, T, CHANNELS, SIDE, SIDE), 0.5), "numbers that are not whole; the network takes counts"),
        (np.full((1, T, CHANNELS, SIDE, SIDE), np.nan), "NaN or infinity"),
        (np.full((1, T, CHANNELS, SIDE, SIDE), "a"), "they must be numbers"),
    ],
)
def test_frames_that_the_network_does_not_take(given, message):
    with pytest.raises(DataError, match=message):
        asnn_deploy.run(network("counts", 3.0), given)


def test_values_are_rounded_to_eight_bits_for_integers():
    """Half of a unit goes to the even neighbour; the largest value takes the largest integer."""
    code, unit = SequenceInput(1, "values", 31.75).whole()
    assert unit == 0.25
    x = np.array([31.75, -31.75, 0.0, 0.49 * unit, -0.51 * unit, 1.5 * unit], np.float32).reshape(1, 1, 6)
    assert code.frames(x).ravel().tolist() == [127, -127, 0, 0, -1, 2]
    assert code.largest.tolist() == [127]
    assert code.whole() == (code, unit)


def test_a_network_of_values_in_integers_survives_its_file(tmp_path):
    fixed = quantize(network("values", 2.0))
    save_graph(tmp_path / "net.npz", fixed)
    assert load_graph(tmp_path / "net.npz") == fixed


@pytest.mark.parametrize(("values", "unit"), [("spikes", 1.0), ("values", 0.0), ("values", 3.0)])
def test_units_that_cannot_be(values, unit):
    with pytest.raises(GraphError, match="unit .*; only values have one"):
        SequenceInput(T, values, 2.0 if values == "values" else 1.0, unit)


def test_a_verification_is_of_the_network_however_long_the_sequences_are(tmp_path):
    """Its fingerprint is taken before data settle what enters a network that is open to any length."""
    file = tmp_path / "open.nir"
    asnn_deploy.export(network(steps=None), "nir", file, settings={"dialect": "portable"})
    x = np.random.default_rng(0).integers(0, 2, (6, 7, CHANNELS, SIDE, SIDE), np.uint8)
    verified = asnn_deploy.verify(file, x[:, :3], targets="nir")
    report = asnn_deploy.report(file, (x, np.arange(6) % CLASSES), verification=verified)
    assert (report.verify.time_steps, report.time_steps) == (3, 7)
