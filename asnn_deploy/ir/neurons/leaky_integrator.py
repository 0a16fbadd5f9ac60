"""Leaky integrator: a membrane that is read, and never fires; a readout with memory.

    v[t] = leak[t] * v[t-1] + gain[t] * x[t]   (+ bias[t])

It sends v. In integers:  v = trunc(v * leak / 2**12) + trunc(x * gain / 2**gain_shift) + bias, saturated to 24 bits, in
its own units. Source: NIR's LI; Norse's LI, with which recurrent networks are read.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from asnn_deploy.ir.neurons.base import NeuronModel, State
from asnn_deploy.ir.neurons.lif import LIF
from asnn_deploy.ir.neurons.operations import Operations
from asnn_deploy.ir.neurons.quantizing import Quantizing
from asnn_deploy.util.arrays import Array

FIRES_BY = ("threshold", "reset_potential", "minimum")
"""What only a membrane that fires has."""


class LeakyIntegrator(NeuronModel):
    """See the module's text."""

    name = "li"
    summary = "a membrane that is read, and never fires"
    spikes = False
    parameters = {key: value for key, value in LIF.parameters.items() if key not in FIRES_BY}
    fixed_parameters = {key: value for key, value in LIF.fixed_parameters.items() if key not in FIRES_BY}

    def step(self, ops: Operations[Any], s: State, x: Any, p: SimpleNamespace) -> tuple[Any, State]:
        """See NeuronModel.step."""
        v = ops.add(ops.mul(p.leak, s.v), ops.mul(p.gain, x))
        if p.bias is not None:
            v = ops.add(v, p.bias)
        return v, State(v=v)

    def step_fixed(self, ops: Operations[Any], s: State, x: Any, p: SimpleNamespace) -> tuple[Any, State]:
        """See NeuronModel.step_fixed."""
        v = ops.add(ops.decay(p.leak, s.v), ops.scale(p.gain, p.gain_shift, x))
        if p.bias is not None:
            v = ops.add(v, p.bias)
        v = ops.saturate("v", v)
        return v, State(v=v)

    def quantized(self, p: SimpleNamespace, x: Quantizing) -> dict[str, Array]:
        """See NeuronModel.quantized."""
        return {"leak": x.fraction("leak", p.leak), **x.drive(p.gain, p.bias), **x.membrane(p)}


model = LeakyIntegrator()
