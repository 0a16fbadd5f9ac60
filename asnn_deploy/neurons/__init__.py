"""Neuron models, one file each, found by being here. NumPy only."""

from __future__ import annotations

from asnn_deploy.discover import discover
from asnn_deploy.errors import GraphError
from asnn_deploy.graph import DeployGraph, Neuron
from asnn_deploy.neurons.base import NeuronModel, Parameter, State
from asnn_deploy.suggest import unknown_name

MODELS: dict[str, NeuronModel] = discover(__name__, __path__, "model")

__all__ = ["MODELS", "NeuronModel", "Parameter", "State", "check_neurons", "model_of"]


def model_of(neuron: Neuron) -> NeuronModel:
    """The model that a layer names. Raises GraphError where there is none of that name."""
    if neuron.model not in MODELS:
        raise neuron.refuse(unknown_name("neuron model", neuron.model, MODELS))
    return MODELS[neuron.model]


def check_neurons(graph: DeployGraph) -> None:
    """Every neuron layer has exactly the parameters that its model knows. Raises GraphError naming layer and key."""
    for neuron in graph.neurons:
        model = model_of(neuron)
        known = model.fixed_parameters if graph.arithmetic == "fixed" else model.parameters
        for key in neuron.parameters:
            if key not in known:
                raise neuron.refuse(unknown_name(f"parameter of {model.name!r}", key, known))
        missing = [k for k, p in known.items() if p.default is None and k not in neuron.parameters]
        if missing:
            raise GraphError(f"layer {neuron.name!r} ({model.name}): lacks parameter {missing[0]!r}")
