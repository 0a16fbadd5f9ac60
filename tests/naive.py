"""A second executor for tests: plain Python numbers, one value at a time, written from the documented equations.

Float graphs run in numpy.float32 scalars, integer graphs in Python ints: NumPy arrays only hold them there. Slow; for small networks only.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
from membranes import clamped, relaxed, stepped


def run(graph, image):
    """One uint8 image `[C, H, W]` to (spikes {layer: [T, ...]}, potentials, logits)."""
    whole = graph.arithmetic == "fixed"
    number = int if whole else np.float32
    state = {n.name: {} for n in graph.neurons}
    current = {n.name: {} for n in graph.neurons}
    spikes = {n.name: [] for n in graph.spiking}
    history, answers, potentials = [], [], {n.name: [] for n in graph.neurons}
    for t in range(graph.time_steps):
        frame = image[t] if graph.code.kind == "sequence" else graph.code.table[t][image]
        if whole and graph.code.kind == "sequence" and graph.code.values == "values":
            frame = np.array([round(float(v) / graph.code.unit) for v in frame.ravel()]).reshape(frame.shape)
        signals = {"input": np.array([number(v) for v in frame.ravel()], dtype=object).reshape(frame.shape)}
        history.append(signals)
        for layer in graph.layers:
            inputs = []
            for edge in graph.inputs_of[layer.name]:
                if edge.delay > t:
                    inputs.append(np.full(graph.shapes[edge.source], number(0), dtype=object))
                else:
                    inputs.append(history[t - edge.delay][edge.source])
            signals[layer.name] = LAYERS[layer.kind](graph, layer, t, inputs, number, state, current)
        for neuron in graph.neurons:
            shape = graph.shapes[neuron.name]
            if neuron in graph.spiking:
                spikes[neuron.name].append(signals[neuron.name].astype(np.int64))
            potentials[neuron.name].append(
                np.array([state[neuron.name][i] for i in np.ndindex(*shape)], dtype=object).reshape(shape)
            )
        answers.append(signals[graph.readout.name].ravel())
    logits = [answered(graph.readout.rule, [x[c] for x in answers], number) for c in range(len(answers[0]))]
    unit = graph.readout.unit if whole else 1
    return (
        {k: np.stack(v) for k, v in spikes.items()},
        {k: np.stack(v) for k, v in potentials.items()},
        [x * unit for x in logits],
    )


def answered(rule, steps, number):
    """One class's answer of what the readout gives at each step."""
    if rule == "last":
        return steps[-1]
    if rule == "maximum":
        return max(steps)
    if rule == "first-spike":
        return next((len(steps) - t for t, x in enumerate(steps) if x > 0), 0)
    total = number(0)
    for x in steps:
        total = number(total + x)
    if rule == "mean":
        return total * (1 / len(steps)) if number is int else number(total * number(1 / len(steps)))
    return total


def value(table, t, index):
    """A parameter per layer, channel or neuron, for one element."""
    v = table.at(t)
    if v.ndim == 0:
        return v.item() if v.dtype.kind == "i" else np.float32(v)
    if v.ndim == 1 and len(index) > 1:
        index = index[:1]
    picked = v[tuple(i if n > 1 else 0 for i, n in zip(index, v.shape))]
    return picked.item() if v.dtype.kind == "i" else np.float32(picked)


def conv(graph, layer, t, inputs, number, state, current):
    (x,) = inputs
    w = layer.weight.at(t)
    out = np.empty(graph.shapes[layer.name], dtype=object)
    per_group_out, per_group_in = w.shape[0] // layer.groups, w.shape[1]
    for place in np.ndindex(*out.shape):
        total = number(0)
        for c, *k in np.ndindex(*w.shape[1:]):
            at = [
                p * s - q + d * kk for p, s, q, d, kk in zip(place[1:], layer.stride, layer.padding, layer.dilation, k)
            ]
            if all(0 <= a < n for a, n in zip(at, x.shape[1:])):
                source = place[0] // per_group_out * per_group_in + c
                total = number(total + number(number(w[(place[0], c, *k)]) * x[(source, *at)]))
        if layer.bias is not None:
            total = number(total + number(layer.bias.at(t)[place[0]]))
        out[place] = total
    return out


def linear(graph, layer, t, inputs, number, state, current):
    (x,) = inputs
    out = []
    for o, row in enumerate(layer.weight.at(t)):
        total = number(0)
        for w, v in zip(row, x):
            total = number(total + number(number(w) * v))
        out.append(total if layer.bias is None else number(total + number(layer.bias.at(t)[o])))
    return np.array(out, dtype=object)


def pool(graph, layer, t, inputs, number, state, current):
    (x,) = inputs
    out = np.empty(graph.shapes[layer.name], dtype=object)
    for place in np.ndindex(*out.shape):
        seen = []
        for k in itertools.product(*map(range, layer.kernel)):
            at = [p * s - q + kk for p, s, q, kk in zip(place[1:], layer.stride, layer.padding, k)]
            inside = all(0 <= a < n for a, n in zip(at, x.shape[1:]))
            seen.append(x[(place[0], *at)] if inside else number(0))
        if layer.mode == "max":
            out[place] = max(seen)
        else:
            total = number(0)
            for v in seen:
                total = number(total + v)
            out[place] = total if layer.mode == "sum" else number(total * number(1 / math.prod(layer.kernel)))
    return out


def shifted(x, shift):
    """Sign-magnitude truncation of x / 2**shift."""
    return -(-x >> shift) if x < 0 else x >> shift


def neuron(graph, layer, t, inputs, number, state, current):
    (x,) = inputs
    v_of, i_of = state[layer.name], current[layer.name]
    out = np.empty(graph.shapes[layer.name], dtype=object)
    for place in np.ndindex(*out.shape):
        p = {"threshold": number(1)} | {key: value(table, t, place) for key, table in layer.parameters.items()}
        if layer.model == "loihi-lif":
            p["threshold"] = p["vth"] * 64
        v = v_of.get(place, p.get("initial", number(0)))
        i_of[place], integrate = (whole_step if number is int else real_step)(
            layer.model, p, i_of.get(place, number(0)), x[place]
        )
        if layer.definition.spikes:
            sent, v_of[place] = stepped(v, integrate, p, layer.firing)
            out[place] = number(sent)
        else:
            out[place] = v_of[place] = integrate(v)
    return out


def whole_step(model, p, i, x):
    """The integer equations of docs/fixed-point.md: the synaptic current, and the potential before its reset of that
    before the step."""
    if model == "loihi-lif":
        return loihi_step(p, i, x)
    model = model.removeprefix("relaxing-")
    if model == "cuba-lif":
        i = x = clamped(
            shifted(i * p["current_leak"], 12)
            + shifted(x * p["current_gain"], p["current_shift"])
            + p.get("current_bias", 0)
        )

    def integrate(v):
        kept = v if model == "if" else shifted(v * p["leak"], 12)
        return clamped(kept + shifted(x * p["gain"], p["gain_shift"]) + p.get("bias", 0))

    return i, integrate


def loihi_step(p, i, x):
    """The same of Loihi's own neurons, as docs/loihi.md has them."""
    i = shifted(i * (4095 - p["du"]), 12) + x * 64
    if not -(2**23) < i <= 2**23:
        i -= 2**24 if i > 0 else -(2**24)
    bias = p.get("bias_mant", 0) * 2 ** p.get("bias_exp", 0)
    return i, lambda v: clamped(shifted(v * (4096 - p["dv"]), 12) + i + bias)


def real_step(model, p, i, x):
    """The same in float32, each product and sum rounded by itself."""
    f = np.float32
    if model == "cuba-lif":
        i = x = f(f(p["current_leak"] * i) + x)
    elif model == "relaxing-cuba-lif":
        i = x = f(f(i - f(p["current_rate"] * i)) + x)

    def integrate(v):
        if model.startswith("relaxing-"):
            return relaxed(p, v, x)
        kept = v if model == "if" else f(p["leak"] * v)
        v = f(kept + f(p["gain"] * x))
        return f(v + p["bias"]) if "bias" in p else v

    return i, integrate


def scale(graph, layer, t, inputs, number, state, current):
    (x,) = inputs
    out = np.empty(x.shape, dtype=object)
    for place in np.ndindex(*x.shape):
        out[place] = number(x[place] * value(layer.factor, t, place))
    return out


def readout(graph, layer, t, inputs, number, state, current):
    (x,) = inputs
    out = np.empty(x.shape, dtype=object)
    for place in np.ndindex(*x.shape):
        out[place] = number(x[place] * value(layer.scale, t, place))
        if layer.bias is not None:
            out[place] = number(out[place] + value(layer.bias, t, place))
    return out


def add(graph, layer, t, inputs, number, state, current):
    total = inputs[0]
    for x in inputs[1:]:
        pairs = zip(total.ravel(), x.ravel())
        total = np.array([number(a + b) for a, b in pairs], dtype=object).reshape(total.shape)
    return total


def product(graph, layer, t, inputs, number, state, current):
    terms, result = layer.equation.replace(" ", "").split("->")
    sizes = {axis: n for term, x in zip(terms.split(","), inputs) for axis, n in zip(term, x.shape)}
    out = np.full([sizes[axis] for axis in result], number(0), dtype=object)
    for place in itertools.product(*map(range, sizes.values())):
        at = dict(zip(sizes, place))
        left, right = (x[tuple(at[axis] for axis in term)] for term, x in zip(terms.split(","), inputs))
        where = tuple(at[axis] for axis in result)
        out[where] = number(out[where] + number(left * right))
    return out


LAYERS = {
    "conv": conv,
    "linear": linear,
    "pool": pool,
    "neuron": neuron,
    "scale": scale,
    "readout": readout,
    "add": add,
    "concat": lambda graph, layer, t, inputs, number, state, current: np.concatenate(inputs),
    "product": product,
    "reshape": lambda graph, layer, t, inputs, number, state, current: inputs[0].reshape(layer.shape),
    "flatten": lambda graph, layer, t, inputs, number, state, current: inputs[0].ravel(),
}
