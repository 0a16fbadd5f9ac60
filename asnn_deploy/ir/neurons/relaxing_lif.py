"""Leaky integrate-and-fire as Norse and SpikingJelly write it: the membrane potential relaxes towards its input.

    v[t] = v[t-1] + rate * ((rest - v[t-1]) + x[t])                        without a gain
    v[t] = (v[t-1] + rate * (rest - v[t-1])) + gain * x[t]                 with one,   then fire and reset as LIF

SpikingJelly divides by `steps`, 1 / rate, where Norse multiplies. In real numbers it is a LIF of leak `1 - rate`, which
is what its integers are; its float32 roundings are others. Source: `lif_box_feed_forward_step` of norse 1.1.0
(LIFBoxCell), `LIFNode.neuronal_charge` of spikingjelly 2.0.0 (with decay_input and without).
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from asnn_deploy.ir.neurons.base import Parameter, Parameters, State
from asnn_deploy.ir.neurons.lif import LIF
from asnn_deploy.ir.neurons.operations import Operations
from asnn_deploy.ir.neurons.quantizing import Quantizing
from asnn_deploy.util.arrays import Array

RELAXING = {
    "rate": Parameter(
        "share of the way to its rest and its input that the membrane potential goes in a step", initial=0.5
    ),
    "steps": Parameter(
        "time constant in steps, which divides that way instead of the rate", optional=True, instead_of="rate"
    ),
    "rest": Parameter("membrane potential without input", 0.0),
    "gain": Parameter("factor on the input current; without one, the input counts as the rest does", optional=True),
}
"""What a membrane that relaxes has instead of a leak, a gain and a bias."""


class RelaxingLIF(LIF):
    """See the module's text."""

    name = "relaxing-lif"
    summary = "LIF whose membrane potential relaxes towards its input, as Norse rounds it"
    parameters = {**RELAXING, **{k: v for k, v in LIF.parameters.items() if k not in ("leak", "gain", "bias")}}

    def step(self, ops: Operations[Any], s: State, x: Any, p: SimpleNamespace) -> tuple[Any, State]:
        """See NeuronModel.step."""
        spikes, v = ops.membrane(s.v, lambda v: relaxed(ops, v, x, p), p)
        return spikes, State(v=v)

    def bounding(self, ops: Operations[Any], s: State, x: Any, p: SimpleNamespace) -> tuple[Any, State]:
        """See NeuronModel.bounding."""
        return super().step(ops, s, x, as_lif(p))

    def quantized(self, p: SimpleNamespace, x: Quantizing) -> dict[str, Array]:
        """See NeuronModel.quantized."""
        return super().quantized(as_lif(p), x)


def relaxed(ops: Operations[Any], v: Any, x: Any, p: SimpleNamespace) -> Any:
    """Return the potential after a step's input."""
    if p.gain is None:
        distance = ops.sub(x, v) if p.rest is None else ops.add(ops.sub(p.rest, v), x)
        return ops.add(v, _share(ops, distance, p))
    lost = _share(ops, v if p.rest is None else ops.sub(v, p.rest), p)
    return ops.add(ops.sub(v, lost), ops.mul(p.gain, x))


def _share(ops: Operations[Any], way: Any, p: SimpleNamespace) -> Any:
    """What a step goes of a way."""
    return ops.mul(p.rate, way) if p.steps is None else ops.div(way, p.steps)


def as_lif(p: SimpleNamespace) -> SimpleNamespace:
    """Return the parameters of the LIF that it is in real numbers."""
    rate = p.rate if p.steps is None else 1 / p.steps
    gain = rate if p.gain is None else p.gain
    rest = np.zeros(1) if p.rest is None else p.rest
    given = {key: value for key, value in vars(p).items() if key != "reset"}
    return Parameters({**given, "leak": 1 - rate, "gain": gain, "bias": rate * rest}, p.reset)


model = RelaxingLIF()
