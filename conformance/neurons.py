"""The tools' neurons as plain NumPy loops in float32: what an importer has to reproduce.

A `Neuron` is one spiking (or integrating) node of a NIR file, read by the rule of its case. It is independent of the
tools and of asnn-deploy. `arithmetic="rule"` computes with a leak and a gain (`v = b v + g x`); `"tool"` repeats the
order of operations that the tool's source has, where that order is another one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

f32 = np.float32
Array = np.ndarray[Any, Any]


@dataclass
class Neuron:
    """One node: `params` as the file has them, `rule` the words of case.json, `shape` of one sample."""

    params: dict[str, Array]
    rule: dict[str, Any]
    shape: tuple[int, ...]
    arithmetic: str = "tool"
    state: dict[str, Array] = field(default_factory=dict)
    margin: float = np.inf

    def __post_init__(self) -> None:
        self.dt = float(self.rule["dt"])
        self.spiking = "v_threshold" in self.params
        self.threshold = self.get("v_threshold") if self.spiking else f32(np.inf)
        self.v_reset = self.get("v_reset") if "v_reset" in self.params else f32(0)
        self.v_leak = self.get("v_leak") if "v_leak" in self.params else f32(0)
        tau = self.params.get("tau", self.params.get("tau_mem"))
        self.leak, self.gain = (f32(1), f32(1)) if tau is None else self.decay(tau)
        self.syn_leak = self.decay(self.params["tau_syn"])[0] if "tau_syn" in self.params else None
        self.keep = None if tau is None else self.steps(tau)

    def get(self, name: str) -> Array:
        return np.asarray(self.params[name], f32)

    def steps(self, tau: Array) -> Array:
        """Return the time constant in steps, in float64. Norse's exporter multiplies its seconds by dt once more."""
        steps = np.asarray(tau, np.float64) / self.dt
        return steps / self.dt if self.rule["from"] == "norse" else steps

    def decay(self, tau: Array) -> tuple[Array, Array]:
        """Return leak and gain of a step as float32, computed in float64 from the file's numbers."""
        steps = self.steps(tau)
        leak = np.exp(-1 / steps) if self.rule["integration"] == "exponential" else 1 - 1 / steps
        gain = 1 - leak if self.rule.get("input") == "scaled" else np.ones_like(leak)
        return leak.astype(f32), gain.astype(f32)

    def fires(self, v: Array) -> Array:
        """Return how many spikes the potentials `v` make."""
        th = self.threshold
        over = v >= th if self.rule["fires"] == "at" else v > th
        if self.rule["spikes"] == "many":
            return np.where(over, np.floor(v / th), f32(0)).astype(f32)
        return over.astype(f32)

    def current(self, x: Array) -> Array:
        """Advance the synaptic current, where there is one; return what reaches the membrane."""
        if self.syn_leak is None:
            return x
        order, a, i = self.rule["current"], self.syn_leak, self.state["i"]
        if order == "add, use, decay":
            i = i + x
            k = (1 / self.steps(self.params["tau_syn"])).astype(f32)
            self.state["i"] = i - k * i if self.arithmetic == "tool" else a * i
            return i
        self.state["i"] = (i + x) * a if order == "add, decay, use" else a * i + x
        return self.state["i"]

    def charge(self, v: Array, x: Array) -> Array:
        """Return the potential after leak and input, before any reset."""
        if self.keep is None:
            return v + x
        own = self.arithmetic == "tool" and self.rule["integration"] == "euler"
        source = self.rule["from"] if own else ""
        if source == "norse":
            k = (1 / self.keep).astype(f32)
            return v + k * ((self.v_leak - v) + x if self.syn_leak is not None else (x + self.v_leak) - v)
        if source == "spikingjelly" and self.rule.get("division") == "reciprocal":
            q = (1 / self.keep).astype(f32)
            v0 = v - self.v_reset
            return v + (x - v0) * q if self.rule.get("input") == "scaled" else v - v0 * q + x
        if source == "spikingjelly" and self.syn_leak is None:
            tau, v0 = self.keep.astype(f32), v - self.v_reset
            return v + (x - v0) / tau if self.rule.get("input") == "scaled" else v - v0 / tau + x
        rest = (1 - self.leak) * self.v_leak
        return self.leak * v + self.gain * x + rest

    def start(self, batch: int) -> None:
        at_rest = self.v_leak if self.rule.get("starts") == "v_leak" else self.v_reset
        at_rest = at_rest if self.rule.get("starts") else f32(0)
        zeros = np.zeros((batch, *self.shape), f32)
        self.state = {"v": zeros + at_rest, "i": zeros.copy(), "s": zeros.copy()}

    def emit(self) -> Array | None:
        """Return this step's spikes where the rule decides them before the step's input, else None."""
        if not self.spiking or self.rule.get("decides") != "before the input":
            return None
        return self.fires(self.state["v"])

    def step(self, x: Array, emitted: Array | None) -> tuple[Array, Array]:
        """Return spikes and the potential that the tool reports, both [B, ...]; without a threshold v twice."""
        s = self.state
        x = self.current(x)
        if not self.spiking:
            s["v"] = (s["v"] + x) * self.leak if self.rule.get("leaks") == "input too" else self.charge(s["v"], x)
            return s["v"], s["v"]
        reset, th, charged = self.rule["reset"], self.threshold, s["v"]
        if emitted is not None:
            spikes = emitted
            if reset == "zero":
                v = self.charge(np.where(spikes > 0, self.v_reset, s["v"]), x)
            elif self.syn_leak is not None:
                v = self.charge(s["v"] - spikes * th, x)
            else:
                v = self.charge(s["v"], x) - spikes * th
            self.note_margin(v)
        elif reset == "none":
            v = self.charge(s["v"], x)
            spikes = self.fires(v)
        elif reset == "subtract, left over":
            left = self.fires(s["v"])
            v = self.charge(s["v"], x) - left * th
            spikes = self.fires(v)
            self.note_margin(v)
            v = v - (spikes - left) * th
            self.note_margin(v)
        elif reset.startswith("delayed"):
            v = self.charge(s["v"], x)
            v = v - s["s"] * th if reset == "delayed-subtract" else np.where(s["s"] > 0, self.v_reset, v)
            self.note_margin(v)
            spikes = self.fires(v)
        else:
            v = self.charge(s["v"], x)
            self.note_margin(v)
            spikes = self.fires(v)
            charged = v
            v = v - spikes * th if reset == "subtract" else np.where(spikes > 0, self.v_reset, v)
        bound = self.rule.get("lower_bound")
        if bound is not None:
            v = np.maximum(v - f32(bound), 0) + f32(bound)
        s["v"], s["s"] = v.astype(f32), spikes
        return spikes, charged if self.rule.get("reported") == "charged" else s["v"]

    def note_margin(self, v: Array) -> None:
        """Remember how near a potential came to a threshold (several spikes: to a multiple of it)."""
        gap = np.abs(v - self.threshold)
        if self.rule["spikes"] == "many":
            multiples = np.maximum(np.round(v / self.threshold), 1)
            gap = np.abs(v - multiples * self.threshold)
        self.margin = min(self.margin, float(gap.min()))
