"""The relaxing leaky integrator against its equations, written out for one neuron; in real numbers it is an LI."""

import numpy as np
from hypothesis import given, settings
from membranes import relaxed
from networks.making import constant, linked
from neuron_steps import REALS, assert_follows, assert_same_integers, runs

from asnn_deploy.analysis.flow import flow
from asnn_deploy.ir.inputs import SequenceInput
from asnn_deploy.ir.layers import Linear, Neuron, Readout
from asnn_deploy.ir.neurons import MODELS
from asnn_deploy.ir.neurons.relaxing_li import model


def in_floats(p, s, x, _reset):
    v = relaxed(p, s["v"], x)
    return v, {"v": v}


@settings(max_examples=100)
@given(runs(model, REALS))
def test_floats(run):
    assert_follows(model, in_floats, run, "subtract")


def test_its_integers_are_those_of_the_leaky_integrator_that_it_is():
    """Of leak 1 - rate; it has no threshold, and so no unit but what its potential reaches."""
    assert not model.spikes
    given_ = {"rate": 0.25, "rest": 0.5, "initial": 0.5}
    assert_same_integers(model, given_, MODELS["li"], {"leak": 0.75, "gain": 0.25, "bias": 0.125, "initial": 0.5})
    assert_same_integers(model, {"rate": 0.25, "gain": 2.0}, MODELS["li"], {"leak": 0.75, "gain": 2.0})


def test_its_bounds_do_not_grow_with_the_steps():
    """Its step reads the potential twice; it is one number, and never goes beyond its input."""
    layers = (
        Linear("synapses", constant(np.ones((1, 1), np.float32), 60)),
        Neuron("neurons", "relaxing-li", {"rate": constant(0.5, 60)}),
        Readout("readout", constant(1.0, 60)),
    )
    track = flow(linked((1,), SequenceInput(60), layers, {}))["neurons"]
    assert max(x.largest for x in track) <= 1
