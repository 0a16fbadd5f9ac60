"""Current-based leaky integrate-and-fire: LIF behind a leaky synaptic current.

    i[t] = current_leak[t] * i[t-1] + x[t]
    v[t] = leak[t] * v[t-1] + gain[t] * i[t]   (+ bias[t]),   then fire and reset as LIF

Source: Loihi's neuron, Davies et al., IEEE Micro 38(1), 2018, discretised; NIR's CubaLIF. Float only so far.
"""

from __future__ import annotations

from collections.abc import Mapping

from asnn_deploy.errors import UnsupportedError
from asnn_deploy.ir.neurons.base import Parameter, State
from asnn_deploy.ir.neurons.lif import LIF, fire
from asnn_deploy.util.arrays import Array


class CubaLIF:
    """See the module's text."""

    name = "cuba-lif"
    states: tuple[str, ...] = ("v", "i")
    parameters: Mapping[str, Parameter] = {
        "current_leak": Parameter("fraction of the synaptic current kept from one step to the next"),
        **LIF.parameters,
    }
    fixed_parameters: Mapping[str, Parameter] = {}

    def step_float(self, state: State, x: Array, p: Mapping[str, Array], reset: str) -> tuple[Array, State]:
        """See NeuronModel.step_float."""
        v, i = state
        i = p["current_leak"] * i + x
        v = p["leak"] * v + p["gain"] * i
        if "bias" in p:
            v = v + p["bias"]
        spikes, (v,) = fire(v, p["threshold"], reset)
        return spikes, (v, i)

    def step_fixed(self, state: State, x: Array, p: Mapping[str, Array], reset: str) -> tuple[Array, State]:
        """Not defined in integers."""
        raise UnsupportedError("neuron model 'cuba-lif' has no integer definition; use a 'lif' neuron")


model = CubaLIF()
