"""Loihi's own neuron, bit for bit: the current-based LIF of Lava 0.10 in fixed point (`lava.proc.lif`). Integers only.

    u = wrap(trunc(u * (4096 - du - 1) / 4096) + x * 2**6)                          synaptic current
    v = saturate(trunc(v * (4096 - dv) / 4096) + u + bias_mant * 2**bias_exp)       membrane potential
    s = 1 where v > vth * 2**6, strictly; v = 0 where s = 1

trunc is towards zero. u and v have 24 bits: v saturates at +-(2**23 - 1); u wraps: what left (-2**23, 2**23] comes
2**24 nearer, once a step, so that 2**23 + 1 becomes 1 - 2**23, and what left by more than that stays outside. x is what
arrives from the synapses, at most 24 bits signed (see `asnn_deploy.loihi.synapses`). du = 4095 leaves nothing of the
current: then u is the input, and the neuron a plain LIF.

Source: lava-nc 0.10.0, `lava/proc/lif/models.py`, PyLifModelBitAcc (with its ds_offset of 1 and dm_offset of 0); Davies
et al., IEEE Micro 38(1), 2018. `quantize` makes no such neurons; `asnn_deploy.loihi.to_loihi` does.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from asnn_deploy.errors import UnsupportedError
from asnn_deploy.ir.fixed_point import LEAK_SHIFT
from asnn_deploy.ir.neurons.base import NeuronModel, Parameter, State
from asnn_deploy.ir.neurons.operations import Operations
from asnn_deploy.util.arrays import Array

ALIGNMENT = 6
"""Inputs and thresholds are shifted left by so many bits, to align them with the 24-bit states."""
UNITY = 1 << LEAK_SHIFT
"""A decay of 1, in units of du and dv."""
DECAYS = (0, UNITY - 1)
THRESHOLDS = (0, 131_071)
MANTISSAS = (-4096, 4095)
EXPONENTS = (0, 7)


class LoihiLIF(NeuronModel):
    """See the module's text. du, dv and vth are one for a population in Lava; here each may have any granularity."""

    name = "loihi-lif"
    summary = "Loihi's own LIF, in integers only"
    states = ("v", "u")
    proved = False
    fixed_parameters = {
        "du": Parameter("decay of the current: (du + 1) / 4096 of it goes at each step", allowed=DECAYS, bits=12),
        "dv": Parameter("decay of the membrane potential: dv / 4096 of it goes at each step", allowed=DECAYS, bits=12),
        "vth": Parameter("threshold in units of 64 membrane units", allowed=THRESHOLDS, bits=17),
        "bias_mant": Parameter("bias mantissa: the bias is bias_mant * 2**bias_exp membrane units", 0, MANTISSAS, 13),
        "bias_exp": Parameter("exponent of the bias mantissa", 0, EXPONENTS, 3),
    }

    def prepared(self, p: dict[str, Array]) -> dict[str, Array]:
        """The decays as what they leave, thresholds and biases in membrane units."""
        ready = {
            "current_kept": UNITY - 1 - p["du"],
            "kept": UNITY - p["dv"],
            "threshold": p["vth"] << ALIGNMENT,
        }
        if "bias_mant" in p:
            ready["bias"] = p["bias_mant"] << p.get("bias_exp", np.zeros((), np.int64))
        return ready

    def step_fixed(self, ops: Operations[Any], s: State, x: Any, p: SimpleNamespace) -> tuple[Any, State]:
        """See NeuronModel.step_fixed. Raises UnsupportedError for a reset by subtraction, which Loihi's LIF lacks."""
        if p.reset != "zero":
            raise UnsupportedError(
                f"neuron model 'loihi-lif' resets to zero, not by {p.reset!r}; set its reset to 'zero'"
            )
        u = ops.wrap("u", ops.add(ops.decay(p.current_kept, s.u), ops.align(x, ALIGNMENT)))
        v = ops.add(ops.decay(p.kept, s.v), u)
        if p.bias is not None:
            v = ops.add(v, p.bias)
        spikes, v = ops.fire(ops.saturate("v", v), p.threshold, p.reset)
        return spikes, State(v=v, u=u)


model = LoihiLIF()
