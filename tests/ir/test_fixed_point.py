"""The integer arithmetic against Python's own integers."""

from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from asnn_deploy.ir.fixed_point import ACCUMULATOR_BITS, STATE_BITS, answer_unit, largest, saturate, truncating_shift


@given(st.integers(-(2**50), 2**50), st.integers(0, 30))
def test_truncating_shift_is_sign_magnitude(x, shift):
    magnitude = abs(x) >> shift
    assert int(truncating_shift(np.int64(x), shift)) == (-magnitude if x < 0 else magnitude)


@given(st.lists(st.integers(-(2**40), 2**40), min_size=1), st.lists(st.integers(0, 20), min_size=1))
def test_truncating_shift_by_arrays(xs, shifts):
    size = min(len(xs), len(shifts))
    got = truncating_shift(np.array(xs[:size]), np.array(shifts[:size]))
    assert got.tolist() == [int(truncating_shift(np.int64(x), s)) for x, s in zip(xs, shifts)]


@given(st.integers(-(2**40), 2**40))
def test_saturate_is_symmetric(x):
    top = 2 ** (STATE_BITS - 1) - 1
    assert largest(STATE_BITS) == top
    assert int(saturate(np.int64(x), STATE_BITS)) == max(-top, min(top, x))


@given(st.floats(1e-30, 1e3), st.lists(st.integers(-largest(ACCUMULATOR_BITS), largest(ACCUMULATOR_BITS)), min_size=1))
def test_answers_in_an_answer_unit_are_exact(least, integers):
    unit = answer_unit(least)
    assert least <= unit <= least * (1 + 2**-20)
    running, total = 0.0, 0
    for n in integers:
        if abs(total + n) > largest(ACCUMULATOR_BITS):  # what the format promises of an answer
            break
        running, total = running + n * unit, total + n
        assert Fraction(running) == total * Fraction(unit)
