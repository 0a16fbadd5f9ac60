"""What a layer is for counting and pricing: how many neurons, synapses, weights and states it has."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from asnn_deploy.energy.connections import bias_reads, fan_out, product_pairs
from asnn_deploy.energy.signals import from_neurons
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.layers import SYNAPTIC, Conv, Linear, Neuron, Product
from asnn_deploy.ir.neurons import model_of

NOT_FACTORS = frozenset({"threshold", "bias", "gain_shift"})
"""Neuron parameters that cost no multiplication: compared with, added, shifted by."""
FLOAT_BYTES = 4
FIXED_STATE_BYTES = 4
"""A 24-bit membrane potential sits in a 32-bit word."""


@dataclass(frozen=True)
class Sizes:
    """One row of the counts: a synaptic layer or a neuron layer.

    neurons: neurons of a neuron layer, else 0.
    connections: non-zero synapses of a synaptic layer in the weights of step 0; for a product, its scalar products.
    outputs: elements that leave the layer; inputs: elements that enter.
    weights: how many weights it stores, all table entries together; weights_at_once: those of one entry.
    biases: how many biases it stores; biased: output elements with a non-zero bias at step 0.
    multiplications, additions: arithmetic of one neuron update (the reset of a spiking neuron comes on top).
    states: state variables of one neuron.
    after_neurons: whether anything that it reads comes from a neuron.
    weight_bytes, state_bytes: bytes of one weight, and of one state or activation, in memory.
    """

    name: str
    kind: str
    neurons: int = 0
    connections: int = 0
    inputs: int = 0
    outputs: int = 0
    weights: int = 0
    weights_at_once: int = 0
    biases: int = 0
    biased: int = 0
    multiplications: int = 0
    additions: int = 0
    states: int = 0
    after_neurons: bool = False
    weight_bytes: int = FLOAT_BYTES
    state_bytes: int = FLOAT_BYTES


def sizes(graph: DeployGraph) -> dict[str, Sizes]:
    """The sizes of each layer that is counted, by name, in the graph's order."""
    behind = from_neurons(graph)
    word = _weight_bytes(graph)
    state = FIXED_STATE_BYTES if graph.arithmetic == "fixed" else FLOAT_BYTES
    rows = {}
    for layer in graph.layers:
        if isinstance(layer, (*SYNAPTIC, Neuron)):
            shapes = [graph.shapes[e.source] for e in graph.inputs_of[layer.name]]
            specific = _of_neurons(layer, graph) if isinstance(layer, Neuron) else _of_synapses(layer, graph)
            rows[layer.name] = Sizes(
                layer.name,
                layer.kind,
                inputs=sum(math.prod(shape) for shape in shapes),
                outputs=math.prod(graph.shapes[layer.name]),
                after_neurons=behind[layer.name],
                weight_bytes=word,
                state_bytes=state,
                **specific,
            )
    return rows


def _of_neurons(layer: Neuron, graph: DeployGraph) -> dict[str, int]:
    states = len(model_of(layer).states)
    return {
        "neurons": math.prod(graph.shapes[layer.name]),
        "states": states,
        "multiplications": sum(key not in NOT_FACTORS for key in layer.parameters),
        # One sum per state, one for a bias, one for the comparison with the threshold.
        "additions": states + ("bias" in layer.parameters) + 1,
    }


def _of_synapses(layer: Conv | Linear | Product, graph: DeployGraph) -> dict[str, int]:
    shapes = [graph.shapes[e.source] for e in graph.inputs_of[layer.name]]
    if isinstance(layer, Product):
        return {"connections": int(product_pairs(layer, *(np.ones((1, *s)) for s in shapes))[0])}
    return {
        "connections": int(fan_out(layer, shapes[0])[layer.weight.index[0]].sum()),
        "weights": layer.weight.values.size,
        "weights_at_once": math.prod(layer.weight.shape),
        "biases": 0 if layer.bias is None else layer.bias.values.size,
        "biased": int(bias_reads(layer, graph.shapes[layer.name])[0]),
    }


def _weight_bytes(graph: DeployGraph) -> int:
    """Bytes of one weight in memory: those of the fixed tables' type, or of a float32."""
    if graph.arithmetic != "fixed":
        return FLOAT_BYTES
    return max((w.weight.dtype.itemsize for w in graph.layers if isinstance(w, (Conv, Linear))), default=1)
