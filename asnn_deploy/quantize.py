"""Post-training quantisation: a float DeployGraph to one in integers, with the proof that nothing overflows.

Every signal is an integer times a unit. Input frames and spikes have unit 1. A synaptic layer's weights become
`w_q = round(w / u)` with `u = clip * max |w| / (2**(bits-1) - 1)`, one u for each of its K weights (so that the analog
step's small weights keep their own scale); its bias moves behind the gain of the neuron that it feeds. A neuron's
membrane unit is `threshold / 2**k` with the largest k for which interval arithmetic keeps the membrane in 24 bits;
its gain absorbs all units: `gain_q[t] = round(gain[t] * u[t] / membrane unit * 2**gain_shift)`. See `fixed_point.py`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from asnn_deploy.engine.steppers import over_axes
from asnn_deploy.errors import InputError
from asnn_deploy.fixed_point import (
    ACCUMULATOR_BITS,
    GAIN_BITS,
    LEAK_BITS,
    LEAK_SHIFT,
    STATE_BITS,
    largest,
)
from asnn_deploy.graph import Conv, DeployGraph, Edge, Layer, Linear, Neuron, Readout
from asnn_deploy.neurons import model_of
from asnn_deploy.ranges import delayed, largest_leaving, row_sums
from asnn_deploy.step_table import Array, StepTable

DEFAULT_BITS = 8
THRESHOLD_BITS = 16
"""A threshold is at most 2**16 membrane units: finer than any leak or gain mantissa resolves."""


@dataclass(frozen=True)
class Signal:
    """What an integer signal is worth: `value = integer * unit[t] + bias[t]`; `bound[t]` limits the integer.

    unit, bound: `[T]`; bias: `[T, C_out]` of a current, None where there is none.
    """

    unit: Array
    bound: Array
    bias: Array | None = None


def check_bits(bits: int) -> int:
    """The weight bits, if they are 2 to 8. Raises InputError."""
    if not 2 <= bits <= 8:
        raise InputError(f"--bits {bits}: weights have 2 to 8 bits")
    return bits


def quantize(graph: DeployGraph) -> DeployGraph:
    """The integer version of a float graph, by the choices in `graph.quantization` (8 bits and no clipping without).

    Raises GraphError naming the layer where a kind of layer, neuron or value has no integer counterpart.
    """
    if graph.arithmetic == "fixed":
        return graph
    bits = check_bits(int(graph.quantization.get("bits", DEFAULT_BITS)))
    steps = graph.time_steps
    signals: dict[str, Signal] = {"input": Signal(np.ones(steps), graph.code.largest.astype(float))}
    layers: list[Layer] = []
    for layer in graph.layers:
        inputs = [_arriving(graph, signals, edge) for edge in graph.inputs_of[layer.name]]
        new, signals[layer.name] = _quantize_layer(graph, layer, inputs, bits)
        layers.append(new)
    result = replace(graph, layers=tuple(layers), arithmetic="fixed")
    return _with_bounds(result, signals)


def _with_bounds(graph: DeployGraph, signals: Mapping[str, Signal]) -> DeployGraph:
    """Every accumulator fits its register, or GraphError names the layer."""
    for layer in graph.layers:
        worst = float(signals[layer.name].bound.max())
        if worst > largest(ACCUMULATOR_BITS):
            raise layer.refuse(f"a sum can reach {worst:.4g}, beyond {ACCUMULATOR_BITS} bits signed")
    return graph


def _arriving(graph: DeployGraph, signals: Mapping[str, Signal], edge: Edge) -> Signal:
    """What arrives over an edge. What comes back from a later layer must be spikes: nothing else is known of it yet."""
    if edge.source in signals:
        signal = signals[edge.source]
        bias = None if signal.bias is None else delayed(signal.bias, edge.delay)
        unit = delayed(signal.unit, edge.delay, before=float(signal.unit[0]))
        return Signal(unit, delayed(signal.bound, edge.delay), bias)
    source = graph.by_name[edge.source]
    if not isinstance(source, Neuron):
        raise source.refuse("leads back to an earlier layer; in integers only spikes can do so")
    return _spikes(graph.time_steps)


def _spikes(steps: int) -> Signal:
    return Signal(np.ones(steps), np.ones(steps))


def _quantize_layer(graph: DeployGraph, layer: Layer, x: list[Signal], bits: int) -> tuple[Layer, Signal]:
    steps = graph.time_steps
    if isinstance(layer, (Conv, Linear)):
        return _quantize_synapses(graph, layer, x[0], bits)
    if isinstance(layer, Neuron):
        return _quantize_neuron(graph, layer, x[0]), _spikes(steps)
    if isinstance(layer, Readout):
        return _quantize_readout(graph, layer, x[0])
    if layer.kind == "pool" and getattr(layer, "mode", "") == "average":
        if x[0].bias is not None and any(layer.padding):  # type: ignore[attr-defined]
            raise layer.refuse("averages a current with a bias over its padding, which has none")
        size = math.prod(layer.kernel)  # type: ignore[attr-defined]
        summed = replace(layer, mode="sum")  # type: ignore[call-arg]
        return summed, Signal(x[0].unit / size, x[0].bound * size, x[0].bias)
    if layer.kind in ("pool", "flatten", "product", "add"):
        if any(s.bias is not None for s in x) or any(not np.array_equal(s.unit, x[0].unit) for s in x):
            raise layer.refuse("joins currents of different scales; only spikes and counts can be joined in integers")
        bound = largest_leaving(layer, graph, [s.bound for s in x])
        return layer, Signal(np.prod([s.unit for s in x], axis=0) if layer.kind == "product" else x[0].unit, bound)
    raise layer.refuse("has no integer counterpart")


def _quantize_synapses(graph: DeployGraph, layer: Conv | Linear, x: Signal, bits: int) -> tuple[Layer, Signal]:
    if x.bias is not None:
        raise layer.refuse("reads a current with a bias; only spikes, counts and the input can be read in integers")
    clip = float(graph.quantization.get(layer.name, 1.0))
    top = largest(bits)
    units = [clip * float(np.abs(w).max()) / top or 1.0 for w in layer.weight.values]
    integers = [np.clip(np.rint(w.astype(np.float64) / u), -top, top) for w, u in zip(layer.weight.values, units)]
    weight = StepTable(np.stack(integers).astype(np.int8), layer.weight.index)
    unit = x.unit * np.array(units)[layer.weight.index]
    bound = np.array([row_sums(weight.at(t)).max() * x.bound[t] for t in range(graph.time_steps)])
    bias = None if layer.bias is None else layer.bias.expanded().astype(np.float64)
    return replace(layer, weight=weight, bias=None), Signal(unit, bound, bias)


def _quantize_neuron(graph: DeployGraph, layer: Neuron, x: Signal) -> Neuron:
    if layer.model != "lif":
        raise layer.refuse(f"neuron model {layer.model!r} has no integer definition; only 'lif' has")
    steps, shape = graph.time_steps, graph.shapes[layer.name]
    leak = _leak_table(layer)
    gain = _expanded(layer, "gain", shape)
    threshold = layer.parameters.get("threshold") or StepTable.constant(
        np.float32(model_of(layer).parameters["threshold"].default), steps
    )
    bias: list[Array] = [np.zeros(())] * steps
    if x.bias is not None:
        bias = [gain[t] * over_axes(x.bias[t], shape) for t in range(steps)]
    if "bias" in layer.parameters:
        own = _expanded(layer, "bias", shape)
        bias = [bias[t] + own[t] for t in range(steps)]
    if not float(threshold.values.min()) > 0:
        raise layer.refuse(f"threshold {threshold.values.min():g} has no integer version; it must be positive")
    for exponent in range(THRESHOLD_BITS, 4, -1):
        per_volt = 2.0**exponent / float(np.max(threshold.values))
        offsets = [np.rint(b * per_volt) for b in bias]
        if max(float(np.abs(b).max()) for b in offsets) > largest(STATE_BITS):
            continue
        shifts, mantissas = _gain_mantissas([gain[t] * x.unit[t] * per_volt for t in range(steps)], x.bound)
        if not shifts:
            continue
        new = Neuron(
            layer.name,
            layer.model,
            {
                "leak": leak,
                "gain": _per_step_like(layer.parameters["gain"], mantissas),
                "gain_shift": StepTable.per_step(np.array(shifts, dtype=np.int32)),
                "threshold": threshold.map(lambda v, s=per_volt: np.rint(v.astype(np.float64) * s).astype(np.int32)),
                "bias": StepTable.per_step([b.astype(np.int32) for b in offsets]),
            },
            layer.reset,
        )
        if max(membrane_bound(new, x.bound)) <= largest(STATE_BITS):
            return new
    raise layer.refuse(f"its membrane potential can leave {STATE_BITS} bits at every threshold down to 2^5 units")


def _expanded(layer: Neuron, key: str, shape: tuple[int, ...]) -> list[Array]:
    table = layer.parameters[key]
    return [over_axes(table.at(t).astype(np.float64), shape) for t in range(table.time_steps)]


def _leak_table(layer: Neuron) -> StepTable:
    leak = layer.parameters["leak"].map(lambda v: np.rint(v.astype(np.float64) * 2**LEAK_SHIFT))
    for t in range(leak.time_steps):
        if np.abs(leak.at(t)).max() > largest(LEAK_BITS):
            found = layer.parameters["leak"].at(t)
            worst = found.flat[np.abs(found).argmax()]
            raise layer.refuse(f"leak {worst:.4g} at step {t} lies outside the format's range (-8, 8)")
    return leak.astype(np.int32)


def _gain_mantissas(factors: list[Array], bound: Array) -> tuple[list[int], list[Array]]:
    """For each step the largest shift that the gain's width and the 32-bit product allow, and the mantissas.

    Nothing where even shift 0 is too much.
    """
    shifts = []
    for factor, limit in zip(factors, bound):
        top = float(np.abs(factor).max())
        room = min(largest(GAIN_BITS), largest(ACCUMULATOR_BITS) / max(float(limit), 1.0)) / top if top else 1.0
        if room < 1:
            return [], []
        shifts.append(min(30, math.floor(math.log2(room))))
    mantissas = [np.rint(factor * 2.0**shift) for factor, shift in zip(factors, shifts)]
    worst = max(float(np.abs(m).max()) * float(limit) for m, limit in zip(mantissas, bound))
    return (shifts, mantissas) if worst <= largest(ACCUMULATOR_BITS) else ([], [])


def _per_step_like(table: StepTable, values: list[Array]) -> StepTable:
    return StepTable.per_step([v.reshape(table.shape).astype(np.int32) for v in values])


def membrane_bound(neuron: Neuron, input_bound: Array) -> list[float]:
    """The largest magnitude of the membrane potential before the reset at each step, by interval arithmetic."""
    p = neuron.parameters
    low, high, worst = 0.0, 0.0, []
    for t in range(len(input_bound)):
        leak = np.array([p["leak"].at(t).min(), p["leak"].at(t).max()]) / 2**LEAK_SHIFT
        decayed = np.multiply.outer(leak, [low, high])
        drive = float(np.abs(p["gain"].at(t)).max()) * float(input_bound[t]) / 2.0 ** float(p["gain_shift"].at(t))
        bias = p["bias"].at(t)
        low = float(decayed.min()) - drive + float(bias.min())
        high = float(decayed.max()) + drive + float(bias.max())
        worst.append(max(-low, high))
        # What has not fired is at most the largest threshold; what has fired gave up at least the smallest one.
        quiet = min(high, float(p["threshold"].at(t).max()))
        if neuron.reset == "zero":
            low, high = min(low, 0.0), max(quiet, 0.0)
        else:
            high = max(quiet, high - float(p["threshold"].at(t).min()))
    return worst


def _quantize_readout(graph: DeployGraph, layer: Readout, x: Signal) -> tuple[Readout, Signal]:
    steps, shape = graph.time_steps, graph.shapes[layer.name]
    scale = [layer.scale.at(t).astype(np.float64) * x.unit[t] for t in range(steps)]
    bias = [np.zeros(shape)] * steps if x.bias is None else [layer.scale.at(t) * x.bias[t] for t in range(steps)]
    top = max(float(np.abs(s).max()) for s in scale) or 1.0
    total = sum(float(np.abs(s).max()) * float(b) for s, b in zip(scale, x.bound)) + sum(
        float(np.abs(b).max()) for b in bias
    )
    unit = max(top / largest(GAIN_BITS), 1.01 * total / largest(ACCUMULATOR_BITS))
    integers = [np.rint(s / unit).astype(np.int32) for s in scale]
    new = Readout(
        layer.name,
        StepTable.per_step(integers),
        StepTable.per_step([np.rint(b / unit).astype(np.int32) for b in bias]),
        unit=unit,
    )
    bounds = [float(np.abs(s).max()) * float(b) for s, b in zip(integers, x.bound)]
    return new, Signal(np.full(steps, unit), np.cumsum(bounds))


def calibrate(graph: DeployGraph, images: Array, bits: int = DEFAULT_BITS) -> DeployGraph:
    """The graph with weight clips chosen on data: layer by layer, the clip whose spikes differ least from the float's.

    images: uint8 `[N, C, H, W]`. With few bits, clipping a layer's few largest weights gives the others a finer step.
    """
    from asnn_deploy.reference import run
    from asnn_deploy.trace import Record

    record = Record(spikes=True)
    expected = run(graph, images, record)
    chosen: dict[str, float] = {"bits": float(check_bits(bits))}
    for layer in graph.layers:
        if not isinstance(layer, (Conv, Linear)):
            continue
        scores = []
        for clip in (1.0, 0.9, 0.8, 0.7, 0.6, 0.5):
            trial = replace(graph, quantization={**chosen, layer.name: clip})
            got = run(quantize(trial), images, record)
            wrong = sum(int(np.count_nonzero(got.spikes[k] != expected.spikes[k])) for k in expected.spikes)
            scores.append((wrong, float(np.abs(got.logits - expected.logits).sum()), -clip))
        chosen[layer.name] = -min(scores)[2]
    return replace(graph, quantization=chosen)
