"""The roundings that the integer formats allow, at their borders."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from membranes import TOP

from asnn_deploy.ir.neurons.quantizing import OutOfRange, Quantizing, TooFine

WORD, MANTISSA = 2**31 - 1, 2**15 - 1


def arriving(low=-1, high=1, unit=1.0, units=1.0, bias=0.0, exact=True):
    """One channel over two steps."""
    wide = [np.full((2, 1), float(value)) for value in (units, low, high, bias)]
    return Quantizing(*wide, unit=unit, exact=exact)


@given(st.floats(-7.9998, 7.9998))
def test_a_leak_is_rounded_to_4096ths_halves_to_even(leak):
    assert arriving().fraction("leak", np.array([leak])).tolist() == [round(leak * 4096)]


@pytest.mark.parametrize("sign", [1, -1])
def test_a_leak_beyond_its_bits_is_named_with_its_step(sign):
    assert arriving().fraction("leak", sign * np.array([[0.5], [MANTISSA / 4096]])).tolist() == [
        [sign * 2048],
        [sign * MANTISSA],
    ]
    with pytest.raises(OutOfRange, match=f"leak {8 * sign} at step 1 .* magnitudes up to 7.9998 fit"):
        arriving().fraction("leak", sign * np.array([[0.5], [8.0]]))


@given(
    st.lists(st.floats(2.0**-40, 2.0**15 - 1) | st.just(0.0), min_size=2, max_size=2),
    st.sampled_from([1, -1]),
    st.integers(1, WORD),
)
def test_mantissas_have_the_largest_shift_that_fits(sizes, sign, reach):
    factors = sign * np.array(sizes).reshape(2, 1)
    x = arriving(-reach, 0)
    try:
        mantissas, shifts = x.mantissas("gain", factors, x.low, x.high)
    except TooFine:
        assert any(max(size, round(size)) > min(MANTISSA, WORD / reach) for size in sizes)
        return

    def fit(factor, shift):
        mantissa = abs(round(float(factor) * 2.0**shift))
        return mantissa <= MANTISSA and mantissa * reach <= WORD

    for (factor,), (mantissa,), shift in zip(factors, mantissas, shifts):
        assert 0 <= shift <= 30
        assert mantissa == round(float(factor) * 2.0**shift)
        assert fit(factor, shift)
        unrounded = abs(factor) * 2.0 ** (shift + 1)
        assert factor == 0 or shift == 30 or unrounded > min(MANTISSA, WORD / reach) or not fit(factor, shift + 1)


def test_factors_that_do_not_fit_without_a_shift_are_too_fine():
    for factor, reach in ((MANTISSA, WORD // MANTISSA), (1, WORD)):
        x = arriving(-reach, reach)
        mantissas, shifts = x.mantissas("gain", np.full((2, 1), float(factor)), x.low, x.high)
        assert (mantissas.ravel().tolist(), shifts.tolist()) == ([factor] * 2, [0, 0])
        for worse in (arriving(-2 * reach, 0), arriving(0, 2 * reach)):
            with pytest.raises(TooFine):
                worse.mantissas("gain", np.full((2, 1), float(factor)), worse.low, worse.high)
    x = arriving()
    with pytest.raises(TooFine):
        x.mantissas("gain", np.full((2, 1), MANTISSA + 1.0), x.low, x.high)


def test_what_never_arrives_needs_no_room():
    """One channel hears nothing: its factor may be anything, and takes no digits from the others."""
    x = arriving()
    reach = np.array([[0.0, 100.0], [0.0, 0.0]])
    mantissas, shifts = x.mantissas("gain", np.array([[1e9, 3.0], [1e9, -1e9]]), -reach, reach)
    assert mantissas.tolist() == [[3 * 2**13] * 2, [MANTISSA, -MANTISSA]]
    assert shifts.tolist() == [13, 0]
    mantissas, _ = x.mantissas("gain", np.array([[5.0, 3.0], [5.0, 3.0]]), -reach, reach)
    assert mantissas.tolist() == [[5 * 2**12, 3 * 2**12]] * 2, "what fits is left as it is, the same at all steps"


def test_looking_how_far_it_would_go_rounds_and_refuses_nothing():
    x = arriving(-4, 4, exact=False)
    factors = np.array([[2.0**20], [0.3]])
    found, shifts = x.mantissas("gain", factors, x.low, x.high)
    assert found.tolist() == factors.tolist()
    assert not shifts.any()
    assert x.rooms["gain"] == pytest.approx([MANTISSA / 2**20, min(MANTISSA / 0.3, WORD / 1.2)])
    assert x.threshold(np.array([2.0**30])).tolist() == [2.0**30]


def test_whole_numbers_of_a_state():
    x = arriving(unit=0.5)
    assert x.whole(np.array([0.5, 1.5, -2.5, TOP])).tolist() == [0, 2, -2, TOP]
    for beyond in (TOP + 1.0, -TOP - 1.0):
        with pytest.raises(TooFine):
            x.whole(np.array([0.0, beyond]))


def test_a_threshold_is_at_least_one_unit():
    x = arriving(unit=0.25)
    assert x.threshold(np.array([[0.25], [8.0]])).tolist() == [[1], [32]]
    assert x.threshold(np.array([[0.13]])).tolist() == [[1]]
    with pytest.raises(TooFine):
        x.threshold(np.array([[0.125], [8.0]]))


@given(st.floats(-2, 2), st.floats(-2, 2), st.floats(0.001, 1), st.floats(-3, 3))
def test_what_arrives_on_top_goes_through_the_gain_into_the_bias(gain, bias, units, above):
    x = arriving(-100, 100, unit=2.0**-10, units=units, bias=above)
    found = x.drive(np.full((2, 1), gain), np.full((2, 1), bias))
    assert found["bias"].tolist() == np.rint((gain * x.bias + bias) * 1024).tolist()
    worth = found["gain"].ravel() * 2.0 ** -found["gain_shift"]
    assert (np.abs(worth - gain * units * 1024) <= 2.0 ** -found["gain_shift"] / 2).all()


@given(st.just(0.0) | st.floats(-1e6, -1e-6), st.just(0.0) | st.floats(1e-6, 1e6))
def test_the_unit_of_an_inner_state_makes_it_16_bits_wide(low, high):
    unit = arriving().unit_for(np.array([low]), np.array([high]))
    reach = max(-low, high)
    assert unit > 0
    assert math.isclose(reach / unit, MANTISSA, rel_tol=1e-12) if reach else unit == 1 / MANTISSA
