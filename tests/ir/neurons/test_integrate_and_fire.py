"""Integrate-and-fire against its equations, written out for one neuron, and at their borders."""

import numpy as np
import pytest
from hypothesis import given, settings
from membranes import DRAWN, TOP, clamped, stepped
from neuron_steps import (
    REALS,
    WIDE,
    assert_follows,
    assert_in_their_bits,
    assert_thresholds_share_a_unit,
    fixed_step,
    quantized_neurons,
    runs,
    truncated,
)

from asnn_deploy.ir.neurons.integrate_and_fire import model


def in_floats(p, s, x, firing):
    def integrate(v):
        v = v + p["gain"] * x
        return v + p["bias"] if "bias" in p else v

    spikes, v = stepped(s["v"], integrate, p, firing)
    return spikes, {"v": v}


def in_integers(p, s, x, firing):
    def integrate(v):
        return clamped(v + truncated(x * p["gain"], p["gain_shift"]) + p.get("bias", 0))

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


@pytest.mark.parametrize(("reset", "left"), [("subtract", [0, 1, 0]), ("zero", [0, 0, 0])])
def test_it_counts_up_to_its_threshold(reset, left):
    """Threshold 3, one at each step: the fourth one fires, and by subtraction one is left over."""
    p = {"gain": 1, "gain_shift": 0, "threshold": 3}
    v, fires = np.zeros(1, np.int64), []
    for _ in range(8):
        spikes, after = fixed_step(model, {"v": v}, np.ones(1, np.int64), p, reset)
        v = after["v"]
        fires.append(int(spikes[0]))
    assert fires == ([0, 0, 0, 1, 0, 0, 1, 0] if reset == "subtract" else [0, 0, 0, 1, 0, 0, 0, 1])


def test_it_saturates_at_both_ends_before_it_is_compared():
    p = {"gain": 1, "gain_shift": 0, "threshold": TOP}
    spikes, after = fixed_step(model, {"v": np.array([TOP, -TOP])}, np.array([5, -5]), p)
    assert (spikes.any(), after["v"].tolist()) == (False, [TOP, -TOP])


@settings(max_examples=25)
@given(quantized_neurons("if"))
def test_its_integers_lie_in_their_bits(layers):
    layer, fixed = layers
    assert_in_their_bits(fixed)
    assert_thresholds_share_a_unit(layer, fixed)
