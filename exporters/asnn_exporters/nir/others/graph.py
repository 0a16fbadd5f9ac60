"""A network of NIR nodes as a DeployGraph, by the rules of a tool."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np

from asnn_deploy.ir.graph import INPUT, DeployGraph, Edge
from asnn_deploy.ir.inputs import SequenceInput
from asnn_deploy.ir.layers import Add, Flatten, Layer, Readout
from asnn_deploy.ir.meaning import Meaning
from asnn_deploy.ir.step_table import StepTable
from asnn_deploy.util.names import free_name
from asnn_exporters.nir.others.mending import mended
from asnn_exporters.nir.others.network import NEURONS, Network, Node, layer_names
from asnn_exporters.nir.others.neurons import neuron_layers
from asnn_exporters.nir.others.wiring import in_cycles, in_order, summands, wires


def graph_of(network: Network, meaning: Meaning, *, round_delays: bool = False) -> DeployGraph:
    """Return the network for sequences of any length and of whatever numbers; layers with weights are shared.

    round_delays: delays that are not whole numbers of steps are rounded.
    Raises GraphError naming the node for such delays else, and for cycles whose place of delay is not known.
    """
    network, rules = mended(network, meaning)
    found = wires(network, meaning.dt, round_delays)
    ends = {end for wire in found for end in (wire.source, wire.target)}
    order = in_order(sorted(ends), found)
    names, recurrent = layer_names(network), in_cycles(found)
    taken = set(names.values())
    layers: list[Layer] = []
    edges: list[Edge] = []
    for name, read in summands(order, found).items():
        if name == network.input:
            continue
        chain = _chain(network, name, names[name], rules, name in recurrent)
        if len(read) > 1 and not isinstance(chain[0], Add):
            chain = [Add(f"{names[name]}_sum"), *chain]
        chain = [*(replace(layer, name=free_name(layer.name, taken)) for layer in chain[:-1]), chain[-1]]
        edges += [Edge(names[wire.source], chain[0].name, wire.delay) for wire in read]
        edges += [Edge(a.name, b.name) for a, b in pairwise(chain)]
        layers += chain
    assert names[network.input] == INPUT
    code = SequenceInput(None, "values", stated=False)
    return DeployGraph(network.shapes[network.input], code, tuple(layers), tuple(edges), dt=meaning.dt, meaning=meaning)


def _chain(network: Network, name: str, layer_name: str, meaning: Meaning, recurrent: bool) -> list[Layer]:
    """The layers of a node, one after another; the last has the node's name. A sum is there for nodes that only add."""
    node, shape = network.nodes[name], network.shapes[name]
    if name in network.layers:
        return [network.layers[name]]
    if name == network.output:
        readout = Readout(layer_name, StepTable.constant(np.float32(1), 1))
        return [Flatten(f"{layer_name}_flatten"), readout] if len(shape) > 1 else [readout]
    if node.kind not in NEURONS:
        return [Add(layer_name)]
    chain = neuron_layers(Node(layer_name, node.kind, node.fields), shape, meaning, recurrent)
    return [*chain[:-1], replace(chain[-1], name=layer_name)]
