from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import random_graph, random_images, random_neuron, small_lenet

from asnn_deploy.errors import GraphError, InputError
from asnn_deploy.fixed_point import STATE_BITS, largest
from asnn_deploy.graph import Conv, Linear, Neuron
from asnn_deploy.intervals import bounds
from asnn_deploy.neurons import lif
from asnn_deploy.quantize import Quantization, calibrate, quantize
from asnn_deploy.reference import Executor, run
from asnn_deploy.step_table import StepTable
from asnn_deploy.trace import Record


def with_bits(graph, bits):
    return replace(graph, quantization=Quantization(bits))


@pytest.mark.parametrize("coding", ["direct", "latency", "hybrid-latency"])
def test_eight_bits_stay_close_to_float(coding):
    graph = small_lenet(coding=coding, granularity="channel")
    images = random_images(graph, 200)
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
    images = random_images(graph, 200)
    record = Record(spikes=True)
    expected = run(graph, images, record)
    wrong = []
    for bits in (8, 4, 2):
        got = run(quantize(with_bits(graph, bits)), images, record)
        wrong.append(sum(np.count_nonzero(got.spikes[k] != expected.spikes[k]) for k in got.spikes))
    assert wrong[0] < wrong[1] < wrong[2]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_no_value_leaves_its_register(seed):
    """Interval arithmetic promises it; the executor is watched while it runs."""
    graph = quantize(random_graph(seed))
    executor, images = Executor(graph), random_images(graph, 8, seed)
    images[0], images[1] = 0, 255
    executor.reset(len(images))
    known = bounds(graph)
    for t in range(graph.time_steps):
        signals = executor.step(t, {"input": graph.code.frame(images, t).astype(np.int64)})
        for layer in graph.layers:
            if layer is graph.readout:
                continue
            seen = signals[layer.name].reshape(len(images), graph.shapes[layer.name][0], -1)
            interval = known[layer.name].signal
            assert (seen.min((0, 2)) >= interval.low[t]).all(), layer.name
            assert (seen.max((0, 2)) <= interval.high[t]).all(), layer.name
        for neuron in graph.neurons:
            v = executor.potential(neuron.name)
            assert np.abs(v).max() <= known[neuron.name].membrane.magnitude[t].max(), neuron.name
            assert known[neuron.name].membrane.magnitude[t].max() <= largest(STATE_BITS)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_saturation_never_acts(seed):
    """Thresholds per channel, biases of the neuron, both resets: what interval arithmetic promised never saturates."""
    rng = np.random.default_rng(seed)
    graph = random_graph(seed)
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
    images = random_images(graph, 6, seed)
    images[0], images[1] = 0, 255
    seen = []

    def watched(x, bits):
        seen.append(x.size)
        assert np.abs(x).max(initial=0) <= largest(bits)
        return x

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(lif, "saturate", watched)
        Executor(fixed, compiled=False).run(images)
    assert seen


def test_a_quiet_neuron_keeps_what_its_own_threshold_allows():
    """One channel's threshold is far above the other's: the bound must count what the quiet one gathers."""
    graph = small_lenet()
    thresholds = np.ones(6, np.float32)
    thresholds[1:] = 50
    tables = {"threshold": StepTable.constant(thresholds, 4), "bias": StepTable.constant(np.full(6, 20, np.float32), 4)}
    for reset in ("subtract", "zero"):
        layers = [
            replace(x, parameters={**x.parameters, **tables}, reset=reset) if x.name == "lif1" else x
            for x in graph.layers
        ]
        fixed = quantize(replace(graph, layers=tuple(layers)))
        executor = Executor(fixed)
        executor.reset(4)
        images = random_images(graph, 4)
        bound = bounds(fixed)["lif1"].membrane.magnitude.max(axis=1)
        for t in range(4):
            executor.step(t, {"input": graph.code.frame(images, t).astype(np.int64)})
            assert np.abs(executor.potential("lif1")).max() <= bound[t]


def test_calibration_does_not_make_it_worse():
    graph = small_lenet(seed=3)
    images = random_images(graph, 64)
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
    with pytest.raises(InputError, match=f"--bits {bits}: weights have 2 to 8 bits"):
        quantize(with_bits(small_lenet(), bits))


def changed(name="lif1", **parameters):
    graph = small_lenet()
    neuron = random_neuron(np.random.default_rng(0), name, graph.time_steps)
    tables = {key: StepTable.constant(np.float32(value), graph.time_steps) for key, value in parameters.items()}
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
