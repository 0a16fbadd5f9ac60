"""From a static float network to Loihi's own integers: graph -> graph.

A LIF's leak, gain, bias and threshold become Loihi's by scaling each layer so that its threshold is `vth` times the
weights' unit: with w' = w * gain / threshold and b' = b / threshold,

    weight = vth * w'        du = 4095 - 4096 * current_leak (4095 for a LIF without current)
    bias = vth * 2**6 * b'   dv = 4096 - 4096 * leak

A bias of synapses that a current adds up stays theirs, as the weight `vth * b'` of a spike at every step. Recurrent
synapses share the `vth` of their population. `vth` is the largest for which the weights fit their bits, the bias its
mantissa and exponent, and interval arithmetic over all T steps keeps the current from wrapping and the membrane
potential from saturating, whichever of the population's own spikes come back.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from asnn_deploy.ir.fixed_point import STATE_BITS, answer_unit, largest
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.layers import Layer, Neuron, Pool, Readout, Synapses
from asnn_deploy.ir.neurons.loihi_lif import ALIGNMENT, EXPONENTS, MANTISSAS, THRESHOLDS, UNITY, LoihiLIF
from asnn_deploy.ir.step_table import StepTable
from asnn_deploy.loihi.line import line
from asnn_deploy.loihi.rules import check_line, check_loihi
from asnn_deploy.loihi.synapses import WEIGHT_BITS, granularity
from asnn_deploy.util.arrays import Array

LEAST_THRESHOLD = 16
"""In units of a weight: below, weights would have less than four bits of their own."""
FACTOR_BITS = 14
"""Of the largest factor of an answer that is made of spikes."""
FINENESS = 8
"""Thresholds tried for each halving."""


@dataclass(frozen=True)
class Currents:
    """What synapses send, in units of the threshold: weights `[C_out, ...]` on integer inputs, a bias `[C_out]`.

    most, least: the largest and the smallest input. They stand for `layer`.
    """

    layer: Synapses
    weight: Array
    bias: Array
    most: float = 1.0
    least: float = 0.0

    def scaled(self, factor: Array) -> Currents:
        """Multiplied by a factor for each output channel, `[C_out]` or `()`."""
        by_output = np.reshape(factor, (-1, *(1,) * (self.weight.ndim - 1)))
        return replace(self, weight=self.weight * by_output, bias=self.bias * factor)


def currents_of(layer: Synapses, unit: float = 1.0, most: float = 1.0, least: float = 0.0) -> Currents:
    """What synapses send that read integers from `least` to `most`, each worth `unit`."""
    weight = layer.weight.at(0).astype(np.float64) * unit
    bias = np.zeros(len(weight)) if layer.bias is None else layer.bias.at(0).astype(np.float64)
    return Currents(layer, weight, bias, most, least)


def to_loihi(graph: DeployGraph, bits: int = WEIGHT_BITS) -> DeployGraph:
    """The integer version of a static float network in Loihi's own neurons ("loihi-lif") and weights of so many bits.

    Max-pools stay what they are, average pools become sums, the readout reads the last synapses' sums or spikes. Raises
    UnsupportedError naming the layer and the table that Loihi's neurons and synapses cannot be.
    """
    check_line(graph)
    made: list[Layer] = []
    code, unit = graph.code.whole()  # of what flows: value = integer * unit
    most = float(code.largest.max())
    least = min(float(code.signal(t).low.min()) for t in range(graph.time_steps))
    currents: Currents | None = None
    for place in line(graph):
        layer = place.layer
        if isinstance(layer, Synapses):
            currents = currents_of(layer, unit, most, least)
        elif isinstance(layer, Neuron):
            assert currents is not None, "check_line: synapses stand before it"
            again = [currents_of(place.feedback)] if place.feedback else []
            made += _neuron(graph, layer, [currents, *again], bits)
            unit, most, least, currents = 1.0, 1.0, 0.0, None
        elif isinstance(layer, Readout):
            made += _readout(graph, layer, currents, bits) if currents else [_counted(graph, layer, unit)]
        elif isinstance(layer, Pool) and layer.mode != "max":
            size = int(np.prod(layer.kernel))
            most, least, unit = most * size, least * size, unit / (size if layer.mode == "average" else 1)
            made.append(replace(layer, mode="sum"))
    by_name = {layer.name: layer for layer in made}
    layers = tuple(by_name.get(layer.name, layer) for layer in graph.layers)
    result = replace(graph, code=code, layers=layers, arithmetic="fixed")
    check_loihi(result)
    return result


KNOWN = {"current_leak", "leak", "gain", "threshold", "bias"}
"""What of a LIF or CUBA-LIF has a counterpart."""


def _neuron(graph: DeployGraph, layer: Neuron, arriving: list[Currents], bits: int) -> list[Layer]:
    """The neurons, and the synapses in front of them, whose currents they add up."""
    _check_neuron(layer)
    value = {key: _per_channel(layer, key, graph.shapes[layer.name]) for key in layer.parameters}
    threshold = value.get("threshold", np.ones(()))
    if not threshold.min() > 0:
        raise layer.unsupported(f"threshold {threshold.min():g} has no integer version; it must be positive")
    decays = {
        "du": _decay(layer, "current_leak", value.get("current_leak", np.zeros(())), UNITY - 1),
        "dv": _decay(layer, "leak", value["leak"], UNITY),
    }
    arriving = [x.scaled(value["gain"] / threshold) for x in arriving]
    bias, steady = np.asarray(value.get("bias", 0.0) / threshold), np.sum([x.bias for x in arriving], axis=0)
    always = []
    if layer.model == "cuba-lif" and steady.any():  # the current adds it up: the weights of a spike at every step
        always = [Currents(arriving[0].layer, steady[:, None], np.zeros(len(steady)))]
    else:
        bias = bias + steady
    weights, tables = _fitting(graph, layer, [*arriving, *always], bias, decays, bits)
    steps = graph.time_steps
    parameters = {key: StepTable.constant(v.astype(np.int32), steps) for key, v in tables.items()}
    synapses = [_with_weight(x.layer, weight, steps) for x, weight in zip(arriving, weights)]
    if always:
        synapses[0] = replace(synapses[0], bias=StepTable.constant(weights[-1][:, 0].astype(np.int16), steps))
    return [*synapses, Neuron(layer.name, LoihiLIF.name, parameters, "zero")]


def _check_neuron(layer: Neuron) -> None:
    """Raise UnsupportedError unless neurons integrate, fire and reset as Lava's LIF does."""
    if layer.model not in ("lif", "cuba-lif"):
        raise layer.unsupported(f"neuron model {layer.model!r} has no counterpart on Loihi; 'lif' and 'cuba-lif' have")
    if layer.reset != "zero":
        how = "by subtraction" if layer.reset == "subtract" else f"by {layer.reset!r}"
        raise layer.unsupported(
            f"resets {how}, Lava's LIF to zero in the step of the spike; train with model.reset = zero, read another "
            "tool's neurons with the reset zero, or use this project's Processes (processes=fused)",
        )
    if not layer.firing.plain:
        how = "at its threshold" if layer.spiking == "one" else "several times in a step"
        raise layer.unsupported(
            f"fires {how}, Lava's LIF once above it; use this project's Processes (processes=fused)"
        )
    for key, table in layer.parameters.items():
        if key not in KNOWN and (layer.definition.parameters[key].optional or table.values.any()):
            raise layer.unsupported(f"has a {key!r}, Lava's LIF none; use this project's Processes (processes=fused)")


def _with_weight(layer: Synapses, weight: Array, steps: int) -> Synapses:
    return replace(layer, weight=StepTable.constant(weight.astype(np.int16), steps), bias=None)


def _fitting(
    graph: DeployGraph, layer: Neuron, arriving: list[Currents], bias: Array, decays: Mapping[str, int], bits: int
) -> tuple[list[Array], dict[str, Array]]:
    """The weights and the neuron's parameters at the largest threshold at which everything fits."""
    top = granularity(bits, "mixed") * largest(bits)
    first = top / max(*(float(np.abs(x.weight).max()) for x in arriving), top / THRESHOLDS[1])
    for vth in (int(first * 2 ** (-k / FINENESS)) for k in range(18 * FINENESS)):
        if vth < LEAST_THRESHOLD:
            break
        weights = [_rounded(x.weight * vth, bits) for x in arriving]
        offset = _bias(bias * vth * (1 << ALIGNMENT))
        if offset is not None:
            drive = np.sum([_drive(weight, x) for weight, x in zip(weights, arriving)], axis=0)
            if _stays_inside(drive, offset, decays, vth, graph.time_steps):
                numbers = {"vth": vth, **decays, "bias_mant": offset[0], "bias_exp": offset[1]}
                return weights, {key: np.asarray(number) for key, number in numbers.items()}
    raise layer.unsupported(
        f"its current, bias or membrane potential can leave {STATE_BITS} bits at every threshold down to "
        f"{LEAST_THRESHOLD} units of a weight; smaller weights or a smaller bias would fit",
    )


def _rounded(weight: Array, bits: int) -> Array:
    """Weights to the finest grid that so many bits, one sign mode and a negative weight exponent can hold."""
    steps = largest(bits)
    finest = max(float(np.abs(weight).max()) / steps, 1.0)
    step = min(1 << math.ceil(math.log2(finest)), granularity(bits, "mixed"))
    return step * np.clip(np.rint(weight / step), -steps, steps)


def _bias(bias: Array) -> tuple[Array, Array] | None:
    """Mantissas and exponents `[C_out]` of biases in membrane units: the finest that fit; None where none does."""
    exponent = np.ceil(np.log2(np.maximum(np.abs(bias), 1) / MANTISSAS[1])).clip(min=EXPONENTS[0])
    if exponent.max(initial=0) > EXPONENTS[1]:
        return None
    return np.rint(bias / 2**exponent), exponent


def _drive(weight: Array, x: Currents) -> Array:
    """The least and the most current that integer weights can send at a step instead of those of `x`: `[2, C_out]`."""
    flat = weight.reshape(len(weight), -1) * (1 << ALIGNMENT)
    ends = np.stack([flat * x.least, flat * x.most])
    return np.stack([ends.min(axis=0).sum(axis=1), ends.max(axis=0).sum(axis=1)])


def _stays_inside(drive: Array, bias: tuple[Array, Array], decays: Mapping[str, int], vth: int, steps: int) -> bool:
    """Whether neither the current nor the membrane potential of any channel can leave 24 bits in so many steps."""
    offset = bias[0] * 2 ** bias[1]
    kept = 1 - (decays["du"] + 1) / UNITY, 1 - decays["dv"] / UNITY
    u, v = np.zeros_like(drive), np.zeros_like(drive)
    for _ in range(steps):
        u = u * kept[0] + drive
        v = v * kept[1] + u + offset
        if max(np.abs(u).max(), np.abs(v).max()) > largest(STATE_BITS):
            return False
        # What has not fired is at most the threshold, what has fired is zero.
        v = np.stack([np.minimum(v[0], 0), np.clip(v[1], 0, vth << ALIGNMENT)])
    return True


def _per_channel(layer: Neuron, key: str, shape: tuple[int, ...]) -> Array:
    """A parameter's one value, float64 `()`, or one for each channel, `[C]`. Raises UnsupportedError for more."""
    value = layer.parameters[key].at(0).astype(np.float64)
    if (value == value.flat[0]).all():
        return value.flat[0] * np.ones(())
    rows = np.broadcast_to(value.reshape(-1, *(1,) * (len(shape) - 1)) if value.ndim == 1 else value, shape)
    rows = rows.reshape(shape[0], -1)
    if not (rows == rows[:, :1]).all():
        raise layer.unsupported(f"{key} differs within a channel; Loihi's synapses share weights over a channel")
    return rows[:, 0]


def _decay(layer: Neuron, key: str, value: Array, none: int) -> int:
    """du or dv for the share `value` that is kept of a state; `none`: that of keeping nothing, less the share.

    Raises UnsupportedError for a share that no 12-bit decay keeps.
    """
    if value.ndim:
        raise layer.unsupported(f"{key} differs between channels; Lava's LIF has one for its population")
    decay = int(none - np.rint(value * UNITY))
    if not 0 <= decay < UNITY:
        low, high = (none - UNITY + 1) / UNITY, none / UNITY
        raise layer.unsupported(f"{key} {float(value):g} has no 12-bit decay; from {low:g} to {high:g} there is one")
    return decay


def _readout(graph: DeployGraph, layer: Readout, x: Currents, bits: int) -> list[Layer]:
    """The last synapses, and the sum of what they send: in units of 1/64 weight, like a membrane potential."""
    scale = layer.scale.at(0).astype(np.float64)
    if scale.ndim > 1:
        raise layer.unsupported(f"scale has shape {scale.shape}; one value or one for each class can be folded in")
    x = x.scaled(scale)
    if layer.bias is not None:
        x = replace(x, bias=x.bias + layer.bias.at(0))
    share, rule = _summed(graph, layer)
    x = x.scaled(np.asarray(share))
    top = granularity(bits, "mixed") * largest(bits)
    unit = answer_unit(float(np.abs(x.weight).max()) / top or 1.0)
    weight = _rounded(x.weight / unit, bits)
    bias = np.rint(x.bias / unit * (1 << ALIGNMENT))
    if np.abs(bias).max(initial=0) >= 1 << (STATE_BITS - 1):
        raise x.layer.unsupported(f"its bias is over {STATE_BITS} bits in units of its weights")
    factor = np.asarray(1 << ALIGNMENT)
    return [
        _with_weight(x.layer, weight, graph.time_steps),
        _answer(graph, layer.name, factor, bias, unit / (1 << ALIGNMENT), rule),
    ]


def _counted(graph: DeployGraph, layer: Readout, worth: float) -> Readout:
    """The answer made of spikes, or of sums of them that are worth `worth` each, in integer factors."""
    share, rule = _summed(graph, layer)
    scale, bias = (
        0.0 if table is None else table.at(0).astype(np.float64) * share for table in (layer.scale, layer.bias)
    )
    unit = answer_unit(float(np.abs(scale).max()) * worth / (1 << FACTOR_BITS) or 1.0)
    return _answer(graph, layer.name, np.rint(scale * worth / unit), np.rint(bias / unit), unit, rule)


def _summed(graph: DeployGraph, layer: Readout) -> tuple[float, str]:
    """A mean as a sum of shares, so that integers stay integers; other rules as they are."""
    return (1 / graph.time_steps, "sum") if layer.rule == "mean" else (1.0, layer.rule)


def _answer(graph: DeployGraph, name: str, scale: Array, bias: Array, unit: float, rule: str) -> Readout:
    scale_table, bias_table = (StepTable.constant(np.asarray(v, np.int32), graph.time_steps) for v in (scale, bias))
    return Readout(name, scale_table, bias_table, 1.0 if rule == "first-spike" else unit, rule)  # which counts steps
