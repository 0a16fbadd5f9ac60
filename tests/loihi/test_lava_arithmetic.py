"""Loihi's neuron and synapses as this project defines them, against Lava's own Processes: every bit."""

from __future__ import annotations

import lava_arithmetic
import numpy as np
import pytest
from asnn_targets.lava import target
from neuron_steps import fixed_step, float_step

from asnn_deploy.errors import GraphError, UnsupportedError
from asnn_deploy.ir.fixed_point import STATE_BITS, largest
from asnn_deploy.ir.layers import Neuron
from asnn_deploy.ir.neurons import MODELS
from asnn_deploy.ir.step_table import StepTable
from asnn_deploy.loihi import synapses

needs_lava = pytest.mark.skipif(target.unavailable() is not None, reason=str(target.unavailable()))
TOP = largest(STATE_BITS)
LIF = MODELS["loihi-lif"]


def random_populations(seed=0, steps=600, size=250):
    """Eight populations: decays from none to all, thresholds from 0 up, inputs that drive u over its edge and v into
    both its ends."""
    rng = np.random.default_rng(seed)
    du = np.array([0, 4095, 4095, 1, 100, 2048, 4000, 300])
    dv = np.array([0, 4095, 2048, 1, 50, 0, 100, 1024])
    vth = np.array([131_071, 0, 500, 131_071, 60_000, 131_071, 20_000, 1_000])
    spread = np.array([2_000, 300, 600, 131_071, 200_000, 393_000, 30_000, 5_000])
    x = rng.integers(-1, 2, (8, steps, size)) * rng.integers(0, spread[:, None, None] + 1, (8, steps, size))
    mant, exp = rng.integers(-4096, 4096, (8, size)), rng.integers(0, 8, (8, size))
    return {"x": x, "du": du, "dv": dv, "vth": vth, "bias_mant": mant, "bias_exp": exp}


def ours(x, **parameters):
    """u, v and spikes `[P, T, N]` by step_fixed."""
    p = {key: value if value.ndim == 2 else value[:, None] for key, value in parameters.items()}
    state = {"u": np.zeros_like(x[:, 0]), "v": np.zeros_like(x[:, 0])}
    found = {key: np.zeros_like(x) for key in ("u", "v", "spikes")}
    for t in range(x.shape[1]):
        spikes, state = fixed_step(LIF, state, x[:, t], p, "zero")
        for key, value in {**state, "spikes": spikes}.items():
            found[key][:, t] = value
    return found


@needs_lava
def test_the_neuron_is_lavas_bit_for_bit(tmp_path):
    """1.2 million neuron-steps in a run of Lava, with saturation, overflow, and all that can happen to a neuron."""
    given = random_populations()
    expected = lava_arithmetic.run("populations", tmp_path, **given)
    steps = lava_arithmetic.run("trajectories", tmp_path, **given)
    found = ours(**given)
    assert found["spikes"].size == 1_200_000
    assert np.array_equal(found["spikes"], expected["spikes"])
    assert np.array_equal(found["u"][:, -1], expected["u"])
    assert np.array_equal(found["v"][:, -1], expected["v"])
    for key in ("u", "v", "spikes"):
        assert np.array_equal(found[key], steps[key]), key

    # What the inputs made happen.
    u, v, x = found["u"], found["v"], given["x"]
    before = np.concatenate([np.zeros_like(u[:, :1]), u[:, :-1]], axis=1)
    unwrapped = np.sign(before) * (np.abs(before) * (4095 - given["du"])[:, None, None] // 4096) + x * 64
    assert ((unwrapped > 2**23) & (u == unwrapped - 2**24)).sum() > 1000
    assert ((unwrapped <= -(2**23)) & (u == unwrapped + 2**24)).sum() > 1000
    assert (v == -TOP).sum() > 1000
    assert found["spikes"].mean(axis=(1, 2)).max() > 0.2
    assert (found["spikes"].sum(axis=(1, 2)) > 0).sum() >= 6


@needs_lava
def test_the_edges_of_the_current(tmp_path):
    """Exactly on, just below and just above the ends of 24 bits, where < and <= part."""
    ends = np.array([2**17 - 1, 2**17, 2**17 + 1, 2**18, 3 * 2**17, 3 * 2**17 + 1])
    x = np.concatenate([ends, -ends])[None, None].repeat(3, axis=1)
    zero = np.zeros((1, x.shape[2]), int)
    given = {"x": x, "bias_mant": zero, "bias_exp": zero}
    for du in (4095, 0):
        parameters = {"du": np.array([du]), "dv": np.array([0]), "vth": np.array([131_071])}
        expected = lava_arithmetic.run("trajectories", tmp_path, **given, **parameters)
        found = ours(**given, **parameters)
        for key, values in found.items():
            assert np.array_equal(values, expected[key]), (du, key)


@needs_lava
def test_stored_weights_are_lavas(tmp_path):
    weight = np.random.default_rng(0).integers(-300, 300, (40, 50))
    expected = lava_arithmetic.run("weights", tmp_path, weight=weight)
    for mode in ("mixed", "excitatory", "inhibitory"):
        for bits in range(1, 9):
            assert np.array_equal(synapses.stored(weight, bits, mode), expected[f"{mode}-{bits}"]), (mode, bits)
    assert synapses.sign_mode(weight) == expected["some"]
    assert synapses.sign_mode(np.abs(weight)) == expected["positive"]
    assert synapses.sign_mode(-np.abs(weight)) == expected["negative"]


def dense_cases(rng):
    weight = rng.integers(-300, 300, (5, 60))
    return {
        "dense": weight,
        "dense num_weight_bits=5 weight_exp=2": weight,
        "dense num_weight_bits=8 weight_exp=-3": weight,
        "dense num_weight_bits=3 num_message_bits=8 weight_exp=-1": weight,
        "dense num_weight_bits=4": np.abs(weight),
        "dense num_weight_bits=6 sign_mode=mixed": np.abs(weight),
        "dense num_weight_bits=6 num_message_bits=8": -np.abs(weight),
        "dense num_weight_bits=7 sign_mode=inhibitory": -np.abs(weight),
    }


def conv_cases(rng):
    draw = lambda *shape: rng.integers(-254, 255, shape)
    return {
        "conv padding=1 weight_exp=3 num_weight_bits=4": draw(6, 3, 3, 2),  # Lava's Conv ignores both
        "conv stride=2 num_message_bits=8": draw(6, 3, 2, 2),
        "conv dilation=2 groups=2 padding=2 num_message_bits=8": draw(6, 2, 3, 1),
        "conv num_message_bits=1": draw(3, 2, 2, 2) * 2**13,  # its sums leave 24 bits
    }


@needs_lava
def test_dense_and_conv_are_lavas(tmp_path):
    """Weights, weight exponent, sign mode, weight bits, spikes with and without bits."""
    rng = np.random.default_rng(1)
    steps = 12
    x = rng.integers(0, 256, (6, 5, 2, steps)) * (rng.random((6, 5, 2, steps)) < 0.4)
    cases = dense_cases(rng) | conv_cases(rng)
    found = lava_arithmetic.run("synapses", tmp_path, x=x, **cases)
    wraps = 0
    for case, weight in cases.items():
        options = dict(option.split("=") for option in case.split()[1:])
        sent = synapses.received(x.transpose(3, 0, 1, 2), int(options.get("num_message_bits", 0)))
        if case.startswith("dense"):
            kept = synapses.stored(weight, int(options.get("num_weight_bits", 8)), options.get("sign_mode"))
            expected = synapses.arriving(sent.reshape(steps, -1) @ kept.T, int(options.get("weight_exp", 0)))
        else:
            sums = convolved(sent, weight, *(int(options.get(k, d)) for k, d in CONV_DEFAULTS.items()))
            expected = synapses.wrapped(sums)
            wraps += np.count_nonzero(expected != sums)
        assert np.array_equal(found[case][1:], expected[:-1]), case  # sent one step late, nothing at the first
        assert not found[case][0].any()
    assert wraps > 0


CONV_DEFAULTS = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}


def convolved(x, weight, stride, padding, dilation, groups):
    """x `[T, W, H, C]`, weight `[C_out, W, H, C_in/groups]`: Lava convolves where others correlate."""
    x = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    outputs, *_, inputs = weight.shape
    width, height = ((n - dilation * (k - 1) - 1) // stride + 1 for n, k in zip(x.shape[1:3], weight.shape[1:3]))
    y = np.zeros((len(x), width, height, outputs), np.int64)
    for o, i, j, c in np.ndindex(weight.shape):
        channel = c + o * groups // outputs * inputs
        a, b = (weight.shape[1] - 1 - i) * dilation, (weight.shape[2] - 1 - j) * dilation
        part = x[:, a : a + stride * width : stride, b : b + stride * height : stride, channel]
        y[..., o] += weight[o, i, j, c] * part[:, :width, :height]
    return y


def test_values_outside_their_range_are_refused():
    def checked(key, value):
        neuron = Neuron("lif1", "loihi-lif", {})
        neuron.check_range(key, StepTable.per_step([1, value]), *LIF.fixed_parameters[key].allowed)

    checked("du", 4095)
    with pytest.raises(GraphError, match=r"^layer 'lif1' \(neuron\): du = 4096 at step 1, allowed: 0 to 4095$"):
        checked("du", 4096)
    with pytest.raises(GraphError, match=r"bias_mant = -4097 at step 1, allowed: -4096 to 4095"):
        checked("bias_mant", -4097)
    with pytest.raises(GraphError, match=r"vth has values of type float64; they must be integers"):
        checked("vth", 0.5)


def test_what_loihis_neuron_cannot_do_is_said():
    with pytest.raises(UnsupportedError, match="'loihi-lif' resets to zero, not by 'subtract'"):
        fixed_step(LIF, {}, np.zeros(1), {"du": np.int64(0), "dv": np.int64(0), "vth": np.int64(1)})
    with pytest.raises(UnsupportedError, match="'loihi-lif' has no definition in floating point"):
        float_step(LIF, {}, np.zeros(1), {})
