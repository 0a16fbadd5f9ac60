"""LIF against its equations, written out for one neuron, and at their borders."""

import numpy as np
import pytest
from hypothesis import given, settings
from membranes import DRAWN, TOP, clamped, stepped
from neuron_steps import (
    REALS,
    WIDE,
    assert_follows,
    assert_in_their_bits,
    assert_leaks_are_rounded,
    assert_thresholds_share_a_unit,
    fixed_step,
    float_step,
    quantized_neurons,
    runs,
    truncated,
)

from asnn_deploy.ir.neurons.lif import model


def in_floats(p, s, x, firing):
    def integrate(v):
        v = p["leak"] * v + p["gain"] * x
        return v + p["bias"] if "bias" in p else v

    spikes, v = stepped(s["v"], integrate, p, firing)
    return spikes, {"v": v}


def in_integers(p, s, x, firing):
    def integrate(v):
        return clamped(truncated(v * p["leak"], 12) + truncated(x * p["gain"], p["gain_shift"]) + p.get("bias", 0))

    spikes, v = stepped(s["v"], integrate, p, firing)
    return spikes, {"v": v}


@settings(max_examples=60)
@given(runs(model, REALS), DRAWN)
def test_floats(run, firing):
    assert_follows(model, in_floats, run, firing)


@settings(max_examples=60)
@given(runs(model, WIDE), DRAWN)
def test_integers(run, firing):
    assert_follows(model, in_integers, run, firing)


@pytest.mark.parametrize(("reset", "left"), [("subtract", 1), ("zero", 0)])
def test_a_potential_equal_to_its_threshold_does_not_fire(reset, left):
    p = {"leak": 0, "gain": 1, "gain_shift": 0, "threshold": 100}
    spikes, after = fixed_step(model, {"v": np.zeros(2, np.int64)}, np.array([100, 101]), p, reset)
    assert (spikes.tolist(), after["v"].tolist()) == ([False, True], [100, left])
    limit = np.float32(0.7)
    x = np.array([limit, np.nextafter(limit, np.float32(1))], np.float32)
    p = {"leak": 0, "gain": 1, "threshold": limit}
    spikes, after = float_step(model, {"v": np.zeros(2, np.float32)}, x, p, reset)
    assert spikes.tolist() == [False, True]
    assert after["v"].tolist() == [limit, x[1] - limit if reset == "subtract" else 0]


def test_leaks_of_0_and_1_and_below():
    v = np.array([-3, -1, 1, 3])
    p = {"gain": 0, "gain_shift": 0, "threshold": 9}
    for leak, left in {0: [0, 0, 0, 0], 4096: [-3, -1, 1, 3], 2048: [-1, 0, 0, 1], -4096: [3, 1, -1, -3]}.items():
        assert fixed_step(model, {"v": v}, np.zeros(4, np.int64), p | {"leak": leak})[1]["v"].tolist() == left


def test_the_potential_saturates_at_both_ends_before_it_is_compared():
    p = {"leak": 4096, "gain": 1, "gain_shift": 0, "threshold": TOP}
    v, x = np.array([TOP, -TOP, 2 - TOP]), np.array([1, -1, -2])
    spikes, after = fixed_step(model, {"v": v}, x, p)
    assert (spikes.any(), after["v"].tolist()) == (False, [TOP, -TOP, -TOP])


@settings(max_examples=25)
@given(quantized_neurons("lif"))
def test_its_integers_lie_in_their_bits(layers):
    layer, fixed = layers
    assert_in_their_bits(fixed)
    assert_leaks_are_rounded(layer, fixed)
    assert_thresholds_share_a_unit(layer, fixed)
