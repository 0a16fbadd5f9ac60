"""Where a test may demand equal bits of float32, and how far apart results may lie elsewhere.

Sums have no stated order, so two implementations, or one on two processors, agree bit for bit only where sums are
exact in any order: where `order_free.analyse` says so. Additions of signals are no such sums: every format and
executor states them as a chain of additions of two numbers, in the order of the graph's edges, each of which IEEE 754
rounds in one way only. The same holds for the products and sums of a neuron, of a scale and of the readout.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from asnn_deploy.analysis.flow import flow
from asnn_deploy.analysis.order_free import analyse
from asnn_deploy.engine import runner as reference
from asnn_deploy.ir.layers import Add, Conv, Linear, Pool, Readout, Scale
from asnn_deploy.ir.signals import FLOAT32_BITS, Kind
from asnn_deploy.ir.trace import Record

UNIT_ROUNDOFF = 2.0**-FLOAT32_BITS
EVERYTHING = Record(spikes=True, potentials=True, step_logits=True)


def order_dependent(graph):
    """Why the float32 sums of a layer may depend on their order, by the layer's name; empty if none does."""
    if graph.arithmetic == "fixed":
        return {}
    entries = analyse(graph)
    found = {
        name: next(entry.reason for entry in of_layer if not entry.exact)
        for name, of_layer in entries.items()
        if not isinstance(graph.by_name[name], Add) and not all(entry.exact for entry in of_layer)
    }
    for layer in graph.layers:
        if isinstance(layer, Pool) and layer.mode != "max":
            source = graph.inputs_of[layer.name][0].source
            x = flow(graph)[source]
            if (x.grid is None or x.kind == Kind.CURRENTS) and not fits(
                entries.get(source, []), math.prod(layer.kernel)
            ):
                found[layer.name] = f"adds up {math.prod(layer.kernel)} currents of {source!r}"
    return found


def fits(entries, window):
    """Whether sums of that many of a layer's currents are exact: they lie on one grid and take at most 24 bits."""
    if not entries or not all(entry.exact for entry in entries):
        return False
    grid = min(entry.grid for entry in entries)
    return max(entry.bits + entry.grid - grid for entry in entries) + math.ceil(math.log2(window)) <= FLOAT32_BITS


def assert_order_free(graph):
    """Raise AssertionError, naming layers, if equal bits would be luck."""
    assert order_dependent(graph) == {}


def answering(graph):
    """The layers from which nothing reaches a neuron."""
    reaching = {neuron.name for neuron in graph.neurons}
    for _ in graph.layers:
        reaching |= {edge.source for edge in graph.edges if edge.target in reaching}
    return [layer for layer in graph.layers if layer.name not in reaching]


def operations(graph, layer):
    """How many roundings one summand can meet in a layer."""
    if isinstance(layer, (Conv, Linear)):
        return layer.weight.values[0][0].size + 1  # a product and additions, and the bias
    if isinstance(layer, Pool):
        return math.prod(layer.kernel) + 1
    if isinstance(layer, Add):
        return len(graph.inputs_of[layer.name])
    return 2 if isinstance(layer, Readout) else 1


def magnitudes(graph):
    """The graph whose answer is the sum of the magnitudes of all that is added up behind the last neurons."""
    behind = {layer.name for layer in answering(graph)}
    fields = {Conv: ("weight", "bias"), Linear: ("weight", "bias"), Scale: ("factor",), Readout: ("scale", "bias")}
    layers = []
    for layer in graph.layers:
        tables = {name: getattr(layer, name) for name in fields.get(type(layer), ()) if layer.name in behind}
        layers.append(replace(layer, **{name: table and table.map(np.abs) for name, table in tables.items()}))
    return replace(graph, layers=tuple(layers))


def rounding_bound(graph, images):
    """How far two float32 answers of one network can lie apart if the spikes are equal: `[T, B, classes]`.

    gamma_n = n u / (1 - n u) times the sum of magnitudes, for each of both, with u = 2^-24 and n roundings on the way of
    a summand (N. Higham, Accuracy and Stability of Numerical Algorithms, 2nd edition, section 3.1). The sum of
    magnitudes is a float32 sum too, and may be too small by the same share.
    """
    n = sum(operations(graph, layer) for layer in answering(graph)) + graph.time_steps
    gamma = n * UNIT_ROUNDOFF / (1 - n * UNIT_ROUNDOFF)
    total = reference.run(magnitudes(graph), images, EVERYTHING).step_logits.astype(np.float64)
    return 2 * gamma / (1 - gamma) * total


def assert_answers(graph, images, step_logits, logits, expected):
    """Equal bits if the network is order-free, else equal within the rounding bound."""
    dependent = order_dependent(graph)
    behind = {layer.name for layer in answering(graph)}
    assert set(dependent) <= behind, f"spikes depend on the order of sums: {dependent}"
    bound = rounding_bound(graph, images) if dependent else np.zeros(expected.step_logits.shape)
    if step_logits is not None:
        assert step_logits.dtype == expected.step_logits.dtype
        assert (np.abs(step_logits.astype(np.float64) - expected.step_logits) <= bound).all()
    assert logits.dtype == expected.logits.dtype
    assert (np.abs(logits.astype(np.float64) - expected.logits) <= bound.sum(axis=0)).all()


def assert_same(graph, images, found, expected):
    """Spikes and potentials equal bit for bit, answers as `assert_answers` says; dtypes and shapes alike."""
    assert list(found.spikes) == list(expected.spikes) == [neuron.name for neuron in graph.spiking]
    for name, spikes in expected.spikes.items():
        assert found.spikes[name].dtype == np.uint8
        assert found.potentials[name].dtype == expected.potentials[name].dtype
        np.testing.assert_array_equal(found.spikes[name], spikes, err_msg=name, strict=True)
        np.testing.assert_array_equal(found.potentials[name], expected.potentials[name], err_msg=name)
    assert_answers(graph, images, found.step_logits, found.logits, expected)
