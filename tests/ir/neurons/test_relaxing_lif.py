"""The relaxing LIF against its equations, written out for one neuron; in real numbers it is a LIF."""

import numpy as np
import pytest
from hypothesis import given, settings
from membranes import DRAWN, relaxed, stepped
from neuron_steps import REALS, assert_follows, assert_same_integers, float_step, runs

from asnn_deploy.ir.neurons import MODELS
from asnn_deploy.ir.neurons.relaxing_lif import model


def in_floats(p, s, x, firing):
    spikes, v = stepped(s["v"], lambda v: relaxed(p, v, x), p, firing)
    return spikes, {"v": v}


@settings(max_examples=100)
@given(runs(model, REALS), DRAWN)
def test_floats(run, firing):
    assert_follows(model, in_floats, run, firing)


@pytest.mark.parametrize(
    ("given_", "expected"),
    [({}, 1.0), ({"rest": 0.5}, 1.25), ({"gain": 2.0}, 4.5), ({"gain": 2.0, "rest": 0.5}, 4.75), ({"steps": 4.0}, 1.0)],
)
def test_it_goes_its_share_of_the_way_to_rest_and_input(given_, expected):
    """Of 1, with an input of 2 or 1 half or a quarter of the way; a gain lets the whole input in."""
    p = {"rate": 0.5, "threshold": 100.0, **given_}
    x = {"steps": 1.0}.get(next(iter(given_), ""), 2.0 if "gain" in given_ else 1.0)
    p = {key: np.float32(value) for key, value in p.items()}
    _, after = float_step(model, {"v": np.ones(1, np.float32)}, np.array([x], np.float32), p)
    assert after["v"].tolist() == [expected]


def test_its_integers_are_those_of_the_lif_that_it_is():
    """Of leak 1 - rate, its gain or its rate, and a bias of rate times rest."""
    given_ = {"rate": 0.25, "threshold": 1.0}
    assert_same_integers(model, given_, MODELS["lif"], {"leak": 0.75, "gain": 0.25, "threshold": 1.0})
    given_ = {"rate": 0.25, "rest": 0.5, "gain": 0.75, "minimum": -0.5, "reset_potential": 0.25, "initial": 0.5}
    same = {key: given_[key] for key in ("minimum", "reset_potential", "initial")}
    assert_same_integers(model, given_, MODELS["lif"], {"leak": 0.75, "gain": 0.75, "bias": 0.125, **same})
    assert_same_integers(model, {"rate": 0.25, "steps": 4.0}, MODELS["lif"], {"leak": 0.75, "gain": 0.25})
