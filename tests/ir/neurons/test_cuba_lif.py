"""The current-based LIF against its equations, written out for one neuron, and at their borders."""

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
    quantized_neurons,
    runs,
    truncated,
)

from asnn_deploy.ir.neurons.cuba_lif import model


def in_floats(p, s, x, firing):
    i = p["current_leak"] * s["i"] + x

    def integrate(v):
        v = p["leak"] * v + p["gain"] * i
        return v + p["bias"] if "bias" in p else v

    spikes, v = stepped(s["v"], integrate, p, firing)
    return spikes, {"v": v, "i": i}


def in_integers(p, s, x, firing):
    i = truncated(s["i"] * p["current_leak"], 12) + truncated(x * p["current_gain"], p["current_shift"])
    i = clamped(i + p.get("current_bias", 0))

    def integrate(v):
        return clamped(truncated(v * p["leak"], 12) + truncated(i * p["gain"], p["gain_shift"]) + p.get("bias", 0))

    spikes, v = stepped(s["v"], integrate, p, firing)
    return spikes, {"v": v, "i": i}


@settings(max_examples=60)
@given(runs(model, REALS), DRAWN)
def test_floats(run, firing):
    assert_follows(model, in_floats, run, firing)


@settings(max_examples=60)
@given(runs(model, WIDE), DRAWN)
def test_integers(run, firing):
    assert_follows(model, in_integers, run, firing)


PLAIN = {"current_gain": 1, "current_shift": 0, "gain": 1, "gain_shift": 0}


@pytest.mark.parametrize(("reset", "left"), [("subtract", 1), ("zero", 0)])
def test_the_current_of_this_step_reaches_the_threshold_in_it_and_outlives_the_reset(reset, left):
    p = PLAIN | {"current_leak": 4096, "leak": 0, "threshold": 100}
    start = {"v": np.zeros(2, np.int64), "i": np.array([60, 60])}
    spikes, after = fixed_step(model, start, np.array([40, 41]), p, reset)
    assert spikes.tolist() == [False, True]
    assert after["v"].tolist() == [100, left]
    assert after["i"].tolist() == [100, 101]


def test_current_and_potential_saturate_each_by_itself():
    """A current beyond its register drives the potential by what the register holds."""
    p = PLAIN | {"current_leak": 4096, "leak": 4096, "threshold": TOP}
    start = {"v": np.array([-TOP, TOP]), "i": np.array([TOP, -TOP])}
    spikes, after = fixed_step(model, start, np.array([9, -9]), p)
    assert not spikes.any()
    assert after["i"].tolist() == [TOP, -TOP]
    assert after["v"].tolist() == [0, 0]


def test_leaks_of_0_and_below():
    p = PLAIN | {"gain": 0, "threshold": TOP}
    start = {"v": np.array([-5, 5]), "i": np.array([-5, 5])}
    for leaks, v, i in (((0, 4096), [-5, 5], [0, 0]), ((-4096, 0), [0, 0], [5, -5]), ((2048, -2048), [2, -2], [-2, 2])):
        given = p | dict(zip(("current_leak", "leak"), leaks))
        _, after = fixed_step(model, start, np.zeros(2, np.int64), given)
        assert (after["v"].tolist(), after["i"].tolist()) == (v, i)


@settings(max_examples=25)
@given(quantized_neurons("cuba-lif"))
def test_its_integers_lie_in_their_bits(layers):
    layer, fixed = layers
    assert_in_their_bits(fixed)
    assert_leaks_are_rounded(layer, fixed)
    assert_leaks_are_rounded(layer, fixed, "current_leak")
    assert_thresholds_share_a_unit(layer, fixed)
