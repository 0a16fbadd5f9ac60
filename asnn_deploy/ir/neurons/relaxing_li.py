"""Leaky integrator as Norse writes it: a membrane that relaxes towards its input, is read, and never fires.

    v[t] = v[t-1] + rate * ((rest - v[t-1]) + x[t]),   or with a gain as the relaxing LIF

It sends v. In real numbers it is a leaky integrator of leak `1 - rate`, which is what its integers are. Source:
`li_box_feed_forward_step` of norse 1.1.0 (LIBoxCell).
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from asnn_deploy.ir.neurons.base import State
from asnn_deploy.ir.neurons.leaky_integrator import FIRES_BY, LeakyIntegrator
from asnn_deploy.ir.neurons.operations import Operations
from asnn_deploy.ir.neurons.quantizing import Quantizing
from asnn_deploy.ir.neurons.relaxing_lif import RelaxingLIF, as_lif, relaxed
from asnn_deploy.util.arrays import Array


class RelaxingLI(LeakyIntegrator):
    """See the module's text."""

    name = "relaxing-li"
    summary = "leaky integrator that relaxes towards its input, as Norse rounds it"
    parameters = {key: value for key, value in RelaxingLIF.parameters.items() if key not in FIRES_BY}

    def step(self, ops: Operations[Any], s: State, x: Any, p: SimpleNamespace) -> tuple[Any, State]:
        """See NeuronModel.step."""
        v = relaxed(ops, s.v, x, p)
        return v, State(v=v)

    def bounding(self, ops: Operations[Any], s: State, x: Any, p: SimpleNamespace) -> tuple[Any, State]:
        """See NeuronModel.bounding."""
        return super().step(ops, s, x, as_lif(p))

    def quantized(self, p: SimpleNamespace, x: Quantizing) -> dict[str, Array]:
        """See NeuronModel.quantized."""
        return super().quantized(as_lif(p), x)


model = RelaxingLI()
