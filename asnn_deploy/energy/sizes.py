"""What a layer is for counting and pricing: how many neurons, synapses, weights and states it has."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.layers import Layer, Neuron, Product, Synapses
from asnn_deploy.ir.neurons.program import counted

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
    neurons = {neuron.name for neuron in graph.neurons}
    word = _weight_bytes(graph)
    state = FIXED_STATE_BYTES if graph.arithmetic == "fixed" else FLOAT_BYTES
    rows = {}
    for layer in graph.layers:
        if layer.synaptic or layer.fires:
            shapes = [graph.shapes[e.source] for e in graph.inputs_of[layer.name]]
            specific = _of_neurons(layer, graph) if isinstance(layer, Neuron) else _of_synapses(layer, graph)
            rows[layer.name] = Sizes(
                layer.name,
                layer.kind,
                inputs=sum(math.prod(shape) for shape in shapes),
                outputs=math.prod(graph.shapes[layer.name]),
                after_neurons=any(name in neurons for name in graph.ancestors(layer.name)),
                weight_bytes=word,
                state_bytes=state,
                **specific,
            )
    return rows


def _of_neurons(layer: Neuron, graph: DeployGraph) -> dict[str, int]:
    work = counted(layer, graph.arithmetic == "fixed", graph.shapes[layer.name])
    return {
        "neurons": math.prod(graph.shapes[layer.name]),
        "states": len(layer.definition.states),
        "multiplications": work.multiplications,
        "additions": work.additions + work.comparisons,
    }


def _of_synapses(layer: Layer, graph: DeployGraph) -> dict[str, int]:
    shapes = [graph.shapes[e.source] for e in graph.inputs_of[layer.name]]
    if isinstance(layer, Product):
        return {"connections": int(layer.pairs(*(np.ones((1, *s)) for s in shapes))[0])}
    assert isinstance(layer, Synapses)
    return {
        "connections": int(layer.fan_out(shapes[0])[layer.weight.index[0]].sum()),
        "weights": layer.weight.values.size,
        "weights_at_once": math.prod(layer.weight.shape),
        "biases": 0 if layer.bias is None else layer.bias.values.size,
        "biased": int(layer.bias_reads(graph.shapes[layer.name])[0]),
    }


def _weight_bytes(graph: DeployGraph) -> int:
    """Bytes of one weight in memory: those of the fixed tables' type, or of a float32."""
    if graph.arithmetic != "fixed":
        return FLOAT_BYTES
    return max((layer.weight.dtype.itemsize for layer in graph.synapses), default=1)
