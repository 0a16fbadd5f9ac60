"""Leaky integrate-and-fire with leak and gain that may differ at every step (the ASNN neuron; static tables: LIF).

    v[t] = leak[t] * v[t-1] + gain[t] * x[t]   (+ bias[t])
    s[t] = 1 where v[t] > threshold[t], strictly
    v[t] = v[t] - s[t] * threshold[t]          reset by subtraction, or 0 where s[t] = 1: reset to zero

Networks of other tools reset otherwise, fire at their threshold or several times in a step, have a lower bound, or
begin elsewhere than at 0: see `ir/meaning.py` and `operations.Membranes`.

`leak` is the fraction that is *kept*. Source: ASNN, arXiv 2408.12407, and its reference code (threshold 1, reset by
subtraction, leak and gain 0.5 before training). In integers (Loihi-style, see `fixed_point.py`):

    v = trunc(v * leak / 2**12) + trunc(x * gain / 2**gain_shift) + bias, saturated to 24 bits
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from asnn_deploy.ir.fixed_point import GAIN_BITS, LEAK_BITS, STATE_BITS
from asnn_deploy.ir.meaning import RESETS
from asnn_deploy.ir.neurons.base import NeuronModel, Parameter, State
from asnn_deploy.ir.neurons.operations import Operations
from asnn_deploy.ir.neurons.quantizing import Quantizing
from asnn_deploy.util.arrays import Array


class LIF(NeuronModel):
    """See the module's text."""

    resets = tuple(RESETS)
    variants = True
    name = "lif"
    summary = "leaky integrate-and-fire"
    parameters = {
        "leak": Parameter("fraction of the membrane potential kept from one step to the next", initial=0.5),
        "gain": Parameter("factor on the input current", initial=0.5),
        "threshold": Parameter("membrane potential above which the neuron fires", 1.0),
        "bias": Parameter("added to the membrane potential at each step", 0.0),
        "reset_potential": Parameter("membrane potential to which a reset to zero leads", 0.0),
        "minimum": Parameter("membrane potential below which it cannot fall", optional=True),
        "initial": Parameter("membrane potential before the first step", 0.0),
    }
    fixed_parameters = {
        "leak": Parameter("round(leak * 2**12)", bits=LEAK_BITS),
        "gain": Parameter("gain mantissa: gain * input unit / membrane unit * 2**gain_shift", bits=GAIN_BITS),
        "gain_shift": Parameter("exponent of the gain mantissa", bits=5),
        "threshold": Parameter("in membrane units", bits=STATE_BITS),
        "bias": Parameter("in membrane units", 0, bits=STATE_BITS),
        "reset_potential": Parameter("in membrane units", 0, bits=STATE_BITS),
        "minimum": Parameter("in membrane units", optional=True, bits=STATE_BITS),
        "initial": Parameter("in membrane units", 0, bits=STATE_BITS),
    }

    def step(self, ops: Operations[Any], s: State, x: Any, p: SimpleNamespace) -> tuple[Any, State]:
        """See NeuronModel.step."""

        def integrate(v: Any) -> Any:
            v = ops.add(ops.mul(p.leak, v), ops.mul(p.gain, x))
            return v if p.bias is None else ops.add(v, p.bias)

        spikes, v = ops.membrane(s.v, integrate, p)
        return spikes, State(v=v)

    def step_fixed(self, ops: Operations[Any], s: State, x: Any, p: SimpleNamespace) -> tuple[Any, State]:
        """See NeuronModel.step_fixed."""

        def integrate(v: Any) -> Any:
            v = ops.add(ops.decay(p.leak, v), ops.scale(p.gain, p.gain_shift, x))
            return ops.saturate("v", v if p.bias is None else ops.add(v, p.bias))

        spikes, v = ops.membrane(s.v, integrate, p)
        return spikes, State(v=v)

    def quantized(self, p: SimpleNamespace, x: Quantizing) -> dict[str, Array]:
        """See NeuronModel.quantized."""
        return {"leak": x.fraction("leak", p.leak), **x.drive(p.gain, p.bias), **x.membrane(p)}


model = LIF()
