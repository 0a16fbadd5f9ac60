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
    parameters = {key: value for key, value in LIF.parameters.items() if key != "leak"}
    fixed_parameters = {key: value for key, value in LIF.fixed_parameters.items() if key != "leak"}

    def step(self, ops: Operations[Any], s: State, x: Any, p: SimpleNamespace) -> tuple[Any, State]:
        """See NeuronModel.step."""
        v = ops.add(s.v, ops.mul(p.gain, x))
        if p.bias is not None:
            v = ops.add(v, p.bias)
        spikes, v = ops.fire(v, p.threshold, p.reset)
        return spikes, State(v=v)

    def step_fixed(self, ops: Operations[Any], s: State, x: Any, p: SimpleNamespace) -> tuple[Any, State]:
        """See NeuronModel.step_fixed."""
        v = ops.add(s.v, ops.scale(p.gain, p.gain_shift, x))
        if p.bias is not None:
            v = ops.add(v, p.bias)
        spikes, v = ops.fire(ops.saturate("v", v), p.threshold, p.reset)
        return spikes, State(v=v)

    def quantized(self, p: SimpleNamespace, x: Quantizing) -> dict[str, Array]:
        """See NeuronModel.quantized."""
        return {**x.drive(p.gain, p.bias), "threshold": x.threshold(p.threshold)}


model = IntegrateAndFire()
