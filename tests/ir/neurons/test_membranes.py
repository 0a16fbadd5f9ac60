"""Every reset, at the threshold and above it, once a step and several times: against equations for one neuron."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from membranes import CASES, FIRINGS, TOP, clamped, spelled, stepped
from neuron_steps import bits, float_step, real, whole

from asnn_deploy.errors import UnsupportedError
from asnn_deploy.ir.meaning import RESETS
from asnn_deploy.ir.neurons import MODELS, Parameters
from asnn_deploy.ir.neurons.firing import Firing
from asnn_deploy.ir.neurons.operations import FLOATS, INTEGERS

IF, LIF = MODELS["if"], MODELS["lif"]
MANY = Firing("subtract", at=True, many=True)
EXTRA = ("reset_potential", "minimum")


@st.composite
def membranes(draw, numbers, thresholds):
    """A membrane's parameters, where it begins, and what is added to it at each of a few steps; some at the threshold."""
    p = {"threshold": draw(thresholds)} | {key: draw(numbers) for key in EXTRA if draw(st.booleans())}
    close = numbers | st.sampled_from([p["threshold"], -p["threshold"], type(p["threshold"])(3) * p["threshold"]])
    return p, draw(close), draw(st.lists(close, min_size=1, max_size=4))


def assert_stepped(ops, array, integrate, drawn, firing):
    """Compare a membrane with its case, bit for bit, over all steps. integrate(v, x): the potential after an input."""
    p, v, added = drawn
    given_ = Parameters({key: array(value) for key, value in p.items()}, firing)
    for x in added:
        sent, left = ops.membrane(array(v), lambda u, x=x: integrate(u, array(x)), given_)
        expected, v = stepped(v, lambda u, x=x: integrate(u, x), p, firing)
        assert (float(sent[0]), bits(left[0])) == (float(expected), bits(v))


@pytest.mark.parametrize("firing", FIRINGS, ids=spelled)
@settings(max_examples=60)
@given(membranes(real(4), real(2).map(lambda x: abs(x) + np.float32(0.25))))
def test_floats(firing, drawn):
    half = np.float32(0.5)
    assert_stepped(FLOATS, lambda x: np.array([x], np.float32), lambda v, x: half * v + x, drawn, firing)


@pytest.mark.parametrize("firing", FIRINGS, ids=spelled)
@settings(max_examples=60)
@given(membranes(whole(-TOP, TOP), whole(1, TOP // 4)))
def test_integers(firing, drawn):
    def integrate(v, x):
        return clamped(v + x) if isinstance(v, int) else INTEGERS.saturate("v", v + x)

    assert_stepped(INTEGERS, lambda x: np.array([x], np.int64), integrate, drawn, firing)


def test_every_reset_is_asked_here():
    assert set(CASES) == set(RESETS) == {str(firing) for firing in FIRINGS}


def train(model, firing, inputs, **p):
    """The spikes of one neuron in float32, and what is left of its potential after each step."""
    state = vars(model.before(Parameters(p), np.zeros(1, np.float32), lambda v: np.array([v], np.float32)))
    p = {key: np.float32(value) for key, value in p.items()}
    spikes, left = [], []
    for x in inputs:
        sent, state = float_step(model, state, np.array([x], np.float32), p, firing)
        spikes.append(int(sent[0]))
        left.append(float(state["v"][0]))
    return spikes, left


def first(spikes):
    """The steps at which it fires."""
    return [t for t, s in enumerate(spikes) if s]


ONE = {"gain": 1, "threshold": 1}


@pytest.mark.parametrize(
    ("reset", "expected"), [("subtract", [0, 1, 1, 1, 1, 1, 1, 0]), ("zero", [0, 1, 0, 1, 0, 1, 0, 1])]
)
def test_seven_eighths_at_each_step(reset, expected):
    assert train(IF, reset, [0.875] * 8, **ONE)[0] == expected


@pytest.mark.parametrize(("at", "step"), [(False, 16), (True, 15)])
def test_sixteen_sixteenths_are_the_threshold_and_not_above_it(at, step):
    assert first(train(IF, Firing("subtract", at), [0.0625] * 20, **ONE)[0])[0] == step


@pytest.mark.parametrize(
    ("reset", "expected"), [("subtract", [13, 27, 41, 55]), ("delayed-subtract", [13, 28, 43, 58])]
)
def test_a_threshold_subtracted_a_step_later_leaks_before(reset, expected):
    assert first(train(LIF, reset, [0.21] * 60, leak=0.8, **ONE)[0]) == expected


@pytest.mark.parametrize(
    ("firing", "sent", "left"),
    [
        (MANY, 2, 0.5),
        (Firing("zero", at=True, many=True), 2, 0.0),
        (Firing("subtract"), 1, 1.5),
        (Firing("zero"), 1, 0.0),
        (Firing("none"), 1, 2.5),
        (Firing("delayed-subtract"), 1, 2.5),
        (Firing("early-subtract"), 0, 2.5),
        (Firing("leftover-subtract"), 1, 1.5),
    ],
    ids=str,
)
def test_two_and_a_half_thresholds_in_one_step(firing, sent, left):
    assert train(IF, firing, [2.5], **ONE) == ([sent], [left])


def test_a_lower_bound_forgets_what_lies_below_it():
    assert train(IF, MANY, [-3, 2], minimum=-1, **ONE)[1] == [-1.0, 0.0]
    assert train(IF, "subtract", [-3, 2], minimum=-1, **ONE) == ([0, 0], [-1.0, 1.0])


@pytest.mark.parametrize(("at", "expected"), [(False, [0, 0]), (True, [0, 1])])
def test_two_halves_make_a_threshold(at, expected):
    assert train(IF, Firing("subtract", at), [0.5, 0.5], **ONE)[0] == expected


def test_a_rest_above_the_threshold_fires_without_input():
    """A rest of 1.2, a threshold of 1, a time constant of 100 steps: after 179 of them."""
    spikes, _ = train(MODELS["relaxing-lif"], "subtract", [0.0] * 200, rate=0.01, rest=1.2, threshold=1)
    assert first(spikes)[0] == 178


@pytest.mark.parametrize(("reset", "left"), [("zero", 0.25), ("delayed-zero", 2.0)])
def test_a_reset_leads_to_its_potential(reset, left):
    assert train(IF, reset, [2], reset_potential=0.25, **ONE) == ([1], [left])
    assert train(IF, reset, [2, 0], reset_potential=0.25, **ONE)[1][1] == 0.25


def test_it_begins_where_it_is_told():
    assert train(IF, "subtract", [0.5], initial=0.75, **ONE) == ([1], [0.25])
    assert train(IF, "early-subtract", [0.5], initial=1.25, **ONE) == ([1], [0.75])


@pytest.mark.parametrize("firing", [f for f in FIRINGS if not f.plain or f not in ("subtract", "zero")], ids=spelled)
def test_a_model_that_only_calls_fire_is_told_to_call_membrane(firing):
    for ops in (FLOATS, INTEGERS):
        with pytest.raises(UnsupportedError, match="its step is to call `membrane`"):
            ops.fire(np.zeros(1, np.float32), 1, firing)
