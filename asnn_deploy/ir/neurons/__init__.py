"""Neuron models, one file each, found by being here. NumPy only."""

from __future__ import annotations

from asnn_deploy.errors import GraphError
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.layers import Neuron
from asnn_deploy.ir.neurons.base import NeuronModel, Parameter, State
from asnn_deploy.ir.step_table import StepTable
from asnn_deploy.util.discover import discover
from asnn_deploy.util.suggest import unknown_name

MODELS: dict[str, NeuronModel] = discover(__name__, __path__, "model")

__all__ = ["MODELS", "NeuronModel", "Parameter", "State", "check_neurons", "model_of"]


def model_of(neuron: Neuron) -> NeuronModel:
    """The model that a layer names. Raises GraphError where there is none of that name."""
    if neuron.model not in MODELS:
        raise neuron.refuse(unknown_name("neuron model", neuron.model, MODELS))
    return MODELS[neuron.model]


def check_neurons(graph: DeployGraph) -> None:
    """Every neuron layer has exactly the parameters that its model knows, each with values that are allowed.

    Raises GraphError naming layer and key, for a value also the step and what is allowed.
    """
    for neuron in graph.neurons:
        model = model_of(neuron)
        known = model.fixed_parameters if graph.arithmetic == "fixed" else model.parameters
        for key, table in neuron.parameters.items():
            if key not in known:
                raise neuron.refuse(unknown_name(f"parameter of {model.name!r}", key, known))
            check_range(neuron, key, table, known[key].allowed)
        missing = [k for k, p in known.items() if p.default is None and k not in neuron.parameters]
        if missing:
            raise GraphError(f"layer {neuron.name!r} ({model.name}): lacks parameter {missing[0]!r}")


def check_range(neuron: Neuron, key: str, table: StepTable, allowed: tuple[int, int] | None) -> None:
    """Every value of a parameter is a whole number in its range, where it has one. Raises GraphError."""
    if allowed is None:
        return
    if table.dtype.kind not in "iu":
        raise neuron.refuse(f"{key} has values of type {table.dtype}; they must be integers")
    for t in range(table.time_steps):
        for worst in (table.at(t).min(), table.at(t).max()):
            if not allowed[0] <= worst <= allowed[1]:
                raise neuron.refuse(f"{key} = {worst} at step {t}, allowed: {allowed[0]} to {allowed[1]}")
