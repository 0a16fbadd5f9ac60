"""The operations that neurons are written in, against plain numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from membranes import TOP, clamped
from neuron_steps import MANTISSA, RESETS, SHIFT, fired, real, truncated, whole

from asnn_deploy.ir.neurons.operations import FLOATS, INTEGERS

WORD = whole(1 - 2**31, 2**31 - 1)
HALF = 2**23


@given(real(8), real(8))
def test_floats_round_each_result_by_itself(a, b):
    x, y = np.array([a]), np.array([b])
    assert FLOATS.add(x, y).tobytes() == np.float32(np.float64(a) + np.float64(b)).tobytes()
    assert FLOATS.mul(x, y).tobytes() == np.float32(np.float64(a) * np.float64(b)).tobytes()


@given(real(8), real(4).map(lambda x: abs(x) + np.float32(0.125)), RESETS)
def test_firing_in_floats(v, threshold, reset):
    spike, left = FLOATS.fire(np.array([v]), threshold, reset)
    expected, rest = fired(v, threshold, reset)
    assert (bool(spike[0]), left.dtype, left.tobytes()) == (expected, np.float32, np.float32(rest).tobytes())


@given(WORD, MANTISSA, SHIFT)
def test_products_of_integers_are_truncated_towards_zero(x, factor, shift):
    number = np.array([x])
    assert INTEGERS.scale(np.int64(factor), np.int64(shift), number).tolist() == [truncated(x * factor, shift)]
    assert INTEGERS.decay(np.int64(factor), number).tolist() == [truncated(x * factor, 12)]
    assert INTEGERS.align(number, 6).tolist() == [x * 64]
    assert INTEGERS.add(number, np.int64(factor)).tolist() == [x + factor]


@given(WORD)
def test_a_state_saturates_at_both_ends(x):
    assert INTEGERS.saturate("v", np.array([x])).tolist() == [clamped(x)]


@given(whole(-HALF + 1, HALF), st.integers(-1, 1))
def test_what_leaves_a_register_comes_in_at_the_other_end(inside, turns):
    assert INTEGERS.wrap("u", np.array([inside + turns * 2 * HALF])).tolist() == [inside]


@pytest.mark.parametrize(
    ("x", "left"), [(HALF, HALF), (HALF + 1, 1 - HALF), (1 - HALF, 1 - HALF), (-HALF, HALF), (4 * HALF, 2 * HALF)]
)
def test_it_wraps_once_and_only_beyond_its_ends(x, left):
    assert INTEGERS.wrap("u", np.array([x])).tolist() == [left]


@given(whole(-TOP, TOP), whole(1, TOP), RESETS)
def test_firing_in_integers(v, threshold, reset):
    spike, left = INTEGERS.fire(np.array([v]), np.int64(threshold), reset)
    assert (bool(spike[0]), int(left[0])) == fired(v, threshold, reset)
