"""snnTorch: Leaky, Lapicque, Synaptic, and RLeaky and RSynaptic, which read their own spikes.

Read in `snntorch/_neurons/` of version 1.0.0. Called on one step, `[B, ...]`; its time step has no length, so 1e-4 s is
taken, as its exporter does.
"""

from __future__ import annotations

from typing import Any

import torch

from asnn_deploy.ir.granularity import narrowed
from asnn_deploy.ir.layers import Scale
from asnn_deploy.models.from_torch.stateless import table
from asnn_deploy.models.from_torch.walk import Place, Rule, comparison

STATE_FUNCTIONS = {"_base_sub": "subtract", "_base_zero": "zero", "_base_int": "none"}
"""The reset that a neuron's `state_function` makes; `reset_mechanism` may say another one if it was set later."""


def reset(place: Place, at_next: str) -> str:
    """Return how a neuron resets. at_next: how it does if by "zero", with the delay that is the default."""
    module = place.module
    mechanism = module.reset_mechanism
    function = getattr(getattr(module, "state_function", None), "__name__", None)
    if function is not None and STATE_FUNCTIONS.get(function) != mechanism:
        raise place.refuse(
            f"its reset_mechanism is {mechanism!r} and its state_function is {function}; "
            "make the module with the reset that it is to have"
        )
    if getattr(module, "reset_delay", True) or mechanism == "none":
        return {"subtract": "delayed-subtract", "zero": at_next, "none": "none"}[mechanism]
    if bool((torch.as_tensor(module.threshold) < 0).any()):
        raise place.refuse("its threshold is negative, which reset_delay=False makes no rule of")
    return {"subtract": "leftover-subtract", "zero": "zero"}[mechanism]


def neuron(place: Place, model: str, at_next: str, recurrent: bool = False, **parameters: Any) -> None:
    """Add the neurons of a module, and its factor on their spikes if it has one."""
    module = place.module
    for name in ("inhibition", "state_quant"):
        if getattr(module, name, False):
            raise place.refuse(f"its {name} has no deployable counterpart; only {name}=False has")
    graded = torch.as_tensor(getattr(module, "graded_spikes_factor", 1.0))
    if recurrent and bool((graded != 1).any()):
        raise place.refuse("its graded_spikes_factor is not 1, and it reads its own spikes")
    fires = comparison(place, "spike_grad", module.spike_grad)
    rules = (reset(place, at_next), fires)
    back = feedback if recurrent else None
    place.neuron(model, {"threshold": module.threshold, "gain": 1.0, **parameters}, *rules, recurrent=back)
    if bool((graded != 1).any()):
        scaled(place, "graded_spikes_factor", graded, "_graded")


def scaled(place: Place, key: str, factor: Any, suffix: str = "") -> None:
    """Add a factor on the signal."""
    value = narrowed(place.numbers(**{key: factor})[key], place.walk.shape)
    place.put(Scale(place.name(suffix), table(value)))


def feedback(place: Place) -> None:
    """Put what a recurrent neuron's spikes pass on their way back to it: a Linear, a Conv2d, or a factor for each."""
    inside = place.inside("recurrent", place.module.recurrent)
    if place.module.all_to_all:
        place.read(inside)
    else:
        scaled(inside, "V", place.module.recurrent.V)


def decay(value: Any) -> torch.Tensor:
    """Return a decay as the neurons take it: between 0 and 1."""
    return torch.as_tensor(value).clamp(0, 1)


def leaky(place: Place) -> None:
    """`v = beta v + x`; by zero, it clears its membrane before the next input, which is the same as at once."""
    neuron(place, "lif", "zero", leak=decay(place.module.beta))


def recurrent_leaky(place: Place) -> None:
    """`v = beta v + x + w s`; by zero, the next input is cleared with the membrane."""
    neuron(place, "lif", "delayed-zero", recurrent=True, leak=decay(place.module.beta))


def synaptic(place: Place) -> None:
    """`i = alpha i + x`, `v = beta v + i`."""
    module = place.module
    neuron(place, "cuba-lif", "delayed-zero", current_leak=decay(module.alpha), leak=decay(module.beta))


def recurrent_synaptic(place: Place) -> None:
    """The same, and its own spikes enter the current."""
    module = place.module
    if not getattr(module, "reset_delay", True):
        raise place.refuse("snnTorch itself cannot run it with reset_delay=False")
    neuron(place, "cuba-lif", "delayed-zero", recurrent=True, current_leak=decay(module.alpha), leak=decay(module.beta))


def lapicque(place: Place) -> None:
    """`v = x R (1 / (R C)) dt + (1 - dt / (R C)) v`; its beta only serves to find R and C."""
    module = place.module
    leak = 1 - module.time_step / (module.R * module.C)
    gain = module.R * (1 / (module.R * module.C)) * module.time_step
    neuron(place, "lif", "delayed-zero", leak=leak, gain=gain)


RULES = {
    "Leaky": Rule(leaky, lambda _module: 1),
    "Lapicque": Rule(lapicque, lambda _module: 1),
    "Synaptic": Rule(synaptic, lambda _module: 1),
    "RLeaky": Rule(recurrent_leaky, lambda _module: 1),
    "RSynaptic": Rule(recurrent_synaptic, lambda _module: 1),
}
