"""The choice between events and dense products."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asnn_deploy.engine import choice
from asnn_deploy.engine.choice import Choice


def test_the_choice_is_made_by_measurement(monkeypatch):
    clock = iter(np.cumsum([0, 1] + [0, 1] * 2 + [9, 11] * 3 + [5, 4] * 3).tolist())
    monkeypatch.setattr(choice, "perf_counter", lambda: next(clock))
    chosen = Choice()

    def takes_events(x):
        return chosen.takes_events(x, lambda x: None, lambda x: None)

    x = np.zeros((1, 2, 100), np.uint8)
    assert takes_events(x), "without events nothing is measured, and none cost nothing"
    x[0, :, :10] = 1
    takes_events(x)
    assert chosen.empty == 1 / 2
    assert chosen.each == (11 - 1) / 20
    assert chosen.product == 4 / 2
    assert not takes_events(x)
    x[0, :, 2:] = 0
    assert takes_events(x)


@given(*(st.integers(0, 50),) * 3, *(st.integers(1, 8),) * 3, st.integers(1, 40), st.integers(0, 40))
def test_the_faster_way_is_taken_for_any_input(empty, each, product, steps, samples, other, first, later):
    """Work that takes the time that it is said to take: the clock is moved by nothing else."""
    now = [0]

    def worked(seconds):
        now[0] += seconds

    def events(x):
        worked(empty * x.shape[0] * x.shape[1] + each * np.count_nonzero(x))

    def dense(x):
        worked(product * x.shape[0] * x.shape[1])

    def inputs(steps, samples, count):
        x = np.zeros((steps, samples, 40), np.uint8)
        x.reshape(-1)[:count] = 1
        return x

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(choice, "perf_counter", lambda: now[0])
        chosen = Choice()
        chosen.takes_events(inputs(steps, samples, first), events, dense)
        x = inputs(steps, other, later)
        taken = chosen.takes_events(x, events, dense)
        before = now[0]
        events(x)
        by_events, by_product = now[0] - before, product * steps * other
    if not np.isclose(by_events, by_product):  # equals may be rounded either way
        assert taken == (by_events < by_product)


def test_the_first_trial_may_be_slow():
    """It may compile."""
    times = iter([0, 100, 0, 7, 0, 9])
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(choice, "perf_counter", lambda: next(times))
        assert choice.best(lambda x: None, np.zeros(0)) == 7
