"""A counter for tests that visits every single connection in plain Python loops; small networks only."""

from __future__ import annotations

import itertools
from collections import defaultdict

import numpy as np

from asnn_deploy.ir.graph import INPUT

KEYS = ("macs", "acs", "macs_graded", "acs_graded", "spikes_in", "values_in", "spikes_out", "neuron_updates")


def count(graph, images, spikes):
    """Counts `{layer: {key: [B, T]}}` of uint8 images `[B, C, H, W]` and spikes `{layer: [T, B, ...]}`."""
    found = defaultdict(lambda: {key: np.zeros((len(images), graph.time_steps)) for key in KEYS})
    for b, image in enumerate(images):
        history = []
        for t in range(graph.time_steps):
            signals = {INPUT: (not graph.code.analog[t], graph.code.table[t][image].astype(float))}
            history.append(signals)
            for layer in graph.layers:
                inputs = [
                    history[t - e.delay][e.source] if e.delay <= t else (True, np.zeros(graph.shapes[e.source]))
                    for e in graph.inputs_of[layer.name]
                ]
                row = found[layer.name]
                if layer.kind == "neuron":
                    signals[layer.name] = (True, spikes[layer.name][t, b].astype(float))
                    row["spikes_out"][b, t] = spikes[layer.name][t, b].sum()
                    row["neuron_updates"][b, t] = spikes[layer.name][t, b].size
                elif layer.kind in ("conv", "linear", "product"):
                    signals[layer.name] = (
                        layer.kind == "product" and all(s for s, _ in inputs),
                        visit(graph, layer, t, inputs, {key: (row[key], b) for key in KEYS}),
                    )
                else:
                    signals[layer.name] = BETWEEN[layer.kind](layer, t, inputs)
    return found


def visit(graph, layer, t, inputs, row):
    """Every connection of one synaptic layer: add what it costs to the row; returns the layer's output."""

    def add(key, amount):
        array, b = row[key]
        array[b, t] += amount

    as_spikes = all(s for s, _ in inputs)
    for _, x in inputs:
        add("spikes_in" if as_spikes else "values_in", x.sum() if as_spikes else np.count_nonzero(x))
    out = np.zeros(graph.shapes[layer.name])
    for position, factors, weight in CONNECTIONS[layer.kind](graph, layer, t, [x for _, x in inputs]):
        product = weight * float(np.prod(factors))
        out[position] += product
        if not weight or not all(factors):
            continue
        if as_spikes:
            add("acs", np.prod(factors))
            add("acs_graded" if np.prod(factors) == 1 else "macs_graded", 1)
        else:
            add("macs", 1)
            add("macs_graded", 1)
    return out


def conv(graph, layer, t, inputs):
    (x,) = inputs
    weight = layer.weight.at(t)
    c_out, per_group, *kernel = weight.shape
    for o in range(c_out):
        first = (o // (c_out // layer.groups)) * per_group
        for place in itertools.product(*(range(n) for n in graph.shapes[layer.name][1:])):
            for c in range(per_group):
                for k in itertools.product(*(range(n) for n in kernel)):
                    at = [
                        p * s - pad + d * i
                        for p, s, pad, d, i in zip(place, layer.stride, layer.padding, layer.dilation, k)
                    ]
                    if all(0 <= a < n for a, n in zip(at, x.shape[1:])):
                        yield (o, *place), [x[(first + c, *at)]], float(weight[(o, c, *k)])


def linear(_graph, layer, t, inputs):
    (x,) = inputs
    weight = layer.weight.at(t)
    for o, i in itertools.product(*(range(n) for n in weight.shape)):
        yield (o,), [x[i]], float(weight[o, i])


def product(_graph, layer, _step, inputs):
    left, right = layer.equation.split("->")
    terms = left.split(",")
    sizes = {axis: n for term, x in zip(terms, inputs) for axis, n in zip(term, x.shape)}
    for values in itertools.product(*(range(n) for n in sizes.values())):
        at = dict(zip(sizes, values))
        factors = [x[tuple(at[a] for a in term)] for term, x in zip(terms, inputs)]
        yield tuple(at[a] for a in right), factors, 1.0


CONNECTIONS = {"conv": conv, "linear": linear, "product": product}


def pool(layer, _step, inputs):
    ((as_spikes, x),) = inputs
    sizes = [(n + 2 * p - k) // s + 1 for n, k, s, p in zip(x.shape[1:], layer.kernel, layer.stride, layer.padding)]
    out = np.zeros((x.shape[0], *sizes))
    for at in np.ndindex(*out.shape):
        window = []
        for k in itertools.product(*(range(n) for n in layer.kernel)):
            place = [p * s - pad + i for p, s, pad, i in zip(at[1:], layer.stride, layer.padding, k)]
            inside = all(0 <= a < n for a, n in zip(place, x.shape[1:]))
            window.append(x[(at[0], *place)] if inside else 0.0)
        out[at] = {"max": max, "sum": sum, "average": lambda w: sum(w) / len(w)}[layer.mode](window)
    return as_spikes and layer.mode != "average", out


BETWEEN = {
    "pool": pool,
    "reshape": lambda layer, _t, inputs: (inputs[0][0], inputs[0][1].reshape(layer.shape)),
    "flatten": lambda _layer, _t, inputs: (inputs[0][0], inputs[0][1].ravel()),
    "add": lambda _layer, _t, inputs: (all(s for s, _ in inputs), sum(x for _, x in inputs)),
    "scale": lambda layer, t, inputs: (False, (inputs[0][1].T * layer.factor.at(t).T).T),  # of channels, too
    "readout": lambda _layer, _t, inputs: (False, inputs[0][1]),
}
