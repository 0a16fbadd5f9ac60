"""The relaxing CUBA-LIF against its equations, written out for one neuron; in real numbers it is a CUBA-LIF."""

import numpy as np
from hypothesis import given, settings
from membranes import DRAWN, relaxed, stepped
from neuron_steps import REALS, assert_follows, assert_same_integers, float_step, runs

from asnn_deploy.ir.neurons import MODELS
from asnn_deploy.ir.neurons.relaxing_cuba_lif import model


def in_floats(p, s, x, firing):
    i = (s["i"] - p["current_rate"] * s["i"]) + x
    spikes, v = stepped(s["v"], lambda v: relaxed(p, v, i), p, firing)
    return spikes, {"v": v, "i": i}


@settings(max_examples=100)
@given(runs(model, REALS), DRAWN)
def test_floats(run, firing):
    assert_follows(model, in_floats, run, firing)


def test_the_current_loses_its_share_before_the_input_comes():
    p = {key: np.float32(value) for key, value in {"current_rate": 0.25, "rate": 0.5, "threshold": 100}.items()}
    start = {"v": np.zeros(1, np.float32), "i": np.full(1, 4, np.float32)}
    _, after = float_step(model, start, np.ones(1, np.float32), p)
    assert (after["i"].tolist(), after["v"].tolist()) == ([4.0], [2.0])


def test_its_integers_are_those_of_the_cuba_lif_that_it_is():
    """Of leaks 1 - rate and 1 - current_rate."""
    given_ = {"current_rate": 0.25, "rate": 0.125, "rest": 0.5, "gain": 0.5, "minimum": -0.5, "threshold": 1.0}
    plain = {"current_leak": 0.75, "leak": 0.875, "gain": 0.5, "bias": 0.0625, "minimum": -0.5, "threshold": 1.0}
    assert_same_integers(model, given_, MODELS["cuba-lif"], plain)
    given_ = {"current_rate": 0.25, "rate": 0.125}
    assert_same_integers(model, given_, MODELS["cuba-lif"], {"current_leak": 0.75, "leak": 0.875, "gain": 0.125})
