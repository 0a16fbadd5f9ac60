"""Loihi's own neuron, bit for bit: the current-based LIF of Lava 0.10 in fixed point (`lava.proc.lif`). Integers only.

    u = wrap(trunc(u * (4096 - du - 1) / 4096) + x * 2**6)                          synaptic current
    v = saturate(trunc(v * (4096 - dv) / 4096) + u + bias_mant * 2**bias_exp)       membrane potential
    s = 1 where v > vth * 2**6, strictly; v = 0 where s = 1

trunc is towards zero. u and v have 24 bits: v saturates at +-(2**23 - 1); u wraps, by 2**24 and once a step, into
(-2**23, 2**23], so that 2**23 + 1 becomes 1 - 2**23. x is what arrives from the synapses, at most 24 bits signed (see
`asnn_deploy.loihi.synapses`). du = 4095 leaves nothing of the current: then u is the input, and the neuron a plain LIF.

Source: lava-nc 0.10.0, `lava/proc/lif/models.py`, PyLifModelBitAcc (with its ds_offset of 1 and dm_offset of 0); Davies
et al., IEEE Micro 38(1), 2018. `quantize` makes no such neurons; `asnn_deploy.loihi.to_loihi` does.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from asnn_deploy.errors import UnsupportedError
from asnn_deploy.ir.fixed_point import LEAK_SHIFT, STATE_BITS, saturate, truncating_shift
from asnn_deploy.ir.neurons.base import Parameter, State
from asnn_deploy.ir.neurons.lif import fire
from asnn_deploy.util.arrays import Array

ALIGNMENT = 6
"""Inputs and thresholds are shifted left by so many bits, to align them with the 24-bit states."""
UNITY = 1 << LEAK_SHIFT
"""A decay of 1, in units of du and dv."""
DECAYS = (0, UNITY - 1)
THRESHOLDS = (0, 131_071)
MANTISSAS = (-4096, 4095)
EXPONENTS = (0, 7)


class LoihiLIF:
    """See the module's text. du, dv and vth are one for a population in Lava; here each may have any granularity."""

    name = "loihi-lif"
    states: tuple[str, ...] = ("v", "u")
    parameters: Mapping[str, Parameter] = {}
    fixed_parameters: Mapping[str, Parameter] = {
        "du": Parameter("decay of the current: (du + 1) / 4096 of it goes at each step", allowed=DECAYS),
        "dv": Parameter("decay of the membrane potential: dv / 4096 of it goes at each step", allowed=DECAYS),
        "vth": Parameter("threshold in units of 64 membrane units", allowed=THRESHOLDS),
        "bias_mant": Parameter("bias mantissa: the bias is bias_mant * 2**bias_exp membrane units", 0, MANTISSAS),
        "bias_exp": Parameter("exponent of the bias mantissa", 0, EXPONENTS),
    }

    def step_float(self, state: State, x: Array, p: Mapping[str, Array], reset: str) -> tuple[Array, State]:
        """Not defined in floating point."""
        raise UnsupportedError("neuron model 'loihi-lif' is defined in integers only; use 'lif' or 'cuba-lif'")

    def step_fixed(self, state: State, x: Array, p: Mapping[str, Array], reset: str) -> tuple[Array, State]:
        """See NeuronModel.step_fixed. Raises UnsupportedError for a reset by subtraction, which Loihi's LIF lacks."""
        if reset != "zero":
            raise UnsupportedError(
                f"neuron model 'loihi-lif' resets to zero, not by {reset!r}; set its reset to 'zero'"
            )
        v, u = state
        u = wrapped(truncating_shift(u * (UNITY - 1 - p["du"]), LEAK_SHIFT) + (x << ALIGNMENT))
        v = truncating_shift(v * (UNITY - p["dv"]), LEAK_SHIFT) + u
        if "bias_mant" in p:
            v = v + (p["bias_mant"] << p.get("bias_exp", 0))
        spikes, (v,) = fire(saturate(v, STATE_BITS), p["vth"] << ALIGNMENT, reset)
        return spikes, (v, u)


def wrapped(u: Array) -> Array:
    """The current after its overflow: 2**24 nearer to zero where it left (-2**23, 2**23]."""
    half = 1 << (STATE_BITS - 1)
    return u - 2 * half * ((u > half).astype(np.int64) - (u <= -half))


model = LoihiLIF()
