"""Loihi's LIF against its equations, written out for one neuron, and at their borders.

Lava itself is asked in tests/loihi/test_lava_arithmetic.py.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from membranes import TOP, clamped
from networks.making import constant
from neuron_steps import Numbers, assert_bounds_hold, assert_follows, fired, fixed_step, runs, truncated, whole

from asnn_deploy.errors import GraphError
from asnn_deploy.ir.layers import Neuron
from asnn_deploy.ir.neurons.loihi_lif import model

HALF = 2**23
INPUTS = whole(1 - HALF, HALF - 1)
PARAMETERS = {
    "du": whole(0, 4095),
    "dv": whole(0, 4095),
    "vth": whole(0, 131_071),
    "bias_mant": whole(-4096, 4095),
    "bias_exp": whole(0, 7),
}


def in_integers(p, s, x, reset):
    u = truncated(s["u"] * (4096 - p["du"] - 1), 12) + x * 2**6
    if u > HALF:
        u -= 2 * HALF
    elif u <= -HALF:
        u += 2 * HALF
    bias = p.get("bias_mant", 0) * 2 ** p.get("bias_exp", 0)
    spike, v = fired(clamped(truncated(s["v"] * (4096 - p["dv"]), 12) + u + bias), p["vth"] * 2**6, reset)
    return spike, {"v": v, "u": u}


@settings(max_examples=60)
@given(runs(model, Numbers(True, INPUTS, whole(-TOP, TOP), PARAMETERS)))
def test_integers(run):
    assert_follows(model, in_integers, run, "zero")


def step(x, u=0, v=0, **parameters):
    p = {key: np.array([value]) for key, value in parameters.items()}
    spikes, after = fixed_step(model, {"v": np.array([v]), "u": np.array([u])}, np.array([x]), p, "zero")
    return bool(spikes[0]), int(after["u"][0]), int(after["v"][0])


def test_the_current_wraps_at_the_ends_of_its_register():
    """2**17 inputs are 2**23: the largest that stays; its negative is the first that leaves."""
    for x, u in ((2**17, HALF), (2**17 + 1, 64 - HALF), (-(2**17), HALF), (1 - 2**17, 64 - HALF)):
        assert step(x, du=4095, dv=4095, vth=131_071)[1] == u


def test_a_potential_equal_to_its_threshold_does_not_fire():
    assert step(100, du=4095, dv=4095, vth=100) == (False, 6400, 6400)
    assert step(101, du=4095, dv=4095, vth=100) == (True, 6464, 0)
    assert step(0, du=0, dv=0, vth=0) == (False, 0, 0)


def test_decays_of_0_and_of_all():
    """du takes one 4096th more than it says; dv = 0 keeps everything."""
    assert step(0, u=4096, v=-1, du=0, dv=0, vth=9999) == (False, 4095, 4094)
    assert step(0, u=4096, v=4095, du=4095, dv=4095, vth=9999) == (False, 0, 0)


def test_the_potential_saturates_at_both_ends():
    assert step(1, v=-TOP, du=4095, dv=0, vth=131_071, bias_mant=-4096, bias_exp=7)[2] == -TOP
    fires, _, left = step(1, v=TOP, du=4095, dv=0, vth=131_071)
    assert (fires, left) == (True, 0), "the largest potential is above the largest threshold"


@settings(max_examples=60)
@given(runs(model, Numbers(True, INPUTS, st.just(0), PARAMETERS)))
def test_bounds(run):
    assert_bounds_hold(model, run, "zero")


@pytest.mark.parametrize("key", ["du", "dv", "vth", "bias_mant", "bias_exp"])
def test_what_is_allowed_fits_the_bits_and_what_is_not_is_refused(key):
    parameter = model.fixed_parameters[key]
    plain = {"du": 0, "dv": 0, "vth": 0}

    def neuron(value):
        tables = {k: constant(v, 2, np.int32) for k, v in (plain | {key: value}).items()}
        return Neuron("lif", model.name, tables, "zero")

    least, most = parameter.allowed
    assert most - least == 2**parameter.bits - 1, "every pattern of its bits is a value"
    for value in (least, most):
        neuron(value).check(fixed=True)
    for value in (least - 1, most + 1):
        with pytest.raises(GraphError, match=f"{key} = {value} at step 0, allowed: {least} to {most}"):
            neuron(value).check(fixed=True)
