"""Current-based LIF as Norse writes it: the current jumps, drives the membrane potential, and relaxes towards 0.

    i[t] = (i[t-1] - current_rate * i[t-1]) + x[t]
    v[t] = v[t-1] + rate * ((rest - v[t-1]) + i[t]),   or with a gain as the relaxing LIF,   then fire and reset as LIF

In real numbers it is a CUBA-LIF of leaks `1 - rate` and `1 - current_rate`, which is what its integers are. Source:
`lif_feed_forward_step` of norse 1.1.0 (LIFCell); its current is the one before the step's input.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from asnn_deploy.ir.neurons.base import Parameter, Parameters, State
from asnn_deploy.ir.neurons.cuba_lif import CubaLIF
from asnn_deploy.ir.neurons.operations import Operations
from asnn_deploy.ir.neurons.quantizing import Quantizing
from asnn_deploy.ir.neurons.relaxing_lif import RelaxingLIF, as_lif, relaxed
from asnn_deploy.util.arrays import Array


class RelaxingCubaLIF(CubaLIF):
    """See the module's text."""

    name = "relaxing-cuba-lif"
    summary = "CUBA-LIF whose current and membrane potential relax, as Norse rounds them"
    parameters = {
        "current_rate": Parameter("fraction of the synaptic current lost from one step to the next", initial=0.2),
        **RelaxingLIF.parameters,
    }

    def step(self, ops: Operations[Any], s: State, x: Any, p: SimpleNamespace) -> tuple[Any, State]:
        """See NeuronModel.step."""
        i = ops.add(ops.sub(s.i, ops.mul(p.current_rate, s.i)), x)
        spikes, v = ops.membrane(s.v, lambda v: relaxed(ops, v, i, p), p)
        return spikes, State(v=v, i=i)

    def bounding(self, ops: Operations[Any], s: State, x: Any, p: SimpleNamespace) -> tuple[Any, State]:
        """See NeuronModel.bounding."""
        return super().step(ops, s, x, as_cuba_lif(p))

    def quantized(self, p: SimpleNamespace, x: Quantizing) -> dict[str, Array]:
        """See NeuronModel.quantized."""
        return super().quantized(as_cuba_lif(p), x)


def as_cuba_lif(p: SimpleNamespace) -> SimpleNamespace:
    """Return the parameters of the CUBA-LIF that it is in real numbers."""
    plain = vars(as_lif(p)) | {"current_leak": 1 - p.current_rate}
    return Parameters({k: v for k, v in plain.items() if k != "reset"}, p.reset)


model = RelaxingCubaLIF()
