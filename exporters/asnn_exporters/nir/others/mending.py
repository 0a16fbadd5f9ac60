"""A network with what its tool's exporter writes otherwise than NIR means it put right, and with neurons that fire
before their input as those that fire after it, a step later: both before anything is made of its nodes."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from asnn_deploy.ir.layers import Linear
from asnn_deploy.ir.meaning import Meaning
from asnn_deploy.ir.step_table import StepTable
from asnn_deploy.util.names import free_name
from asnn_exporters.nir.others.network import Network, Node

EARLY = "early-subtract"
WEIGHTS, NEURONS = ("Affine", "Linear"), ("IF", "LIF", "CubaLIF")


def mended(network: Network, meaning: Meaning) -> tuple[Network, Meaning]:
    """Return a network that means by NIR's text what `meaning` makes of this one, and the rules of its nodes."""
    if "recurrent layers" in meaning.mends:
        network = _fed_at_the_neurons(network)
    if "flatten" in meaning.mends:
        network = _flattened_channels_first(network)
    return _after_their_input(network, meaning)


def _loops(network: Network) -> dict[str, str]:
    """The neurons that read themselves through one node of weights: weights by neuron."""
    edges = set(network.edges)
    return {
        a: b
        for a, b in network.edges
        if network.nodes[a].kind in NEURONS and network.nodes[b].kind in WEIGHTS and (b, a) in edges
    }


def _fed_at_the_neurons(network: Network) -> Network:
    """What enters a recurrent layer reaches its neurons, not the weights of its recurrent connection."""
    neuron_of = {weights: neuron for neuron, weights in _loops(network).items()}
    edges = tuple((a, neuron_of[b]) if b in neuron_of and a != neuron_of[b] else (a, b) for a, b in network.edges)
    return replace(network, edges=edges)


def _flattened_channels_first(network: Network) -> Network:
    """Weights behind a Flatten whose columns are in the order height, width, channels, in NIR's."""
    layers = dict(network.layers)
    for source, name in network.edges:
        node, layer = network.nodes[source], layers.get(name)
        if node.kind != "Flatten" or not isinstance(layer, Linear):
            continue
        before = [network.shapes[a] for a, b in network.edges if b == source]
        weight = layer.weight.values  # [K, out, height * width * channels]
        if len(before) != 1 or len(before[0]) < 2 or math.prod(before[0]) != weight.shape[2]:
            continue  # not all axes are flattened
        channels, *places = before[0]
        by_place = weight.reshape(*weight.shape[:2], *places, channels)
        moved = np.moveaxis(by_place, -1, 2).reshape(weight.shape)
        layers[name] = replace(layer, weight=StepTable(np.ascontiguousarray(moved), layer.weight.index))
    return replace(network, layers=layers)


def _after_their_input(network: Network, meaning: Meaning) -> tuple[Network, Meaning]:
    """In the place of a neuron that decides before its input, and whose threshold is taken off before the leak or whose
    spikes come back to it in the same step: a neuron that decides after its input, and one of the node's name that
    fires if that one has fired the step before."""
    loops = _loops(network) if "recurrent layers" in meaning.mends else {}
    early = [
        name
        for name, node in network.nodes.items()
        if meaning.of(name).reset == EARLY and (name in loops or (node.kind == "CubaLIF" and "leak" in meaning.mends))
    ]
    nodes, edges, shapes, rules = dict(network.nodes), list(network.edges), dict(network.shapes), list(meaning.nodes)
    for name in early:
        taken = set(nodes)
        before, delay = free_name(f"{name}_before", taken), free_name(f"{name}_delay", taken)
        node, shape = network.nodes[name], network.shapes[name]
        nodes[before] = Node(before, node.kind, node.fields)
        nodes[delay] = Node(delay, "Delay", {"delay": np.full(shape, meaning.dt)})
        nodes[name] = Node(name, "Threshold", {"threshold": np.full(shape, 0.5, np.float32)})
        shapes |= {before: shape, delay: shape}
        edges = [(a, before if b == name else b) for a, b in edges] + [(before, delay), (delay, name)]
        rules.append((before, "reset", "subtract" if node.kind == "CubaLIF" else "delayed-subtract"))
    if not early:
        return network, meaning
    return replace(network, nodes=nodes, edges=tuple(edges), shapes=shapes), replace(meaning, nodes=tuple(rules))
