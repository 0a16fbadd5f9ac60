"""Neurons of NIR files by explicit rules, and how long float32 holds their numbers; for tests/naive_nir.py.

They fire and reset as conformance/neurons.py, which was measured against the tools; how their input enters is written
from docs/other-tools.md. Nothing of asnn-deploy is imported. Numbers are float64.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from neurons import Array, Neuron

SPIKING = ("IF", "LIF", "CubaLIF", "Threshold")
STATEFUL = ("IF", "LIF", "CubaLIF", "I", "LI", "CubaLI")
MEANT_ONE = 2.0**-21
BITS = 24
"""Of float32's significand."""
WORDS = {"leftover-subtract": "subtract, left over", "early-subtract": "subtract"}
"""conformance/neurons.py's words for a reset, if not ours."""


class Precision:
    """Whether float32 held every number so far, in whatever order it was summed, and how large the largest is."""

    def __init__(self) -> None:
        self.exact, self.largest = True, 0.0

    def note(self, *products: tuple[Any, Any], terms: int = 1) -> None:
        """Note a sum of products, each of them of so many terms."""
        total = sum(float(np.abs(a).max() * np.abs(b).max()) * terms for a, b in products)
        self.largest = max(self.largest, total)
        self.exact = self.exact and total <= 2.0**BITS * min(grid(a) * grid(b) for a, b in products)


def grid(values: Any) -> float:
    """The largest power of two that all values are multiples of; infinity for zeros."""
    found = np.abs(np.asarray(values, np.float64)).ravel()
    mantissa, exponent = np.frexp(found[found > 0])
    whole = (mantissa * 2**53).astype(np.int64)
    return float(np.min((whole & -whole) * 2.0 ** (exponent - 53), initial=np.inf))


def one(gain: Any) -> Array:
    """A gain; 1 if it is that up to the roundings of an exporter."""
    return np.where(np.abs(gain - 1) < MEANT_ONE, 1.0, gain)


class Cell(Neuron):
    """A node with a state. params: one number each, or arrays that meet `shape`; rules: as in naive_nir.py."""

    def __init__(
        self, kind: str, params: dict[str, Array], rules: dict[str, Any], looped: bool, shape: tuple[int, ...]
    ):
        self.kind, self.update, self.shape, self.seen = kind, rules["update"], shape, Precision()
        self.dt, self.exponential = float(np.float32(rules["dt"])), rules["integration"] == "exponential"
        self.times_dt, self.spiking = rules["taus"] == "times dt", kind in SPIKING
        usual = {"r": 1.0, "w_in": 1.0, "v_leak": 0.0, "v_reset": 0.0, "v_threshold": 0.0}
        p = {key: np.asarray(value, np.float64) for key, value in (usual | params).items()}
        self.r, self.w_in, self.v_leak, self.v_reset, self.threshold = (p[key] for key in usual)
        self.tau, self.tau_syn = p.get("tau", p.get("tau_mem")), p.get("tau_syn")
        reset = rules["feedback_reset"] if rules["feedback_reset"] and (looped or kind == "CubaLIF") else rules["reset"]
        self.rule = {key: rules[key] for key in ("fires", "spikes")} | {
            "reset": WORDS.get(reset, reset),
            "decides": "before the input" if reset == "early-subtract" else "after it",
            "starts": {"zero": None, "leak": "v_leak", "reset": "v_reset"}[rules["start"]],
            "lower_bound": rules["minimum"],
        }
        self.syn_leak = None  # whether there is a current makes no difference to the reset
        self.start(1)

    def decay(self, tau: Array) -> tuple[Array, Array]:
        """What a step leaves, and what it takes."""
        steps = tau / self.dt / self.dt if self.times_dt else tau / self.dt
        leak = np.exp(-1 / steps) if self.exponential else 1 - 1 / steps
        return leak, 1 - leak

    def current(self, x: Array) -> Array:
        """The synaptic current that drives the membrane; what has none is driven by its input."""
        if self.tau_syn is None:
            return x
        a, taken = self.decay(self.tau_syn)
        i = self.state["i"]
        jumps = one(self.w_in * taken)
        if self.update in ("unit", "decaying"):
            jumps = np.ones(())
        elif self.update == "added":
            jumps = self.w_in
        elif self.update in ("relaxing", "dividing"):  # Norse writes 1, SpikingJelly tau_syn / dt, for the same
            jumps = np.where(jumps == 1, 1.0, self.w_in)
        self.seen.note((a, i), (taken, i), (jumps, x), (a, x), (1, x), (1, i))
        self.state["i"] = a * (i + x) if self.update == "decaying" else a * i + jumps * x
        return self.state["i"]

    def charge(self, v: Array, x: Array) -> Array:
        """The membrane potential after leak and input, before any reset."""
        leak, taken = (np.ones(()), np.zeros(())) if self.tau is None else self.decay(self.tau)
        share = taken if self.tau is not None else 1.0 if self.times_dt else self.dt
        gain = one(self.r * share)
        if self.update in ("unit", "decaying"):
            gain = leak if self.kind == "LI" and self.update == "decaying" else np.ones(())
        elif self.update == "added":
            gain = one(self.r)
        held = [(1, n) for n in (v, x, self.v_leak, self.v_reset, self.threshold, self.rule["lower_bound"] or 0.0)]
        self.seen.note((leak, v), (taken, v), (gain, x), (taken, self.v_leak), *held)
        return leak * v + gain * x + taken * self.v_leak

    def step(self, x: Array, emitted: Array | None) -> tuple[Array, Array]:
        self.margin = np.inf
        if self.spiking:
            self.state["s"] = super().fires(self.state["v"])  # computed again, not remembered: snnTorch
        return super().step(x, emitted)

    def fires(self, v: Array) -> Array:
        self.note_margin(v)
        return super().fires(v)
