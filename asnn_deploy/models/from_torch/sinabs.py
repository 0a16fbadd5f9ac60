"""Sinabs: LIF, IAF, ExpLeak, their Squeeze forms, and LIFRecurrent and IAFRecurrent, which read their own spikes.

Read in `sinabs/` of version 2.0.3. Called on `[B, T, ...]`, the Squeeze forms on `[B * T, ...]`; time counts in steps.
A synaptic current counts `exp(-1 / tau_syn)` times; with norm_input, that and `1 - exp(-1 / tau_mem)` are one factor
here and two roundings there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from asnn_deploy.ir.layers import Reshape
from asnn_deploy.models.from_torch import stateless
from asnn_deploy.models.from_torch.walk import Place, Rule, holding


def kind_of(value: Any) -> str:
    """Return the name of a function's class, or of a class."""
    return getattr(value, "__name__", type(value).__name__)


def spikes(place: Place) -> tuple[str, str]:
    """Return when the neurons fire and how often, by their spike_fn."""
    function = place.module.spike_fn
    most = getattr(function, "max_num_spikes_per_bin", None)
    if kind_of(function) == "SingleSpike" or (kind_of(function) == "MaxSpike" and most == 1):
        return "at", "one"
    if kind_of(function) == "MultiSpike" or (kind_of(function) == "MaxSpike" and most is None):
        return "at", "many"
    bound = "" if most is None else f" with max_num_spikes_per_bin {most}"
    allowed = "MultiSpike, SingleSpike, MaxSpike of 1"
    raise place.refuse(f"its spike_fn is {kind_of(function)}{bound}; deployable: {allowed}")


def reset(place: Place) -> str:
    """Return how the neurons reset, by their reset_fn."""
    function, threshold = place.module.reset_fn, place.module.spike_threshold
    if kind_of(function) == "MembraneReset":
        if function.reset_value != 0:
            raise place.refuse(
                f"its reset_value is {function.reset_value:g}, which Sinabs adds to every membrane potential at every "
                "step, whether it fired or not; only 0 is deployable"
            )
        return "zero"
    if kind_of(function) == "MembraneSubtract":
        other = function.subtract_value
        if other is not None and bool((threshold != other).any()):
            raise place.refuse(f"its subtract_value is {other:g}; only its threshold is deployable")
        return "subtract"
    raise place.refuse(f"its reset_fn is {kind_of(function)}; deployable: MembraneSubtract, MembraneReset")


def neuron(place: Place, recurrent: Callable[[Place], None] | None = None) -> None:
    """Add the neurons of a module."""
    module = place.module
    alpha, current = module.alpha_mem_calculated, module.alpha_syn_calculated
    place.walk.said.setdefault("update", "integrated" if module.norm_input else "added")
    gain = (1 - alpha) if module.norm_input else 1.0
    common = {"threshold": module.spike_threshold, "minimum": module.min_v_mem}
    rules = (reset(place), *spikes(place))
    if current is not None:  # the current decays with its input: i = a (i + x)
        parameters = {"current_leak": current, "leak": alpha, "gain": current * gain}
        place.neuron("cuba-lif", {**common, **parameters}, *rules, recurrent=recurrent, late=True)
    elif bool((alpha == 1).all()):
        place.neuron("if", {**common, "gain": gain}, *rules, recurrent=recurrent, late=True)
    else:
        place.neuron("lif", {**common, "leak": alpha, "gain": gain}, *rules, recurrent=recurrent, late=True)


def recurrent_neuron(place: Place) -> None:
    """Add neurons whose spikes pass rec_connect and arrive at the next step; at the first one, nothing does."""
    neuron(place, feedback)


def feedback(place: Place) -> None:
    """Put what the spikes pass, and give it the axes of the neurons."""
    shape = place.walk.shape
    place.read(place.inside("rec_connect", place.module.rec_connect))
    if place.walk.shape != shape and place.walk.layers:
        place.put(Reshape(place.name(".rec_shape"), shape))


def exp_leak(place: Place) -> None:
    """Add leaky integrators, which send their potential."""
    module = place.module
    if module.min_v_mem is not None:
        raise place.refuse("its min_v_mem bounds a membrane that never fires, which has no deployable counterpart")
    alpha = module.alpha_mem_calculated
    place.neuron("li", {"leak": alpha, "gain": (1 - alpha) if module.norm_input else 1.0})


TIMED, SQUEEZED = (lambda _module: 2), (lambda _module: 1)
RULES = {
    **{name: Rule(neuron, TIMED) for name in ("LIF", "IAF")},
    **{name: Rule(neuron, SQUEEZED) for name in ("LIFSqueeze", "IAFSqueeze")},
    **{name: Rule(recurrent_neuron, TIMED) for name in ("LIFRecurrent", "IAFRecurrent")},
    "ExpLeak": Rule(exp_leak, TIMED),
    "ExpLeakSqueeze": Rule(exp_leak, SQUEEZED),
    "SumPool2d": stateless.RULES["LPPool2d"],
    "Repeat": holding(axes=1, own=2),
    "Network": holding(lambda network: [("spiking_model", network.spiking_model)]),
}
