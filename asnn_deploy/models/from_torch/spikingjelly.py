"""SpikingJelly: IFNode, LIFNode, ParametricLIFNode, CUBALIFNode and their simple forms; its layers and containers.

Read in `spikingjelly/activation_based/` of version 2.0.0. Called on one step, `[B, ...]` (step_mode "s"), or on all,
`[T, B, ...]` ("m"). Its time step has no length, so 1e-4 s is taken, as its exporter does. LIFNode divides by tau; so
does the deployed neuron, unless tau is a power of two and multiplying is the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from asnn_deploy.models.from_torch import stateless
from asnn_deploy.models.from_torch.walk import Place, Rule, children, comparison, holding


def neuron(place: Place, model: str, parameters: Mapping[str, Any]) -> None:
    """Add the neurons of a node: with v_reset they reset to it and begin there, else they subtract their threshold."""
    module = place.module
    fires = comparison(place, "surrogate_function", module.surrogate_function)
    common = {"threshold": module.v_threshold, "reset_potential": module.v_reset, "initial": module.v_reset}
    place.neuron(model, {**common, **parameters}, "subtract" if module.v_reset is None else "zero", fires)


def relaxing(place: Place, rate: Any) -> dict[str, Any]:
    """Return the parameters of a membrane that relaxes to v_reset, as its input does if it decays too."""
    module = place.module
    apart = {} if module.decay_input else {"gain": 1.0}
    return {"rate": rate, "rest": module.v_reset, **apart}


def integrate_and_fire(place: Place) -> None:
    """`v = v + x`."""
    neuron(place, "if", {"gain": 1.0})


def lif(place: Place) -> None:
    """`v = v + (x - (v - v_reset)) / tau`, or without decay_input `v = v - (v - v_reset) / tau + x`."""
    tau = float(place.module.tau)
    divided = {} if math.frexp(tau)[0] == 0.5 else {"steps": tau}
    neuron(place, "relaxing-lif", {**relaxing(place, 1 / tau), **divided})


def parametric_lif(place: Place) -> None:
    """The same, times sigmoid(w)."""
    neuron(place, "relaxing-lif", relaxing(place, torch.sigmoid(place.module.w.detach())))


def cuba_lif(place: Place) -> None:
    """`i = c_decay i + x`, `v = v_decay v + i`."""
    module = place.module
    neuron(place, "cuba-lif", {"current_leak": module.c_decay, "leak": module.v_decay, "gain": 1.0})


def axes(module: Any) -> int:
    """Return how many axes stand before a sample's own where a neuron is called."""
    return 2 if getattr(module, "step_mode", "s") == "m" else 1


def layer(rule: Rule) -> Rule:
    """Return the rule of one of torch's modules that steps through time by itself if its step_mode is "m"."""

    def read(place: Place) -> None:
        rule.read(replace(place, axes=1) if axes(place.module) == 2 else place)

    return Rule(read, lambda module: 2 if axes(module) == 2 else None)


def step_mode_container(place: Place) -> None:
    """Read a StepModeContainer, which steps through time for its children in step_mode "m"."""
    for name, child in children(place.module):
        place.read(place.inside(name, child, 1 if axes(place.module) == 2 else None))


RULES = {
    "IFNode": Rule(integrate_and_fire, axes),
    "LIFNode": Rule(lif, axes),
    "ParametricLIFNode": Rule(parametric_lif, axes),
    "CUBALIFNode": Rule(cuba_lif, axes),
    **{
        name: layer(stateless.RULES[name])
        for name in ("Linear", "Conv1d", "Conv2d", "BatchNorm1d", "BatchNorm2d", "MaxPool2d", "AvgPool2d", "Flatten")
    },
    "AdaptiveAvgPool2d": layer(stateless.RULES["AdaptiveAvgPool2d"]),
    "Dropout": Rule(stateless.nothing),
    "Dropout2d": Rule(stateless.nothing),
    "MultiStepContainer": holding(axes=1, own=2),
    "SeqToANNContainer": holding(axes=1, own=2),
    "StepModeContainer": Rule(step_mode_container, lambda module: 2 if axes(module) == 2 else None, children),
}
