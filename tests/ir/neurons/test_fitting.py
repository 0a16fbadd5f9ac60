"""The search for the finest integers of a layer that fit."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from membranes import TOP
from networks.making import static_neuron

from asnn_deploy.errors import GraphError
from asnn_deploy.ir.fixed_point import STATE_BITS
from asnn_deploy.ir.neurons.fitting import Fitting, fitted, spoken
from asnn_deploy.ir.neurons.operations import INTEGERS
from asnn_deploy.ir.neurons.quantizing import TooFine
from asnn_deploy.ir.quantization import Quantization
from asnn_deploy.ir.worth import Choices, Worth

T = 3
MODELS = ["lif", "if", "cuba-lif", "li"]


def fitting(model, low, high, unit=0.01, bias=None, **parameters):
    """A layer of two neurons at which integers between two bounds arrive."""
    neuron = static_neuron("n", T, model, **parameters)
    ends = tuple(np.full((T, 1), float(end)) for end in (low, high))
    choices = Choices(((2,),), (2,), T, Quantization(), lambda: None, lambda: None, lambda: [ends])
    x = Worth(np.full((T, 1), unit), None if bias is None else np.full((T, 1), bias))
    return neuron, x, choices


@pytest.mark.parametrize("model", MODELS)
@settings(max_examples=30)
@given(st.integers(-(2**20), 0), st.integers(1, 2**20), st.floats(1e-4, 1), st.floats(-2, 2), st.floats(0.05, 3))
def test_the_unit_is_the_finest_that_fits(model, low, high, unit, bias, gain):
    search = Fitting(*fitting(model, low, high, unit, bias, gain=np.float32(gain)))
    try:
        new, found = search.found()
    except GraphError:
        assume(False)
    top, exponents = search.top()
    tried = [top / 2.0**k for k in exponents]
    assert found in tried
    assert search.fits(new)
    for finer in tried[: tried.index(found)]:
        search.x.unit = finer
        try:
            other = search.with_parameters(search.model.quantized(search.p, search.x))
        except TooFine:
            continue
        assert not search.fits(other)


@pytest.mark.parametrize("model", MODELS)
@settings(max_examples=30)
@given(st.integers(0, 999))
def test_no_run_leaves_the_registers_of_what_was_found(model, seed):
    """Inputs at either bound in any order, with the leaks at which a potential grows."""
    rng = np.random.default_rng(seed)
    low, high = -int(rng.integers(1, 2**16)), int(rng.integers(1, 2**16))
    leaks = {
        key: float(rng.uniform(-1.5, 1.5))
        for key in ("leak", "current_leak")
        if key in static_neuron("n", T, model).parameters
    }
    neuron, x, choices = fitting(model, low, high, **leaks)
    new, _ = fitted(neuron, x, choices)
    ops = Unlimited()
    state = type("S", (), dict.fromkeys(new.definition.states, np.zeros((64, 2), np.int64)))
    for t in range(T):
        p = new.parameters_at(t, (2,), np.int64, fixed=True)
        _, state = new.definition.step_fixed(ops, state, rng.choice([low, high], (64, 2)), p)
    assert 0 < ops.most <= TOP


class Unlimited:
    """Integers without saturation, which note the largest magnitude of a state."""

    def __init__(self):
        self.ops, self.most = INTEGERS, 0

    def __getattr__(self, name):
        return getattr(self.ops, name)

    def saturate(self, state, x):
        self.most = max(self.most, int(np.abs(x).max()))
        return x


def test_spikes_are_worth_1_and_potentials_their_unit():
    for model in MODELS:
        new, worth = fitted(*fitting(model, -100, 100))
        assert worth.bias is None
        if new.definition.spikes:
            assert worth.unit.tolist() == [[1.0]] * T
        else:
            # gain 0.5 and leak 0.5 on inputs up to 1: the potential reaches 0.5, 0.75, 0.875
            assert np.log2(0.875 / worth.unit).ravel().tolist() == [STATE_BITS - 2] * T


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"leak": 9.0}, r"leak 9 at step 0 lies outside the format's range \(-8, 8\)"),
        ({"threshold": -1.0}, "threshold -1 has no integer version; it must be positive"),
        ({"threshold": np.float32([1e-6, 1.0])}, ".* the smallest would be 0 membrane units"),
        ({"gain": 1e9}, "gain 1e\\+09 at step 0 lies outside the format's range"),
        ({"bias": 1e7}, "its membrane potential can leave 24 bits at step 0"),
    ],
)
def test_what_does_not_fit_is_named(parameters, message):
    with pytest.raises(GraphError, match=f"layer 'n' \\(neuron\\): {message}"):
        fitted(*fitting("lif", -100, 100, **parameters))


@pytest.mark.parametrize("model", MODELS)
def test_inputs_that_never_come_may_be_worth_anything(model):
    new, _ = fitted(*fitting(model, 0, 0, unit=1e7, bias=0.25))
    quiet, _ = fitted(*fitting(model, 0, 0, unit=1e-3, bias=0.25))
    for key in ("threshold", "bias", "current_bias"):
        assert (key in new.parameters) == (key in quiet.parameters)
        if key in new.parameters:
            assert new.parameters[key] == quiet.parameters[key]


def test_states_have_names_in_messages():
    assert [spoken(name) for name in ("v", "i", "u", "w")] == [
        "its membrane potential",
        "its synaptic current",
        "its synaptic current",
        "its state 'w'",
    ]
