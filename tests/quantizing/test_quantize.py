import json
import pickle
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks.drawn import image_graphs
from networks.lenet import small_lenet
from networks.making import constant, random_inputs, random_neuron

from asnn_deploy.analysis.flow import flow
from asnn_deploy.analysis.overflow import magnitude
from asnn_deploy.engine.executor import Executor
from asnn_deploy.engine.runner import run
from asnn_deploy.errors import DataError, GraphError, InputError
from asnn_deploy.input.coding import input_code
from asnn_deploy.ir.fixed_point import STATE_BITS, largest
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.layers import Conv, Flatten, Linear, Neuron, Pool, Readout
from asnn_deploy.ir.neurons import operations
from asnn_deploy.ir.step_table import StepTable
from asnn_deploy.ir.trace import Record
from asnn_deploy.quantizing import Quantization, calibrate, quantization_report, quantize


def with_bits(graph, bits):
    return replace(graph, quantization=Quantization(bits))


@pytest.mark.parametrize("coding", ["direct", "latency", "hybrid-latency"])
def test_eight_bits_stay_close_to_float(coding):
    graph = small_lenet(coding=coding, granularity="channel")
    images = random_inputs(graph, 200)
    expected, got = (run(g, images, Record(spikes=True)) for g in (graph, quantize(graph)))
    for name in expected.spikes:
        assert np.mean(expected.spikes[name] != got.spikes[name]) < 0.03, name
    assert np.mean(expected.predictions == got.predictions) > 0.9
    assert np.abs(expected.logits - got.logits).mean() < 0.05


def test_weights_have_the_bits_asked_for():
    for bits in range(2, 9):
        for layer in quantize(with_bits(small_lenet(), bits)).layers:
            if isinstance(layer, (Conv, Linear)):
                assert layer.weight.dtype == np.int8
                assert np.abs(layer.weight.values).max() == 2 ** (bits - 1) - 1


def test_fewer_bits_disagree_more():
    graph = small_lenet()
    images = random_inputs(graph, 200)
    record = Record(spikes=True)
    expected = run(graph, images, record)
    wrong = []
    for bits in (8, 4, 2):
        got = run(quantize(with_bits(graph, bits)), images, record)
        wrong.append(sum(np.count_nonzero(got.spikes[k] != expected.spikes[k]) for k in got.spikes))
    assert wrong[0] < wrong[1] < wrong[2]


@settings(max_examples=40)
@given(image_graphs())
def test_no_value_leaves_its_register(graph):
    """Interval arithmetic promises it; the executor is watched while it runs."""
    graph = quantize(graph)
    executor, images = Executor(graph), random_inputs(graph, 8)
    images[0], images[1] = 0, 255
    executor.reset(len(images))
    known = flow(graph)
    for t in range(graph.time_steps):
        signals = executor.step(t, {"input": graph.code.frame(images, t).astype(np.int64)})
        for layer in graph.layers:
            if layer is graph.readout:
                continue
            seen = signals[layer.name].reshape(len(images), graph.shapes[layer.name][0], -1)
            low, high = known[layer.name].bounds
            assert (seen.min((0, 2)) >= low[t]).all(), layer.name
            assert (seen.max((0, 2)) <= high[t]).all(), layer.name
        for neuron in graph.neurons:
            v = executor.potential(neuron.name)
            assert np.abs(v).max() <= magnitude(known.reached[neuron.name]["v"])[t], neuron.name
            assert magnitude(known.reached[neuron.name]["v"])[t] <= largest(STATE_BITS)


@settings(max_examples=40)
@given(image_graphs(), st.integers(0, 999))
def test_saturation_never_acts(graph, seed):
    """Thresholds per channel, biases of the neuron, both resets: what interval arithmetic promised never saturates."""
    rng = np.random.default_rng(seed)
    layers = []
    for layer in graph.layers:
        if isinstance(layer, Neuron):
            channels = graph.shapes[layer.name][:1]
            shape = (graph.time_steps, *channels)
            extra = {
                key: StepTable.per_step(rng.uniform(low, high, shape).astype(np.float32))
                for key, low, high in (("threshold", 0.1, 40.0), ("bias", -0.5, 3.0))
            }
            layer = replace(layer, parameters={**layer.parameters, **extra})
        layers.append(layer)
    fixed = quantize(replace(graph, layers=tuple(layers)))
    images = random_inputs(graph, 6)
    images[0], images[1] = 0, 255
    seen = []

    def watched(x, bits):
        seen.append(x.size)
        assert np.abs(x).max(initial=0) <= largest(bits)
        return x

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(operations, "saturate", watched)
        Executor(fixed, compiled=False).run(images)
    assert seen


def test_a_quiet_neuron_keeps_what_its_own_threshold_allows():
    """One channel's threshold is far above the other's: the bound must count what the quiet one gathers."""
    graph = small_lenet()
    thresholds = np.ones(6, np.float32)
    thresholds[1:] = 50
    tables = {"threshold": StepTable.constant(thresholds, 4), "bias": constant(np.full(6, 20), 4)}
    for reset in ("subtract", "zero"):
        layers = [
            replace(x, parameters={**x.parameters, **tables}, reset=reset) if x.name == "lif1" else x
            for x in graph.layers
        ]
        fixed = quantize(replace(graph, layers=tuple(layers)))
        executor = Executor(fixed)
        executor.reset(4)
        images = random_inputs(graph, 4)
        bound = magnitude(flow(fixed).reached["lif1"]["v"])
        for t in range(4):
            executor.step(t, {"input": graph.code.frame(images, t).astype(np.int64)})
            assert np.abs(executor.potential("lif1")).max() <= bound[t]


def test_calibration_does_not_make_it_worse():
    graph = small_lenet(seed=3)
    images = random_inputs(graph, 64)
    record = Record(spikes=True)
    expected = run(graph, images, record)

    def wrong(g):
        got = run(quantize(g), images, record)
        return sum(np.count_nonzero(got.spikes[k] != expected.spikes[k]) for k in got.spikes)

    chosen = calibrate(graph, images, bits=3)
    assert chosen.quantization.bits == 3
    assert set(chosen.quantization.clips) == {"conv1", "conv2", "fc1", "fc2"}
    assert wrong(chosen) <= wrong(with_bits(graph, 3))


@pytest.mark.parametrize("bits", [1, 9, 0, -3])
def test_bits_outside_the_range(bits):
    with pytest.raises(InputError, match=f"^weights have 2 to 8 bits, found {bits}$"):
        quantize(with_bits(small_lenet(), bits))


def changed(name="lif1", **parameters):
    graph = small_lenet()
    neuron = random_neuron(np.random.default_rng(0), name, graph.time_steps)
    tables = {key: constant(value, graph.time_steps) for key, value in parameters.items()}
    new = replace(neuron, parameters={**neuron.parameters, **tables})
    return replace(graph, layers=tuple(new if layer.name == name else layer for layer in graph.layers))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"leak": 8.5}, "leak 8.5 at step 0 lies outside the format's range (-8, 8); magnitudes up to 7.9998 fit"),
        ({"leak": -8.5}, "leak -8.5 at step 0 lies outside the format's range (-8, 8); magnitudes up to 7.9998 fit"),
        ({"gain": 1e6}, "lies outside the format's range: with this layer's inputs, 16 bits and a 32-bit product hold"),
        ({"threshold": 0}, "threshold 0 has no integer version; it must be positive"),
        ({"threshold": [1e-4, 1, 1, 1, 1, 100]}, "thresholds nearer to each other would fit"),
        ({"gain": 1e4, "leak": 7.9}, "of 8388607; gains and biases"),
    ],
)
def test_what_the_format_cannot_hold_is_named(parameters, message):
    with pytest.raises(GraphError) as found:
        quantize(changed(**parameters))
    assert str(found.value).startswith("layer 'lif1' (neuron): ")
    assert message in str(found.value)


def test_what_was_said_to_fit_fits():
    with pytest.raises(GraphError) as found:
        quantize(changed(gain=1e6))
    quantize(changed(gain=0.999 * float(str(found.value).rsplit(" ", 1)[1])))


def test_scales_per_channel_where_the_readers_allow_it():
    """Pools and flattening in between do; two currents that are added need one scale for both."""
    graph = quantize(small_lenet())
    assert graph.by_name["lif1"].parameters["gain"].shape == (6,)
    assert graph.by_name["lif3"].parameters["gain"].shape == (12,)
    assert graph.readout.scale.shape == (5,)
    each = quantize(replace(small_lenet(), quantization=Quantization(scales="layer")))
    assert each.by_name["lif1"].parameters["gain"].shape == each.readout.scale.shape == ()
    for layer in graph.layers:
        if isinstance(layer, (Conv, Linear)):
            assert (np.abs(layer.weight.values).reshape(*layer.weight.values.shape[:2], -1).max(2) == 127).all()


@pytest.mark.parametrize("mode", ["max", "sum", "average"])
def test_currents_may_be_pooled_and_flattened_on_the_way(mode):
    """conv -> pool -> flatten -> LIF: units and biases of each channel follow."""
    rng = np.random.default_rng(0)
    table = partial(constant, steps=3)
    scales = np.array([0.01, 0.1, 1.0, 5.0]).reshape(4, 1, 1, 1)
    layers = [
        Conv("conv", table(rng.normal(0, 1, (4, 2, 3, 3)) * scales), table(rng.normal(0, 1, 4))),
        Pool("pool", mode),
        Flatten("flat"),
        Neuron("lif", "lif", {"leak": table(0.5), "gain": table(0.4)}),
        Linear("fc", table(rng.normal(0, 1, (3, 16)))),
        Readout("readout", table(1 / 3)),
    ]
    graph = DeployGraph.chain((2, 6, 6), input_code("latency", 3), layers)
    images = random_inputs(graph, 200)
    expected, got = (run(g, images, Record(spikes=True)) for g in (graph, quantize(graph)))
    assert quantize(graph).by_name["lif"].parameters["gain"].shape == (16,)
    assert expected.spikes["lif"].any()
    assert np.mean(expected.spikes["lif"] != got.spikes["lif"]) < 0.01


def silenced(name):
    graph = small_lenet()
    return replace(
        graph,
        layers=tuple(
            replace(x, weight=x.weight.map(np.zeros_like), bias=x.bias.map(np.zeros_like)) if x.name == name else x
            for x in graph.layers
        ),
    )


@pytest.mark.parametrize("name", ["conv1", "fc1", "fc2"])
def test_a_layer_of_zeros(name):
    """Its answer is that of the float network: nothing."""
    graph = silenced(name)
    images = random_inputs(graph, 8)
    chosen = calibrate(graph, images, 4)
    expected, got = run(chosen, images, Record(spikes=True)), run(quantize(chosen), images, Record(spikes=True))
    for neuron in expected.spikes:
        assert expected.spikes[neuron].any() == got.spikes[neuron].any()
    assert (got.logits == 0).all() == (expected.logits == 0).all()


def test_a_channel_of_zeros_does_not_take_the_others_precision():
    graph = small_lenet()
    dark = replace(
        graph.by_name["conv2"],
        weight=graph.by_name["conv2"].weight.map(
            lambda w: w * (np.arange(8) > 0).reshape(8, 1, 1, 1).astype(np.float32)
        ),
    )
    graph = replace(graph, layers=tuple(dark if x.name == "conv2" else x for x in graph.layers))
    gain = quantize(graph).by_name["lif2"].parameters["gain"].values
    assert np.abs(gain).min() > np.abs(gain).max() / 8


def test_calibration_images_of_another_shape():
    with pytest.raises(DataError, match=r"calibration images are \(1, 9, 9\) .*the network takes \(1, 8, 8\)"):
        calibrate(small_lenet(), np.zeros((4, 1, 9, 9), np.uint8))


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"scales": "row"}, "quantization scales 'row', allowed: channel, layer"),
        ({"clips": {"conv1": 0}}, "quantization clips of layer 'conv1'"),
        ({"clips": {"conv1": [[0.5, 3.0]]}}, r"each in \(0, 2\]"),
        ({"bits": 2.5}, "weights have 2 to 8 bits"),
    ],
)
def test_choices_that_do_not_exist(choices, message):
    with pytest.raises(InputError, match=message):
        Quantization(**choices)


def test_clips_of_another_network():
    for clips in ([[0.5, 0.5]], [[1.0]] * 3):
        with pytest.raises((GraphError, InputError), match="'conv1'"):
            quantize(replace(small_lenet(), quantization=Quantization(clips={"conv1": clips})))


def test_choices_survive():
    choices = Quantization(3, "layer", {"a": 0.5, "b": np.array([[0.25, 1.5]])})
    for again in (
        Quantization.from_json(json.loads(json.dumps(choices.to_json()))),
        pickle.loads(pickle.dumps(choices)),
    ):
        assert again == choices
        assert hash(again) == hash(choices)
    assert Quantization.from_json({"bits": 4.0, "conv1": 0.7}) == Quantization(4, "layer", {"conv1": 0.7}), "older runs"
    for wrong in ({"bits": 9, "scales": "layer", "clips": {}}, {"clips": {}}, {"bits": 4, "scales": "x", "clips": {}}):
        with pytest.raises(ValueError):
            Quantization.from_json(wrong)


def test_the_report_counts():
    graph = replace(small_lenet(), quantization=Quantization(4, clips={"conv2": 0.5}))
    images = random_inputs(graph, 16)
    report = quantization_report(graph, images, np.zeros(16, int))
    fixed = quantize(graph)
    expected, got = (run(g, images, Record(spikes=True)) for g in (graph, fixed))
    rows = {row["name"]: row for row in report["layers"]}
    assert list(rows) == ["conv1", "lif1", "conv2", "lif2", "fc1", "lif3", "fc2", "readout"]
    for name in expected.spikes:
        wrong = (expected.spikes[name] != got.spikes[name]).reshape(4, -1).mean(1)
        assert rows[name]["spike_disagreement"] == wrong.tolist()
        assert 2 <= rows[name]["membrane_bits"] <= 24
    weight, scale = graph.by_name["conv2"].weight.at(0), np.array(rows["conv2"]["scales"][0]).reshape(-1, 1, 1, 1)
    assert rows["conv2"]["saturated"] == np.count_nonzero(np.abs(weight / scale) > 7.5)
    assert rows["conv1"]["saturated"] == 0
    assert np.abs(fixed.by_name["conv2"].weight.at(0) * scale - weight).max() > 0.5 * scale.max(), "clipped"
    assert rows["conv1"]["accumulator_bits"] <= 20
    assert report["accuracy"] == np.mean(got.predictions == 0)
    json.dumps(report, allow_nan=False)
