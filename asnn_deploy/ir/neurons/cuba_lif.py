"""Current-based leaky integrate-and-fire: LIF behind a leaky synaptic current.

    i[t] = current_leak[t] * i[t-1] + x[t]
    v[t] = leak[t] * v[t-1] + gain[t] * i[t]   (+ bias[t]),   then fire and reset as LIF

In integers the current has its own unit:

    i = trunc(i * current_leak / 2**12) + trunc(x * current_gain / 2**current_shift) + current_bias, saturated
    v = trunc(v * leak / 2**12) + trunc(i * gain / 2**gain_shift) + bias, saturated

Source: Loihi's neuron, Davies et al., IEEE Micro 38(1), 2018, discretised; NIR's CubaLIF. The current's
leak before training is Norse's: 1 - dt / tau with its default tau_syn of 5 ms, and steps of 1 ms.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from asnn_deploy.ir.fixed_point import GAIN_BITS, LEAK_BITS, STATE_BITS
from asnn_deploy.ir.neurons.base import NeuronModel, Parameter, State
from asnn_deploy.ir.neurons.lif import LIF
from asnn_deploy.ir.neurons.operations import Operations
from asnn_deploy.ir.neurons.quantizing import Quantizing
from asnn_deploy.util.arrays import Array


class CubaLIF(NeuronModel):
    """See the module's text."""

    name = "cuba-lif"
    summary = "LIF behind a leaky synaptic current"
    resets, variants = LIF.resets, LIF.variants
    states = ("v", "i")
    parameters = {
        "current_leak": Parameter("fraction of the synaptic current kept from one step to the next", initial=0.8),
        **LIF.parameters,
    }
    fixed_parameters = {
        "current_leak": Parameter("round(current_leak * 2**12)", bits=LEAK_BITS),
        "current_gain": Parameter("mantissa: input unit / current unit * 2**current_shift", bits=GAIN_BITS),
        "current_shift": Parameter("exponent of that mantissa", bits=5),
        "current_bias": Parameter("in current units", 0, bits=STATE_BITS),
        **LIF.fixed_parameters,
        "gain": Parameter("gain mantissa: gain * current unit / membrane unit * 2**gain_shift", bits=GAIN_BITS),
    }

    def step(self, ops: Operations[Any], s: State, x: Any, p: SimpleNamespace) -> tuple[Any, State]:
        """See NeuronModel.step."""
        i = ops.add(ops.mul(p.current_leak, s.i), x)

        def integrate(v: Any) -> Any:
            v = ops.add(ops.mul(p.leak, v), ops.mul(p.gain, i))
            return v if p.bias is None else ops.add(v, p.bias)

        spikes, v = ops.membrane(s.v, integrate, p)
        return spikes, State(v=v, i=i)

    def step_fixed(self, ops: Operations[Any], s: State, x: Any, p: SimpleNamespace) -> tuple[Any, State]:
        """See NeuronModel.step_fixed."""
        i = ops.add(ops.decay(p.current_leak, s.i), ops.scale(p.current_gain, p.current_shift, x))
        if p.current_bias is not None:
            i = ops.add(i, p.current_bias)
        i = ops.saturate("i", i)

        def integrate(v: Any) -> Any:
            v = ops.add(ops.decay(p.leak, v), ops.scale(p.gain, p.gain_shift, i))
            return ops.saturate("v", v if p.bias is None else ops.add(v, p.bias))

        spikes, v = ops.membrane(s.v, integrate, p)
        return spikes, State(v=v, i=i)

    def quantized(self, p: SimpleNamespace, x: Quantizing) -> dict[str, Array]:
        """See NeuronModel.quantized."""
        low, high = self._current(p, x)
        unit = x.unit_for(low, high)  # of the current
        current_gain, current_shift = x.mantissas("current_gain", x.units / unit, x.low, x.high)
        gain, shift = x.mantissas("gain", p.gain * unit / x.unit, low / unit, high / unit)
        return {
            "current_leak": x.fraction("current_leak", p.current_leak),
            "current_gain": current_gain,
            "current_shift": current_shift,
            "current_bias": x.whole(x.bias / unit),
            "leak": x.fraction("leak", p.leak),
            "gain": gain,
            "gain_shift": shift,
            "bias": x.whole(p.bias / x.unit),
            **x.membrane(p),
        }

    @staticmethod
    def _current(p: SimpleNamespace, x: Quantizing) -> tuple[Array, Array]:
        """The bounds of the current in real numbers, `[T, ...]` each, with room for the roundings of its integers."""
        least, most = np.minimum(x.low * x.units, x.high * x.units), np.maximum(x.low * x.units, x.high * x.units)
        drive = 1.01 * (least + np.minimum(x.bias, 0)), 1.01 * (most + np.maximum(x.bias, 0))
        leak = np.broadcast_to(p.current_leak, (len(least), *np.shape(p.current_leak)[1:]))
        low = high = np.zeros(1)
        found = []
        for t in range(len(least)):
            ends = leak[t] * low, leak[t] * high
            low, high = np.minimum(*ends) + drive[0][t], np.maximum(*ends) + drive[1][t]
            found.append((low, high))
        lows, highs = (np.stack(np.broadcast_arrays(*side)) for side in zip(*found))
        return lows, highs


model = CubaLIF()
