"""The leaky integrator against its equations, written out for one neuron, and at their borders."""

import numpy as np
from hypothesis import given, settings
from membranes import TOP, clamped
from neuron_steps import (
    REALS,
    WIDE,
    assert_follows,
    assert_in_their_bits,
    assert_leaks_are_rounded,
    fixed_step,
    quantized_neurons,
    runs,
    truncated,
)

from asnn_deploy.ir.neurons.leaky_integrator import model


def in_floats(p, s, x, _reset):
    v = p["leak"] * s["v"] + p["gain"] * x
    v = v + p["bias"] if "bias" in p else v
    return v, {"v": v}


def in_integers(p, s, x, _reset):
    v = truncated(s["v"] * p["leak"], 12) + truncated(x * p["gain"], p["gain_shift"]) + p.get("bias", 0)
    return clamped(v), {"v": clamped(v)}


@settings(max_examples=60)
@given(runs(model, REALS))
def test_floats(run):
    assert_follows(model, in_floats, run, "subtract")


@settings(max_examples=60)
@given(runs(model, WIDE))
def test_integers(run):
    assert_follows(model, in_integers, run, "subtract")


def test_it_sends_its_potential_and_never_resets():
    assert not model.spikes
    p = {"leak": 4096, "gain": 1, "gain_shift": 0}
    for reset in ("subtract", "zero"):
        sent, after = fixed_step(model, {"v": np.array([TOP, -TOP, 7])}, np.array([1, -1, 1]), p, reset)
        assert sent.tolist() == after["v"].tolist() == [TOP, -TOP, 8]


@settings(max_examples=25)
@given(quantized_neurons("li"))
def test_its_integers_lie_in_their_bits(layers):
    layer, fixed = layers
    assert_in_their_bits(fixed)
    assert_leaks_are_rounded(layer, fixed)
