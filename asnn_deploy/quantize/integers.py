"""A float DeployGraph to one in integers, with the proof that nothing overflows.

Every signal is an integer times a unit. Input frames and spikes have unit 1. A synaptic layer's weights become
integers by `asnn_deploy.quantization`, with units for each of its K weights (so that the analog step's small weights
keep their own scale) and, where what reads it allows, for each output channel; its bias moves behind the gain of the
neuron that it feeds. A neuron's membrane unit is `threshold / 2**k` with the largest k for which interval arithmetic
keeps the membrane in 24 bits; its gain absorbs all units:
`gain_q[t] = round(gain[t] * unit[t] / membrane unit * 2**gain_shift)`. See `fixed_point.py` and `intervals.py`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from asnn_deploy.fixed_point import ACCUMULATOR_BITS, GAIN_BITS, LEAK_BITS, LEAK_SHIFT, STATE_BITS, largest
from asnn_deploy.graph import INPUT, Conv, DeployGraph, Edge, Flatten, Layer, Linear, Neuron, Pool, Readout
from asnn_deploy.intervals import Interval, frames, leaving, membrane, prove
from asnn_deploy.neurons import model_of
from asnn_deploy.quantization import Quantization, integer_weight, weight_units
from asnn_deploy.ranges import delayed
from asnn_deploy.step_table import Array, StepTable, over_axes

THRESHOLD_BITS = range(16, 4, -1)
"""A threshold is at most 2**16 membrane units, finer than any leak or gain mantissa resolves, and at least 2**5."""
LARGEST_SHIFT = 30
"""Of a gain mantissa."""


@dataclass(frozen=True)
class Signal:
    """What an integer signal is worth: `value = integer * unit[t] + bias[t]`.

    unit: `[T, C]` or `[T, 1]`; bias: `[T, C]` of a current, None where there is none; interval: the integer's.
    """

    unit: Array
    interval: Interval
    bias: Array | None = None

    def later(self, delay: int) -> Signal:
        """That many steps later."""
        unit = np.concatenate([self.unit[:1].repeat(delay, axis=0), self.unit])[: len(self.unit)]
        bias = None if self.bias is None else delayed(self.bias, delay)
        return Signal(unit, self.interval.later(delay), bias)


def quantize(graph: DeployGraph) -> DeployGraph:
    """The integer version of a float graph, by the choices in `graph.quantization`.

    Raises GraphError naming the layer where a kind of layer, neuron or value has no integer counterpart, and the step
    and the bound where a value could leave its register.
    """
    if graph.arithmetic == "fixed":
        return graph
    signals: dict[str, Signal] = {INPUT: Signal(np.ones((graph.time_steps, 1)), frames(graph))}
    layers: list[Layer] = []
    for layer in graph.layers:
        inputs = [_arriving(graph, signals, edge) for edge in graph.inputs_of[layer.name]]
        new, unit, bias = _quantize_layer(graph, layer, inputs)
        interval = leaving(new, graph, [x.interval for x in inputs]).signal
        signals[layer.name] = Signal(unit, interval, bias)
        layers.append(new)
    result = replace(graph, layers=tuple(layers), arithmetic="fixed")
    prove(result)
    return result


def _arriving(graph: DeployGraph, signals: Mapping[str, Signal], edge: Edge) -> Signal:
    """What arrives over an edge. What comes back from a later layer must be spikes: nothing else is known of it yet."""
    if edge.source in signals:
        return signals[edge.source].later(edge.delay)
    source = graph.by_name[edge.source]
    if not isinstance(source, Neuron):
        raise source.refuse("leads back to an earlier layer; in integers only spikes can do so")
    ones = np.ones((graph.time_steps, 1))
    return Signal(ones, Interval(ones * 0, ones))


def _quantize_layer(graph: DeployGraph, layer: Layer, x: list[Signal]) -> tuple[Layer, Array, Array | None]:
    """The integer layer, and the unit and bias of what leaves it."""
    if isinstance(layer, (Conv, Linear)):
        return _quantize_synapses(graph, layer, x[0])
    if isinstance(layer, Neuron):
        return _quantize_neuron(graph, layer, x[0]), np.ones((graph.time_steps, 1)), None
    if isinstance(layer, Readout):
        new = _quantize_readout(graph, layer, x[0])
        return new, np.full((graph.time_steps, 1), new.unit), None
    if isinstance(layer, Pool):
        return _quantize_pool(layer, x[0])
    if isinstance(layer, Flatten):
        shape = graph.shapes[graph.inputs_of[layer.name][0].source]
        each = math.prod(shape[1:])
        unit = x[0].unit.repeat(each, axis=1) if x[0].unit.shape[1] > 1 else x[0].unit
        return layer, unit, None if x[0].bias is None else x[0].bias.repeat(each, axis=1)
    if layer.kind in ("product", "add"):
        if any(s.bias is not None for s in x) or any(not np.array_equal(s.unit, x[0].unit) for s in x):
            raise layer.refuse("joins currents of different scales; only spikes and counts can be joined in integers")
        return layer, np.prod([s.unit for s in x], axis=0) if layer.kind == "product" else x[0].unit, None
    raise layer.refuse("has no integer counterpart")


def _quantize_pool(layer: Pool, x: Signal) -> tuple[Layer, Array, Array | None]:
    if x.bias is not None and any(layer.padding):
        raise layer.refuse("pools a current with a bias over its padding, which has none")
    size = math.prod(layer.kernel)
    if layer.mode == "average":
        return replace(layer, mode="sum"), x.unit / size, x.bias
    return layer, x.unit, x.bias if layer.mode == "max" or x.bias is None else x.bias * size


def has_channel_scales(graph: DeployGraph, name: str) -> bool:
    """Whether a layer's weights may have one unit a channel: only neurons and readouts, with gains of their own,
    read it, directly or through poolings and flattening."""
    readers = [graph.by_name[edge.target] for edge in graph.edges if edge.source == name]
    return graph.quantization.scales == "channel" and all(
        isinstance(reader, (Neuron, Readout))
        or (isinstance(reader, (Pool, Flatten)) and has_channel_scales(graph, reader.name))
        for reader in readers
    )


def unit_table(graph: DeployGraph, layer: Conv | Linear, choices: Quantization) -> Array:
    """The weight units of a layer, `[K, C]` or `[K, 1]`."""
    kinds, each = len(layer.weight.values), has_channel_scales(graph, layer.name)
    clips = choices.clip_table(layer.name, kinds)
    if clips.shape[1] not in (1, len(layer.weight.values[0]) if each else 1):
        raise layer.refuse(
            f"has {clips.shape[1]} weight clips; the layer's scales need another number; calibrate again"
        )
    return np.stack([weight_units(w, choices.bits, c, each) for w, c in zip(layer.weight.values, clips)])


def _quantize_synapses(
    graph: DeployGraph, layer: Conv | Linear, x: Signal
) -> tuple[Conv | Linear, Array, Array | None]:
    if x.bias is not None:
        raise layer.refuse("reads a current with a bias; only spikes, counts and the input can be read in integers")
    units = unit_table(graph, layer, graph.quantization)
    integers = [integer_weight(w, u, graph.quantization.bits) for w, u in zip(layer.weight.values, units)]
    weight = StepTable(np.stack(integers), layer.weight.index)
    bias = None if layer.bias is None else layer.bias.expanded().astype(np.float64)
    return replace(layer, weight=weight, bias=None), x.unit * units[layer.weight.index], bias


def _quantize_neuron(graph: DeployGraph, layer: Neuron, x: Signal) -> Neuron:
    if layer.model != "lif":
        raise layer.refuse(f"neuron model {layer.model!r} has no integer definition; only 'lif' has")
    steps, shape = graph.time_steps, graph.shapes[layer.name]
    leak = _leak_table(layer)
    gain = _expanded(layer, "gain", shape)
    threshold = layer.parameters.get("threshold") or StepTable.constant(
        np.float32(model_of(layer).parameters["threshold"].default), steps
    )
    if not float(threshold.values.min()) > 0:
        raise layer.refuse(f"threshold {threshold.values.min():g} has no integer version; it must be positive")
    factors = [gain[t] * over_axes(x.unit[t], shape) for t in range(steps)]
    bias = [np.zeros(())] * steps if x.bias is None else [g * over_axes(b, shape) for g, b in zip(gain, x.bias)]
    if "bias" in layer.parameters:
        bias = [b + own for b, own in zip(bias, _expanded(layer, "bias", shape))]
    for exponent in THRESHOLD_BITS:
        per_volt = 2.0**exponent / float(np.max(threshold.values))
        shifts, mantissas = _gain_mantissas([f * per_volt for f in factors], x.interval, shape)
        offsets = [np.rint(b * per_volt) for b in bias]
        if not shifts or max(float(np.abs(b).max()) for b in offsets) > largest(STATE_BITS):
            continue
        parameters = {
            "leak": leak,
            "gain": _table(mantissas, shape),
            "gain_shift": StepTable.per_step(np.array(shifts, dtype=np.int32)),
            "threshold": threshold.map(lambda v, s=per_volt: np.rint(v.astype(np.float64) * s).astype(np.int32)),
            "bias": _table(offsets, shape),
        }
        new = Neuron(layer.name, layer.model, parameters, layer.reset)
        if new.parameters["threshold"].values.min() < 1:
            break
        if membrane(new, x.interval, shape).magnitude.max() <= largest(STATE_BITS):
            return new
    raise _does_not_fit(layer, factors, bias, threshold, leak, x.interval, shape)


def _does_not_fit(
    layer: Neuron,
    factors: list[Array],
    bias: list[Array],
    threshold: StepTable,
    leak: StepTable,
    x: Interval,
    shape: tuple[int, ...],
) -> Exception:
    """Which gain, threshold or membrane potential passes the format even with the coarsest membrane unit."""
    coarsest = THRESHOLD_BITS[-1]
    per_volt = 2.0**coarsest / float(threshold.values.max())
    if np.rint(threshold.values * per_volt).min() < 1:
        return layer.refuse(
            f"its thresholds reach from {threshold.values.min():g} to {threshold.values.max():g}: "
            f"in {STATE_BITS} bits the smallest would be 0 membrane units; thresholds nearer to each other would fit"
        )
    whole = {"leak": leak, "threshold": threshold.map(lambda v: v * per_volt), "bias": _spread(bias, per_volt)}
    whole |= {"gain": _spread(factors, per_volt), "gain_shift": StepTable.constant(np.int32(0), len(factors))}
    reached = membrane(Neuron(layer.name, "lif", whole, layer.reset), x, shape).magnitude.max(axis=1)
    fits = largest(STATE_BITS) / float(reached.max())
    for t, factor in enumerate(factors):
        room = _room(factor * per_volt, x, t, shape)
        if room < 1:
            gain = layer.parameters["gain"].at(t)
            worst = float(gain.flat[np.abs(gain).argmax()])
            return layer.refuse(
                f"gain {worst:.4g} at step {t} lies outside the format's range: with this layer's inputs, {GAIN_BITS} "
                f"bits and a {ACCUMULATOR_BITS}-bit product hold magnitudes up to {abs(worst) * min(room, fits):.4g}"
            )
    t = int(np.argmax(reached > largest(STATE_BITS)))
    return layer.refuse(
        f"its membrane potential can leave {STATE_BITS} bits at step {t}: it can reach {reached[t]:.4g} units with "
        f"its threshold at 2^{coarsest} units, of {largest(STATE_BITS)}; "
        f"gains and biases {1 / fits:.3g} times smaller would fit"
    )


def _spread(values: list[Array], factor: float) -> StepTable:
    return StepTable.per_step(np.stack(np.broadcast_arrays(*(v * factor for v in values))))


def _expanded(layer: Neuron, key: str, shape: tuple[int, ...]) -> list[Array]:
    table = layer.parameters[key]
    return [over_axes(table.at(t).astype(np.float64), shape) for t in range(table.time_steps)]


def _leak_table(layer: Neuron) -> StepTable:
    leak = layer.parameters["leak"].map(lambda v: np.rint(v.astype(np.float64) * 2**LEAK_SHIFT))
    top = largest(LEAK_BITS)
    for t in range(leak.time_steps):
        if np.abs(leak.at(t)).max() > top:
            found = layer.parameters["leak"].at(t)
            worst = found.flat[np.abs(found).argmax()]
            raise layer.refuse(
                f"leak {worst:.4g} at step {t} lies outside the format's range (-8, 8); "
                f"magnitudes up to {top / 2**LEAK_SHIFT:.4f} fit"
            )
    return leak.astype(np.int32)


def _room(factor: Array, x: Interval, t: int, shape: tuple[int, ...]) -> float:
    """How many times larger the gain mantissas could be at a step; infinite where all are zero."""
    magnitudes = np.abs(factor)
    reached = magnitudes * over_axes(x.magnitude[t], shape)
    room = [
        largest(bits) / float(v.max())
        for bits, v in ((GAIN_BITS, magnitudes), (ACCUMULATOR_BITS, reached))
        if v.max() > 0
    ]
    return min(room, default=math.inf)


def _gain_mantissas(factors: list[Array], x: Interval, shape: tuple[int, ...]) -> tuple[list[int], list[Array]]:
    """For each step the largest shift that the gain's width and the 32-bit product allow, and the mantissas.

    Nothing where even shift 0 is too much.
    """
    shifts, mantissas = [], []
    for t, factor in enumerate(factors):
        room = _room(factor, x, t, shape)
        if room < 1:
            return [], []
        shift = 0 if math.isinf(room) else min(LARGEST_SHIFT, math.floor(math.log2(room)))
        rounded = np.rint(factor * 2.0**shift)
        if _room(rounded, x, t, shape) < 1:  # rounding pushed it over the edge
            if shift == 0:
                return [], []
            shift -= 1
            rounded = np.rint(factor * 2.0**shift)
        shifts.append(shift)
        mantissas.append(rounded)
    return shifts, mantissas


def _table(values: list[Array], shape: tuple[int, ...]) -> StepTable:
    """Per-step integers in the coarsest granularity that holds them: `()`, `[C]`, or what broadcasts to the shape."""
    stacked = np.stack(np.broadcast_arrays(*values)).astype(np.int32)
    each = stacked[0].size
    if each == 1:
        return StepTable.per_step(stacked.reshape(len(values)))
    return StepTable.per_step(stacked.reshape(len(values), -1) if stacked.shape[1] == each == shape[0] else stacked)


def _quantize_readout(graph: DeployGraph, layer: Readout, x: Signal) -> Readout:
    steps, shape = graph.time_steps, graph.shapes[layer.name]
    factors = [over_axes(layer.scale.at(t).astype(np.float64), shape) for t in range(steps)]
    scale = [f * over_axes(x.unit[t], shape) for t, f in enumerate(factors)]
    bias = [np.zeros(())] * steps if x.bias is None else [f * over_axes(b, shape) for f, b in zip(factors, x.bias)]
    top = max(float(np.abs(s).max()) for s in scale) or 1.0
    reached = (np.abs(s) * over_axes(x.interval.magnitude[t], shape) + np.abs(bias[t]) for t, s in enumerate(scale))
    total = float(np.max(sum(reached)))
    # A hundredth of room for the roundings of scales and biases.
    unit = max(top / largest(GAIN_BITS), 1.01 * total / largest(ACCUMULATOR_BITS))
    return Readout(
        layer.name,
        _table([np.rint(s / unit) for s in scale], shape),
        _table([np.rint(b / unit) for b in bias], shape),
        unit=unit,
    )
