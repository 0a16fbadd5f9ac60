"""How a membrane fires and resets, case by case, in the plain numbers of one neuron: Python's integers or float32.

Written out from `asnn_deploy/ir/meaning.py`; every product and every sum of floats is rounded by itself.
"""

import numpy as np
from hypothesis import strategies as st

from asnn_deploy.ir.meaning import RESETS
from asnn_deploy.ir.neurons.firing import IMMEDIATE, Firing

TOP = 2**23 - 1
"""The largest integer of a state."""
FIRINGS = [
    *(Firing(reset, at) for reset in RESETS for at in (False, True)),
    *(Firing(reset, True, True) for reset in IMMEDIATE),
]
"""Every reset, above the threshold and at it; several spikes in a step where there may be several."""
DRAWN = st.sampled_from(FIRINGS)


def clamped(x):
    """An integer as a state of 24 bits holds it."""
    return max(-TOP, min(TOP, x))


def spelled(firing):
    """A firing in words, for the names of tests."""
    return f"{firing} {'at' if firing.at else 'above'} {'many' if firing.many else 'one'}"


def stepped(v, integrate, p, firing):
    """What a membrane sends and what is left of v; p: threshold, perhaps reset_potential and minimum.

    integrate: makes the potential before the comparison of the one before the step.
    """
    sent, left = CASES[firing](v, integrate, p, firing)
    return sent, left if "minimum" not in p else bounded(left, p["minimum"])


def fires(v, p, firing):
    """Whether a potential fires."""
    return bool(v >= p["threshold"]) if firing.at else bool(v > p["threshold"])


def times(v, p):
    """How many thresholds fit into a potential."""
    if v <= 0:
        return 0
    return v // p["threshold"] if isinstance(v, int) else int(np.float32(v / p["threshold"]))


def bounded(v, minimum):
    """A potential that may not fall below its lower bound: floats as Sinabs rounds it."""
    if isinstance(v, int):
        return max(v, minimum)
    above = v - minimum
    return (above if above > 0 else np.float32(0)) + minimum


def less(v, p, spikes=1):
    """A potential, less its threshold for each spike."""
    return v - spikes * p["threshold"] if isinstance(v, int) else v - np.float32(spikes) * p["threshold"]


def held(v):
    """What is left of a reset that follows an input: its register saturates."""
    return clamped(v) if isinstance(v, int) else v


def subtract(v, integrate, p, firing):
    v = integrate(v)
    if firing.many:
        return times(v, p), less(v, p, times(v, p))
    return (1, less(v, p)) if fires(v, p, firing) else (0, v)


def zero(v, integrate, p, firing):
    v = integrate(v)
    sent = times(v, p) if firing.many else int(fires(v, p, firing))
    return sent, p.get("reset_potential", type(v)(0)) if sent else v


def delayed_subtract(v, integrate, p, firing):
    after = held(less(integrate(v), p)) if fires(v, p, firing) else held(integrate(v))
    return int(fires(after, p, firing)), after


def delayed_zero(v, integrate, p, firing):
    after = p.get("reset_potential", type(v)(0)) if fires(v, p, firing) else integrate(v)
    return int(fires(after, p, firing)), after


def leftover_subtract(v, integrate, p, firing):
    sent, after = delayed_subtract(v, integrate, p, firing)
    if sent and not fires(v, p, firing):
        return sent, held(less(after, p))
    if fires(v, p, firing) and not sent:  # it is given back, since nothing fired that it could be taken for
        return sent, held(less(after, p, -1))
    return sent, after


def early_subtract(v, integrate, p, firing):
    after = held(less(integrate(v), p)) if fires(v, p, firing) else held(integrate(v))
    return int(fires(v, p, firing)), after


def none(v, integrate, p, firing):
    v = integrate(v)
    return int(fires(v, p, firing)), v


def relaxed(p, v, x):
    """A potential that relaxes, after a step's input; divided by a time constant instead of times a rate, and with a gain or not."""

    def share(way):
        return way / p["steps"] if "steps" in p else p["rate"] * way

    if "gain" not in p:
        return v + share(x - v if "rest" not in p else (p["rest"] - v) + x)
    lost = share(v if "rest" not in p else v - p["rest"])
    return (v - lost) + p["gain"] * x


CASES = {
    "subtract": subtract,
    "zero": zero,
    "delayed-subtract": delayed_subtract,
    "delayed-zero": delayed_zero,
    "leftover-subtract": leftover_subtract,
    "early-subtract": early_subtract,
    "none": none,
}
