"""Leaky integrate-and-fire with leak and gain that may differ at every step (the ASNN neuron; static tables: LIF).

    v[t] = leak[t] * v[t-1] + gain[t] * x[t]   (+ bias[t])
    s[t] = 1 where v[t] > threshold[t], strictly
    v[t] = v[t] - s[t] * threshold[t]          reset by subtraction, or 0 where s[t] = 1: reset to zero

Source: ASNN, arXiv 2408.12407, and its reference code (threshold 1, reset by subtraction). In float32 the two
products and each sum are rounded separately, in this order. In integers (Loihi-style, see `fixed_point.py`):

    v = trunc(v * leak_q / 2**12) + trunc(x * gain_q / 2**gain_shift) + bias_q, saturated to 24 bits
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from asnn_deploy.ir.fixed_point import LEAK_SHIFT, STATE_BITS, saturate, truncating_shift
from asnn_deploy.ir.neurons.base import Parameter, State
from asnn_deploy.util.arrays import Array


class LIF:
    """See the module's text."""

    name = "lif"
    states: tuple[str, ...] = ("v",)
    parameters: Mapping[str, Parameter] = {
        "leak": Parameter("fraction of the membrane potential kept from one step to the next"),
        "gain": Parameter("factor on the input current"),
        "threshold": Parameter("membrane potential above which the neuron fires", 1.0),
        "bias": Parameter("added to the membrane potential at each step", 0.0),
    }
    fixed_parameters: Mapping[str, Parameter] = {
        "leak": Parameter("round(leak * 2**12)"),
        "gain": Parameter("gain mantissa: gain * input unit / membrane unit * 2**gain_shift"),
        "gain_shift": Parameter("exponent of the gain mantissa"),
        "threshold": Parameter("in membrane units"),
        "bias": Parameter("in membrane units", 0),
    }

    def step_float(self, state: State, x: Array, p: Mapping[str, Array], reset: str) -> tuple[Array, State]:
        """See NeuronModel.step_float."""
        (v,) = state
        v = p["leak"] * v + p["gain"] * x
        if "bias" in p:
            v = v + p["bias"]
        return fire(v, p["threshold"], reset)

    def step_fixed(self, state: State, x: Array, p: Mapping[str, Array], reset: str) -> tuple[Array, State]:
        """See NeuronModel.step_fixed."""
        (v,) = state
        v = truncating_shift(v * p["leak"], LEAK_SHIFT) + truncating_shift(x * p["gain"], p["gain_shift"])
        if "bias" in p:
            v = v + p["bias"]
        return fire(saturate(v, STATE_BITS), p["threshold"], reset)


def fire(v: Array, threshold: Array, reset: str) -> tuple[Array, State]:
    """Spikes where `v > threshold`, and the membrane potential after the reset; any arithmetic."""
    spikes = v > threshold
    if reset == "zero":
        return spikes, (np.where(spikes, v.dtype.type(0), v),)
    return spikes, (v - spikes * threshold,)


model = LIF()
