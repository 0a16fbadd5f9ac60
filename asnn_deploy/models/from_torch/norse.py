"""Norse: cells `[B, ...]`, which compute one step, and layers `[T, B, ...]`, which compute all; Lift, SequentialState.

Read in `norse/torch/` of version 1.1.0. A rate is `dt * tau_inv` in the arithmetic in which Norse makes it. LIFBoxCell
alone adds its v_leak to the input before it takes the potential off; where v_leak is not 0 that may round otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from asnn_deploy.ir.layers import Linear
from asnn_deploy.models.from_torch.stateless import put_linear, synapses, table
from asnn_deploy.models.from_torch.walk import Place, Rule, holding

RESETS = {"reset_value": "zero", "reset_subtract": "subtract"}
"""By the name of the function in `norse/torch/functional/reset.py`."""


def membrane(place: Place) -> dict[str, Any]:
    """Return the parameters of a membrane that relaxes to its rest, where it begins."""
    module = place.module
    place.walk.said.setdefault("dt", float(module.dt))
    return {"rate": module.dt * module.p.tau_mem_inv, "rest": module.p.v_leak, "initial": module.p.v_leak}


def firing(place: Place) -> dict[str, Any]:
    """Return the parameters of a membrane that fires."""
    return {"threshold": place.module.p.v_th, "reset_potential": place.module.p.v_reset}


def current(place: Place) -> dict[str, Any]:
    """Return the parameter of a current."""
    return {"current_rate": place.module.dt * place.module.p.tau_syn_inv}


def lif_box(place: Place) -> None:
    """`v = v + dt / tau ((v_leak - v) + x)`."""
    method = place.module.p.reset_method
    name = getattr(method, "__name__", str(method))
    if name not in RESETS or not method.__module__.startswith("norse."):
        raise place.refuse(f"its reset_method is {name}; deployable: {', '.join(RESETS)} of Norse")
    place.neuron("relaxing-lif", {**membrane(place), **firing(place)}, RESETS[name])


def lif(place: Place) -> None:
    """`i = i + x`, `v = v + dt / tau_m ((v_leak - v) + i)`, `i = i - dt / tau_s i`."""
    place.neuron("relaxing-cuba-lif", {**current(place), **membrane(place), **firing(place)}, "zero")


def lif_recurrent(place: Place) -> None:
    """The same behind its own input weights, and its own spikes enter the current by its recurrent weights."""
    own_weights(place, "input_weights")
    parameters = {**current(place), **membrane(place), **firing(place)}
    place.neuron("relaxing-cuba-lif", parameters, "zero", recurrent=lambda back: own_weights(back, "recurrent_weights"))


def own_weights(place: Place, key: str) -> None:
    """Add the linear map of weights that are the module's own."""
    name, weight, _ = synapses(place, getattr(place.module, key), None, f".{key}")
    put_linear(place, Linear(name, table(weight)))


def iaf(place: Place) -> None:
    """`v = v + x`."""
    place.walk.said.setdefault("dt", float(place.module.dt))
    begins = {"gain": 1.0, "initial": place.module.p.v_reset}
    place.neuron("if", {**begins, **firing(place)}, "zero")


def li_box(place: Place) -> None:
    """As LIFBox, and sends its potential."""
    place.neuron("relaxing-li", membrane(place))


def li(place: Place) -> None:
    """As LIF, and sends its potential: a current, which sends itself, and a membrane."""
    parameters = membrane(place)
    place.neuron("relaxing-li", {"rate": current(place)["current_rate"], "gain": 1.0}, suffix="_current")
    place.neuron("relaxing-li", parameters)


def li_linear(place: Place) -> None:
    """The same behind its own weights."""
    own_weights(place, "input_weights")
    li(place)


def cell(read: Callable[[Place], None], axes: int, *steps: str) -> Rule:
    """Return the rule of a class of neurons. steps: the functions of Norse that may be its `activation`."""

    def checked(place: Place) -> None:
        step = getattr(place.module, "activation", None)
        name, package = (getattr(step, key, "") for key in ("__name__", "__module__"))
        if steps and not (name in steps and str(package).startswith("norse.")):
            raise place.refuse(f"it computes {package}.{name}, not {' or '.join(steps)} of Norse")
        read(place)

    return Rule(checked, lambda _module: axes)


LIF_STEPS = "lif_feed_forward_step", "lif_feed_forward_adjoint_step"
RECURRENT_STEPS = "lif_step", "lif_adjoint_step"
RULES = {
    "LIFBoxCell": cell(lif_box, 1, "lif_box_feed_forward_step"),
    "LIFCell": cell(lif, 1, *LIF_STEPS),
    "LIF": cell(lif, 2, *LIF_STEPS),
    "LIFRecurrentCell": cell(lif_recurrent, 1, *RECURRENT_STEPS),
    "LIFRecurrent": cell(lif_recurrent, 2, *RECURRENT_STEPS),
    "IAFCell": cell(iaf, 1, "iaf_feed_forward_step"),
    "IAF": cell(iaf, 2, "iaf_feed_forward_step"),
    "LIBoxCell": cell(li_box, 1, "li_box_feed_forward_step"),
    "LICell": cell(li, 1, "li_feed_forward_step"),
    "LI": cell(li, 2, "li_feed_forward_step"),
    "LILinearCell": cell(li_linear, 1),
    "SequentialState": holding(),
    "Lift": holding(axes=1, own=2),
}
