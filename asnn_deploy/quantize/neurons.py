"""A LIF layer in integers: the membrane unit, gain mantissas and shifts for which everything fits, or what does not."""

from __future__ import annotations

import math

import numpy as np

from asnn_deploy.analysis.intervals import Interval, membrane
from asnn_deploy.ir.fixed_point import ACCUMULATOR_BITS, GAIN_BITS, LEAK_BITS, LEAK_SHIFT, STATE_BITS, largest
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.layers import Neuron
from asnn_deploy.ir.neurons import model_of
from asnn_deploy.ir.step_table import StepTable, over_axes
from asnn_deploy.quantize.signals import Signal, integer_table
from asnn_deploy.util.arrays import Array

THRESHOLD_BITS = range(16, 4, -1)
"""A threshold is at most 2**16 membrane units, finer than any leak or gain mantissa resolves, and at least 2**5."""
LARGEST_SHIFT = 30
"""Of a gain mantissa."""


def quantize_neuron(graph: DeployGraph, layer: Neuron, x: Signal) -> Neuron:
    """The integer version of a LIF layer that x arrives at. Raises GraphError naming what does not fit, and where."""
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
            "gain": integer_table(mantissas, shape),
            "gain_shift": StepTable.per_step(np.array(shifts, dtype=np.int32)),
            "threshold": threshold.map(lambda v, s=per_volt: np.rint(v.astype(np.float64) * s).astype(np.int32)),
            "bias": integer_table(offsets, shape),
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
