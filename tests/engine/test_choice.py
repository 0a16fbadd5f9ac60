"""The choice between events and dense products."""

import numpy as np

from asnn_deploy.engine import choice
from asnn_deploy.engine.choice import Choice


def test_the_choice_is_made_by_measurement(monkeypatch):
    clock = iter(np.cumsum([0, 1] + [0, 1] * 2 + [9, 11] * 3 + [5, 4] * 3).tolist())
    monkeypatch.setattr(choice, "perf_counter", lambda: next(clock))
    chosen = Choice(lambda x: None, lambda x: None)
    x = np.zeros((1, 2, 100), np.uint8)
    assert chosen.takes_events(x), "without events nothing is measured, and none cost nothing"
    x[0, :, :10] = 1
    chosen.takes_events(x)
    assert chosen.empty == 1 / 2
    assert chosen.each == (11 - 1) / 20
    assert chosen.product == 4 / 2
    assert not chosen.takes_events(x)
    x[0, :, 2:] = 0
    assert chosen.takes_events(x)
