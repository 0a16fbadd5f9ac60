"""Integrate-and-fire: a LIF that forgets nothing.

    v[t] = v[t-1] + gain[t] * x[t]   (+ bias[t]),   then fire and reset as LIF

In integers:  v = v + trunc(x * gain / 2**gain_shift) + bias, saturated to 24 bits. Source: NIR's IF (its `r` is the
gain); Sinabs, SpikingJelly and others call it IAF or IFNode.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from asnn_deploy.ir.neurons.base import NeuronModel, State
from asnn_deploy.ir.neurons.lif import LIF
from asnn_deploy.ir.neurons.operations import Operations
from asnn_deploy.ir.neurons.quantizing import Quantizing
from asnn_deploy.util.arrays import Array


class IntegrateAndFire(NeuronModel):
    """See the module's text."""

    name = "if"
    summary = "integrate-and-fire: a LIF that forgets nothing"
    resets, variants = LIF.resets, LIF.variants
    parameters = {key: value for key, value in LIF.parameters.items() if key != "leak"}
    fixed_parameters = {key: value for key, value in LIF.fixed_parameters.items() if key != "leak"}

    def step(self, ops: Operations[Any], s: State, x: Any, p: SimpleNamespace) -> tuple[Any, State]:
        """See NeuronModel.step."""

        def integrate(v: Any) -> Any:
            v = ops.add(v, ops.mul(p.gain, x))
            return v if p.bias is None else ops.add(v, p.bias)

        spikes, v = ops.membrane(s.v, integrate, p)
        return spikes, State(v=v)

    def step_fixed(self, ops: Operations[Any], s: State, x: Any, p: SimpleNamespace) -> tuple[Any, State]:
        """See NeuronModel.step_fixed."""

        def integrate(v: Any) -> Any:
            v = ops.add(v, ops.scale(p.gain, p.gain_shift, x))
            return ops.saturate("v", v if p.bias is None else ops.add(v, p.bias))

        spikes, v = ops.membrane(s.v, integrate, p)
        return spikes, State(v=v)

    def quantized(self, p: SimpleNamespace, x: Quantizing) -> dict[str, Array]:
        """See NeuronModel.quantized."""
        return {**x.drive(p.gain, p.bias), **x.membrane(p)}


model = IntegrateAndFire()
