"""A float DeployGraph to one in integers, with the proof that nothing overflows.

Every signal is an integer times a unit. Input frames and spikes have unit 1. A synaptic layer's weights become
integers by `asnn_deploy.ir.quantization`, with units for each of its K weights (so that the analog step's small weights
keep their own scale) and, where what reads it allows, for each output channel; its bias moves behind the gain of the
neuron that it feeds. A neuron's membrane unit is `threshold / 2**k` with the largest k for which interval arithmetic
keeps the membrane in 24 bits; its gain absorbs all units:
`gain_q[t] = round(gain[t] * unit[t] / membrane unit * 2**gain_shift)`. See `fixed_point.py` and `intervals.py`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from asnn_deploy.analysis.intervals import Interval, frames, leaving, prove
from asnn_deploy.ir.fixed_point import ACCUMULATOR_BITS, GAIN_BITS, answer_unit, largest
from asnn_deploy.ir.graph import INPUT, DeployGraph, Edge
from asnn_deploy.ir.layers import Add, Conv, Flatten, Layer, Linear, Neuron, Pool, Product, Readout, Reshape, Scale
from asnn_deploy.ir.quantization import Quantization, integer_weight, weight_units
from asnn_deploy.ir.step_table import StepTable, over_axes
from asnn_deploy.quantize.neurons import quantize_neuron
from asnn_deploy.quantize.signals import Signal, integer_table
from asnn_deploy.util.arrays import Array


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
        return quantize_neuron(graph, layer, x[0]), np.ones((graph.time_steps, 1)), None
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
    if isinstance(layer, Reshape):
        if x[0].bias is not None or x[0].unit.shape[1] > 1:
            raise layer.refuse("reshapes a current; only spikes and counts can be reshaped in integers")
        return layer, x[0].unit, None
    if isinstance(layer, Scale):
        return _quantize_scale(graph, layer, x[0])
    if isinstance(layer, (Add, Product)):
        if any(s.bias is not None for s in x) or any(not np.array_equal(s.unit, x[0].unit) for s in x):
            raise layer.refuse("joins currents of different scales; only spikes and counts can be joined in integers")
        return layer, np.prod([s.unit for s in x], axis=0) if isinstance(layer, Product) else x[0].unit, None
    raise layer.refuse("has no integer counterpart")


def _quantize_scale(graph: DeployGraph, layer: Scale, x: Signal) -> tuple[Layer, Array, Array | None]:
    """The factor goes into the unit; what passes is what arrived."""
    factor, channels = layer.factor.expanded().astype(np.float64), graph.shapes[layer.name][0]
    if factor[0].size not in (1, channels):
        raise layer.refuse(f"its factor has shape {layer.factor.shape}; integers take one, or one for each channel")
    factor = factor.reshape(len(factor), -1)
    passing = replace(layer, factor=StepTable.constant(np.int32(1), graph.time_steps))
    return passing, x.unit * factor, None if x.bias is None else x.bias * factor


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
        or (isinstance(reader, (Pool, Flatten, Scale)) and has_channel_scales(graph, reader.name))
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
    if x.unit.shape[1] > 1:
        raise layer.refuse("reads channels of different scales; only neurons and readouts can in integers")
    units = unit_table(graph, layer, graph.quantization)
    integers = [integer_weight(w, u, graph.quantization.bits) for w, u in zip(layer.weight.values, units)]
    weight = StepTable(np.stack(integers), layer.weight.index)
    bias = None if layer.bias is None else layer.bias.expanded().astype(np.float64)
    return replace(layer, weight=weight, bias=None), x.unit * units[layer.weight.index], bias


def _quantize_readout(graph: DeployGraph, layer: Readout, x: Signal) -> Readout:
    steps, shape = graph.time_steps, graph.shapes[layer.name]
    factors = [over_axes(layer.scale.at(t).astype(np.float64), shape) for t in range(steps)]
    scale = [f * over_axes(x.unit[t], shape) for t, f in enumerate(factors)]
    bias = [np.zeros(())] * steps if x.bias is None else [f * over_axes(b, shape) for f, b in zip(factors, x.bias)]
    top = max(float(np.abs(s).max()) for s in scale) or 1.0
    reached = (np.abs(s) * over_axes(x.interval.magnitude[t], shape) + np.abs(bias[t]) for t, s in enumerate(scale))
    total = float(np.max(sum(reached)))
    # A hundredth of room for the roundings of scales and biases.
    unit = answer_unit(max(top / largest(GAIN_BITS), 1.01 * total / largest(ACCUMULATOR_BITS)))
    return Readout(
        layer.name,
        integer_table([np.rint(s / unit) for s in scale], shape),
        integer_table([np.rint(b / unit) for b in bias], shape),
        unit=unit,
    )
