"""Each operation in intervals: it holds what the operation makes of any members, and its ends are reached."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from membranes import DRAWN, FIRINGS, TOP, spelled
from neuron_steps import EIGHTHS, MANTISSA, RESETS, SHIFT, SMALL, assert_bounds_hold, runs, whole, within

from asnn_deploy.ir.neurons import MODELS
from asnn_deploy.ir.neurons.bounds import ENDLESS, Interval, Intervals
from asnn_deploy.ir.neurons.operations import INTEGERS

WORD = whole(1 - 2**31, 2**31 - 1)
HALF = 2**23
PROVED = [True, False]


@st.composite
def members(draw, elements=WORD):
    """An interval, and integers of it, both ends among them."""
    low, high = sorted(draw(st.tuples(elements, elements)))
    inner = draw(st.lists(st.integers(low, high), max_size=5))
    return Interval(np.array([float(low)]), np.array([float(high)])), np.array([low, *inner, high])


def intervals(proved=True, whole=True):
    noted = {}
    return Intervals(lambda name, low, high: noted.update({name: (low, high)}), whole, proved), noted


def assert_tight(found, values):
    """All values inside, and both ends among them."""
    assert (float(found.low.min()), float(found.high.max())) == (values.min(), values.max())


@given(members(), members(), MANTISSA, SHIFT)
def test_sums_and_products(a, b, factor, shift):
    ops, noted = intervals()
    (x, xs), (y, ys) = a, b
    assert_tight(ops.add(x, y), (xs[:, None] + ys).ravel())
    assert_tight(ops.add(x, np.array([float(factor)])), xs + factor)
    assert_tight(ops.mul(factor, x), factor * xs)
    assert_tight(ops.decay(factor, x), INTEGERS.decay(factor, xs))
    assert_tight(ops.scale(factor, shift, x), INTEGERS.scale(factor, shift, xs))
    assert noted["product"] == ((factor * xs).min(), (factor * xs).max())
    assert_tight(ops.align(x, 6), xs * 64)


def test_growth_is_followed_to_an_end():
    ops, _ = intervals()
    x = Interval(np.array([-ENDLESS]), np.array([ENDLESS]))
    assert_tight(ops.add(x, x), np.array([-ENDLESS, ENDLESS]))


@given(members())
def test_a_state_that_saturates(given_):
    x, xs = given_
    ops, noted = intervals(proved=False)
    assert_tight(ops.saturate("v", x), INTEGERS.saturate("v", xs))
    assert noted["v"] == (xs.min(), xs.max()), "what a register would have to hold is said all the same"
    proof, noted = intervals(proved=True)
    assert_tight(proof.saturate("v", x), xs)
    assert noted["v"] == (xs.min(), xs.max())


@given(members(whole(-4 * HALF, 4 * HALF)) | members())
def test_a_state_that_wraps(given_):
    """Once a step: what was more than a turn away is still outside."""
    x, xs = given_
    ops, noted = intervals(proved=False)
    assert within(INTEGERS.wrap("u", xs), ops.wrap("u", x))
    assert noted["u"] == (xs.min(), xs.max())


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (1 - HALF, HALF, (1 - HALF, HALF)),
        (-HALF, 0, (1 - HALF, HALF)),
        (0, HALF + 1, (1 - HALF, HALF)),
        (0, 4 * HALF, (1 - HALF, 2 * HALF)),
    ],
)
def test_the_ends_of_what_wraps(low, high, expected):
    found = intervals(proved=False)[0].wrap("u", Interval(np.array([float(low)]), np.array([float(high)])))
    assert (found.low.tolist(), found.high.tolist()) == ([expected[0]], [expected[1]])


@given(members(whole(-2 * TOP, 2 * TOP)), whole(1, TOP), RESETS)
def test_firing(given_, threshold, reset):
    x, xs = given_
    ops, _ = intervals()
    xs = np.unique([*xs, *(n for n in (threshold, threshold + 1) if x.low <= n <= x.high)])
    spikes, left = INTEGERS.fire(xs, threshold, reset)
    bound, rest = ops.fire(x, np.array([float(threshold)]), reset)
    assert_tight(bound, spikes.astype(int))
    assert within(left, rest)
    most = max(threshold, xs.max() - threshold) if reset == "subtract" else threshold
    if not spikes.any():
        assert_tight(rest, xs)
    elif spikes.all():
        assert_tight(rest, left)
    else:
        assert float(rest.high.max()) == most, "what stays below or at the threshold, or goes beyond it by as much"
        assert float(rest.low.min()) == min(xs.min(), 1 if reset == "subtract" else 0)


@given(st.floats(-4, 4), st.floats(-4, 4), st.floats(0.125, 2), RESETS)
def test_firing_in_reals_leaves_next_to_nothing_at_least(a, b, threshold, reset):
    low, high = sorted((a, b))
    ops, _ = intervals(whole=False)
    _, rest = ops.fire(Interval(np.array([low]), np.array([high])), np.array([threshold]), reset)
    for v in (low, high, min(max(np.nextafter(threshold, 9), low), high), min(max(threshold, low), high)):
        left = v if v <= threshold else 0.0 if reset == "zero" else v - threshold
        assert rest.low <= left <= rest.high


@pytest.mark.parametrize("numbers", [EIGHTHS, SMALL], ids=["reals", "integers"])
@pytest.mark.parametrize("name", [name for name in MODELS if MODELS[name].real])
@settings(max_examples=60)
@given(data=st.data(), firing=DRAWN)
def test_a_neurons_bounds_hold_what_it_reaches(name, numbers, data, firing):
    assert_bounds_hold(MODELS[name], data.draw(runs(MODELS[name], numbers)), firing)


@pytest.mark.parametrize("numbers", [EIGHTHS, SMALL], ids=["reals", "integers"])
@pytest.mark.parametrize("firing", FIRINGS, ids=spelled)
@settings(max_examples=40)
@given(data=st.data())
def test_bounds_hold_whatever_the_reset(firing, numbers, data):
    model = MODELS[data.draw(st.sampled_from(["lif", "if"]))]
    assert_bounds_hold(model, data.draw(runs(model, numbers)), firing)
