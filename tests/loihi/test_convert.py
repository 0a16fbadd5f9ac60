"""Static float networks in Loihi's integers: what is carried, how well, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from networks.features import residual
from networks.feedback import looped, random_weights
from networks.lenet import loihi_cuba, loihi_lif, small_lenet, static_lenet, without_synaptic_bias
from networks.making import constant, linked, random_inputs

from asnn_deploy.engine.runner import run
from asnn_deploy.errors import UnsupportedError
from asnn_deploy.ir.answers import RULES
from asnn_deploy.ir.graph import DeployGraph, check_neurons
from asnn_deploy.ir.images import InputCode
from asnn_deploy.ir.inputs import SequenceInput
from asnn_deploy.ir.layers import Add, Conv, Flatten, Linear, Pool, Readout, Scale
from asnn_deploy.ir.step_table import StepTable
from asnn_deploy.ir.trace import Record
from asnn_deploy.loihi import check_loihi, synapses, to_loihi
from asnn_deploy.quantizing import quantize

EVERYTHING = Record(spikes=True, potentials=True)


@pytest.mark.parametrize(
    "graph",
    [
        static_lenet(),
        static_lenet(coding="direct"),
        static_lenet(pool="average", channels=2),
        static_lenet(lif=lambda *a, **k: loihi_lif(*a, leak=0.8, gain=0.7, threshold=1.3, bias=0.05)),
        static_lenet(gain=np.full((), 2.0), threshold=4.0),
        without_synaptic_bias(static_lenet(lif=loihi_cuba)),
        static_lenet(lif=loihi_cuba),
        looped(8, *random_weights(6)),
    ],
    ids=["latency", "direct", "average", "parameters", "threshold", "current", "current with bias", "recurrent"],
)
def test_it_fires_like_the_float_network(graph):
    """About as well as this project's own integers; pixels leave Loihi's first layer fewer bits of 24."""
    images = random_inputs(graph, 100)
    carried = to_loihi(graph)
    check_neurons(carried)
    check_loihi(carried)
    expected = run(graph, images, EVERYTHING)

    def flipped(integers):
        found = run(integers, images, EVERYTHING)
        return sum(np.count_nonzero(found.spikes[k] != expected.spikes[k]) for k in found.spikes)

    fired = sum(int(spikes.sum()) for spikes in expected.spikes.values())
    assert flipped(carried) < 0.06 * fired
    if graph.code.name == "latency" and graph.neurons[0].model == "lif":
        assert flipped(carried) < 1.5 * flipped(quantize(graph))


@pytest.mark.parametrize("bits", range(2, 9))
def test_weights_have_the_bits_asked_for(bits):
    for layer in to_loihi(static_lenet(), bits).layers:
        if isinstance(layer, (Conv, Linear)):
            weight = layer.weight.at(0).astype(int)
            assert 2 <= len(np.unique(weight)) <= 2**bits - 1
            exponents = [
                e for e in range(9) if np.array_equal(synapses.stored(weight << e, bits, "mixed"), weight << e)
            ]
            assert exponents  # the weight exponent is at least -8


def test_the_parameters_are_the_equations():
    graph = without_synaptic_bias(static_lenet(lif=loihi_cuba, leak=0.75, gain=2.0, threshold=4.0, bias=0.5))
    found = to_loihi(graph)
    for before, layer in zip(found.layers, found.layers[1:]):
        if layer.kind == "neuron":
            value = {key: table.at(0) for key, table in layer.parameters.items()}
            weight = graph.by_name[before.name].weight.at(0)
            assert (value["du"], value["dv"]) == (4095 - 1024, 1024)
            expected = weight * 2.0 / 4.0 * value["vth"]
            assert np.abs(before.weight.at(0) - expected).max() <= 1
            bias = value["bias_mant"] * 2.0 ** value["bias_exp"]
            assert np.allclose(bias, 64 * value["vth"] * 0.5 / 4.0, rtol=1 / 2048)


def one_layer(weight, bias=0.0, coding_largest=255, leak=0.9, steps=6):
    """A linear layer of neurons on a 1 x 1 x n image; pixels themselves at every step."""
    row = np.minimum(np.arange(256), coding_largest)
    code = InputCode("capped", np.tile(row, (steps, 1)), np.zeros(steps, bool))
    table = lambda value: constant(value, steps)
    layers = [
        Flatten("flat"),
        Linear("fc1", table(weight), table(np.full(len(weight), bias))),
        loihi_lif("lif1", steps, leak=leak),
        Linear("fc2", table(np.ones((2, len(weight))))),
        Readout("readout", constant(1, steps)),
    ]
    return DeployGraph.chain((1, 1, weight.shape[1]), code, layers)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("leak", [0.5, 0.98])
def test_the_bounds_hold_and_are_near(sign, leak):
    """The image that drives one neuron as far as it goes: it neither saturates nor wraps, and comes within 2x."""
    rng = np.random.default_rng(3)
    weight = rng.normal(-0.4 * sign, 1, (4, 20)) * 0.05
    found = to_loihi(one_layer(weight, leak=leak))
    integers = found.by_name["fc1"].weight.at(0).astype(int)
    limit = 2**23 - 1
    worst_u, worst_v = 0, 0
    for row in integers:
        image = np.where(row * sign > 0, 255, 0).astype(np.uint8).reshape(1, 1, 1, -1)
        trace = run(found, image, EVERYTHING)
        worst_u = max(worst_u, int(np.abs(integers @ image.reshape(-1).astype(int)).max()) * 64)
        worst_v = max(worst_v, int(np.abs(trace.potentials["lif1"]).max()))
    assert worst_u <= limit
    assert worst_v < limit
    if sign < 0:  # upwards, it fires before
        assert max(worst_u, worst_v) > limit / 2


def test_a_layer_of_zeros_is_carried():
    found = run(to_loihi(one_layer(np.zeros((3, 5)))), np.full((2, 1, 1, 5), 200, np.uint8), EVERYTHING)
    assert not found.spikes["lif1"].any()
    assert not found.logits.any()


def changed(graph, name, **fields):
    return replace(graph, layers=tuple(replace(x, **fields) if x.name == name else x for x in graph.layers))


def with_lif1(**parameters):
    graph = static_lenet()
    return changed(graph, "lif1", parameters=loihi_lif("lif1", 4, **parameters).parameters)


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (
            small_lenet(),
            r"layer 'conv1' \(conv\): weight is not the same at all 4 time steps, and Lava's own .* train ",
        ),
        (
            small_lenet(coding="latency"),
            r"layer 'lif1' \(neuron\): leak is not the same at all 4 time steps.*the neuron lif",
        ),
        (residual(), r"time steps|stock Processes|Lava itself has no Process"),
        (
            changed(static_lenet(), "lif2", reset="subtract"),
            r"layer 'lif2' .*: resets by subtraction.*model.reset = zero",
        ),
        (
            with_lif1(leak=np.linspace(0.1, 0.6, 6)),
            r"layer 'lif1' .*: leak differs between channels; Lava's LIF has one",
        ),
        (with_lif1(gain=np.random.default_rng(0).random((6, 8, 8))), r"layer 'lif1' .*: gain differs within a channel"),
        (with_lif1(leak=0.0), r"layer 'lif1' .*: leak 0 has no 12-bit decay; from 0.000244141 to 1 there is one"),
        (with_lif1(leak=1.5), r"layer 'lif1' .*: leak 1.5 has no 12-bit decay"),
        (with_lif1(threshold=-1.0), r"layer 'lif1' .*: threshold -1 has no integer version; it must be positive"),
        (with_lif1(bias=1e6), r"layer 'lif1' .*: its current, bias or membrane potential can leave 24 bits"),
        (
            changed(static_lenet(), "pool1", mode="sum", kernel=(17, 17), padding=(8, 8)),
            r"layer 'pool1' .*: sums up to 289",
        ),
    ],
)
def test_what_is_refused_is_named(graph, message):
    with pytest.raises(UnsupportedError, match=message) as caught:
        to_loihi(graph)
    assert "\n" not in str(caught.value)


def in_a_loop(*layers, **links):
    """A linear layer, an add and a population behind it, and some layers more; links as `linked` takes them."""
    line = [eye("fc"), Add("sum"), loihi_lif("lif", 3)]
    for layer in layers:  # in front of what reads them at once
        line.insert(3 if layer.name in ("after", "lif2") else 1, layer)
    return linked((2,), SequenceInput(3), [*line, Readout("readout", constant(1, 3))], {"readout": ["lif"], **links})


def eye(name, bias=None):
    return Linear(name, constant(np.eye(2), 3), bias and constant([bias] * 2, 3))


SUMS = {"again": [("lif", 1)], "sum": ["fc", "again"]}


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (
            in_a_loop(eye("again"), **SUMS | {"again": [("lif", 2)]}),
            r"'again' \(linear\): brings the spikes of 'lif' back 2 time steps later",
        ),
        (
            in_a_loop(eye("after", bias=1), sum=["fc", ("after", 1)], after=["lif"]),
            r"'after' \(linear\): has a bias that is not there at the first step",
        ),
        (
            in_a_loop(Scale("again", constant(0.5, 3)), **SUMS),
            r"'again' \(scale\): stands in a recurrent connection as a layer without weights",
        ),
        (
            in_a_loop(sum=["fc", ("lif", 1)]),
            r"'sum' \(add\): stands in a recurrent connection without synapses",
        ),
        (
            in_a_loop(
                eye("again"), loihi_lif("lif2", 3), eye("after"), **SUMS | {"again": [("lif2", 1)]}, lif2=["after"]
            ),
            r"'after' \(linear\): stands in a recurrent connection together with 'again'",
        ),
        (
            in_a_loop(eye("again"), **SUMS | {"sum": ["fc", "again", ("lif", 1)]}),
            r"'sum' \(add\): must add the sums of 'again' once, for 'lif' alone",
        ),
        (
            in_a_loop(eye("again"), **SUMS | {"sum": ["again", "fc", "again"]}),
            r"'sum' \(add\): must add the sums of 'again' once, for 'lif' alone",
        ),
        (
            in_a_loop(eye("again"), **SUMS | {"sum": ["fc", "again", "fc"]}),
            r"'lif' \(neuron\): does not read the layer before it, without delay",
        ),
        (
            in_a_loop(eye("again"), **SUMS, readout=[("lif", 1)]),
            r"'readout' \(readout\): does not read the layer before it, without delay",
        ),
        (looped(2**17 + 1, np.eye(2)), r"'lif' \(neuron\): reads itself over 131073 time steps"),
    ],
)
def test_other_recurrence_is_refused(graph, message):
    with pytest.raises(UnsupportedError, match=message + r".*\(processes=fused\)$") as caught:
        to_loihi(graph)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("out", [(), (eye("out"),)], ids=["spikes", "sums"])
@pytest.mark.parametrize("rule", RULES)
def test_answers_are_made_as_the_rule_says(rule, out):
    """Of neurons that fire as the float ones do, the logits are those of the float network."""
    graph = looped(3, *random_weights(2), *out, rule=rule, scale=0.3)
    samples = random_inputs(graph, 30)
    expected, found = run(graph, samples, EVERYTHING), run(to_loihi(graph), samples, EVERYTHING)
    same = (found.spikes["lif"] == expected.spikes["lif"]).all(axis=(0, 2))
    assert same.sum() > 10
    assert np.allclose(found.logits[same], expected.logits[same], rtol=1e-4)
    assert len(np.unique(found.logits)) > 1


def test_only_lines_of_spikes_are_carried():
    graph = static_lenet()
    layers = list(graph.layers)
    layers.insert(1, Pool("early", "sum", (1, 1), (1, 1)))
    with pytest.raises(UnsupportedError, match=r"layer 'early' \(pool\): reads a current; stock Processes"):
        to_loihi(DeployGraph.chain(graph.input_shape, graph.code, layers))
    layers = [layer for layer in graph.layers if layer.name != "lif1"]
    with pytest.raises(UnsupportedError, match=r"layer 'pool1' \(pool\): reads a current"):
        to_loihi(DeployGraph.chain(graph.input_shape, graph.code, layers))
    direct = static_lenet(coding="direct")
    layers = [Pool("first", "max", (1, 1), (1, 1)), *direct.layers]
    with pytest.raises(UnsupportedError, match=r"layer 'first' \(pool\): takes the largest of counts up to 255"):
        to_loihi(DeployGraph.chain(direct.input_shape, direct.code, layers))


def test_other_integer_networks_are_refused_with_the_remedy():
    with pytest.raises(UnsupportedError, match=r"layer 'lif1' .*'lif' is none of Lava's own; .*processes=stock"):
        check_loihi(quantize(static_lenet()))
    carried = to_loihi(static_lenet())
    odd = carried.by_name["conv1"].weight.map(lambda w: w * 0 + 201)
    with pytest.raises(UnsupportedError, match=r"layer 'conv1' .*not such as Loihi can store"):
        check_loihi(changed(carried, "conv1", weight=odd))
    biased = changed(carried, "fc2", bias=constant(np.ones(5), 4, np.int16))
    with pytest.raises(UnsupportedError, match=r"layer 'fc2' .*has a bias; .* the readout has it"):
        check_loihi(biased)
    odd = changed(carried, "conv1", bias=constant(np.full(6, 201), 4, np.int16))
    with pytest.raises(UnsupportedError, match=r"layer 'conv1' .*its bias is not such as Loihi can store"):
        check_loihi(odd)
    lif = carried.by_name["lif1"]
    wide = changed(carried, "lif1", parameters={**lif.parameters, "vth": StepTable.constant(np.full(6, 9), 4)})
    with pytest.raises(UnsupportedError, match=r"layer 'lif1' .*: vth has shape \(6,\); Lava's LIF has one value"):
        check_loihi(wide)
    with pytest.raises(UnsupportedError, match=r"layer 'lif1' .*: reset 'subtract', Lava's LIF resets to zero"):
        check_loihi(changed(carried, "lif1", reset="subtract"))
