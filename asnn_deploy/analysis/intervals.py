"""The proof that no integer overflows: an interval for every accumulator and membrane potential, at every step.

Every interval holds 0, and a sum's interval is [sum of its negative terms, sum of its positive terms], so that any
partial sum, in any order and at any border, lies inside as well. Spikes and pixels are never negative; that is what
makes these bounds tighter than sums of magnitudes. Numbers are whole and far below 2**53, hence exact in float64.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from asnn_deploy.analysis.ranges import delayed, loops, summands
from asnn_deploy.ir.fixed_point import ACCUMULATOR_BITS, LEAK_SHIFT, STATE_BITS, largest
from asnn_deploy.ir.graph import INPUT, DeployGraph
from asnn_deploy.ir.layers import Add, Conv, Flatten, Layer, Linear, Neuron, Pool, Product, Readout, Reshape, Scale
from asnn_deploy.ir.step_table import StepTable, over_axes
from asnn_deploy.util.arrays import Array

ENDLESS = 2.0**52
"""Where growth stops being followed; far beyond every register."""


@dataclass(frozen=True, eq=False)
class Interval:
    """`low <= x <= high` at each step: whole float64 numbers, `[T, C]`, or `[T, 1]` where all channels share them."""

    low: Array
    high: Array

    @property
    def magnitude(self) -> Array:
        """The largest magnitude, `[T, C]`."""
        return np.maximum(-self.low, self.high)  # type: ignore[no-any-return]

    def later(self, delay: int) -> Interval:
        """That many steps later; 0 before anything arrives."""
        return Interval(delayed(self.low, delay), delayed(self.high, delay))

    def times(self, factors: Array) -> Interval:
        """Multiplied by numbers of either sign, `[T, C]` or what broadcasts to it."""
        return hull(self.low * factors, self.high * factors)

    def over_all(self) -> Interval:
        """One interval for all channels, `[T, 1]`."""
        return Interval(self.low.min(axis=1, keepdims=True), self.high.max(axis=1, keepdims=True))


@dataclass(frozen=True, eq=False)
class Bounds:
    """What one layer of an integer graph can hold.

    signal: what leaves it; for synapses and additions that is the accumulator, for a readout the running answer.
    membrane: a neuron's potential before the reset and before saturation; None for other layers.
    product: a neuron's input times its gain, before the shift; None for other layers.
    """

    signal: Interval
    membrane: Interval | None = None
    product: Interval | None = None


def hull(*parts: Array) -> Interval:
    """The smallest interval with 0 and all of these in it, element by element."""
    return Interval(np.minimum(0, np.minimum.reduce(parts)), np.maximum(0, np.maximum.reduce(parts)))


def bounds(graph: DeployGraph) -> dict[str, Bounds]:
    """The bounds of each layer of an integer graph, and of "input"."""
    steps = graph.time_steps
    result = {INPUT: Bounds(frames(graph))}
    nothing = Bounds(Interval(np.zeros((steps, 1)), np.zeros((steps, 1))))
    result |= {layer.name: nothing for layer in graph.layers}
    # Around a loop of delayed edges, step t rests on earlier steps only: T passes settle them all.
    for _ in range(steps if loops(graph) else 1):
        for layer in graph.layers:
            result[layer.name] = leaving(layer, graph, arriving(graph, layer, result))
    return result


def frames(graph: DeployGraph) -> Interval:
    """What the input code can send."""
    return Interval(np.zeros((graph.time_steps, 1)), graph.code.largest.astype(np.float64)[:, None])


def arriving(graph: DeployGraph, layer: Layer, known: Mapping[str, Bounds]) -> list[Interval]:
    """The intervals of what arrives at a layer, one for each input."""
    return [known[edge.source].signal.later(edge.delay) for edge in graph.inputs_of[layer.name]]


def leaving(layer: Layer, graph: DeployGraph, x: list[Interval]) -> Bounds:
    """The bounds of one layer, given what arrives."""
    if isinstance(layer, Neuron):
        spikes = Interval(np.zeros((graph.time_steps, 1)), np.ones((graph.time_steps, 1)))
        if layer.model != "lif":  # saturates or wraps by definition: anywhere in its register
            return Bounds(spikes)
        return Bounds(
            spikes, membrane(layer, x[0], graph.shapes[layer.name]), _times_table(x[0], layer.parameters["gain"])
        )
    if isinstance(layer, (Conv, Linear)):
        return Bounds(_synapses(layer, x[0]))
    if isinstance(layer, Pool):
        return Bounds(x[0].times(np.array(math.prod(layer.kernel) if layer.mode == "sum" else 1.0)))
    if isinstance(layer, Flatten):
        shape = graph.shapes[graph.inputs_of[layer.name][0].source]
        each = math.prod(shape[1:]) if x[0].low.shape[1] > 1 else 1
        return Bounds(Interval(x[0].low.repeat(each, axis=1), x[0].high.repeat(each, axis=1)))
    if isinstance(layer, Reshape):
        kept = graph.shapes[graph.inputs_of[layer.name][0].source][0] == layer.shape[0]
        return Bounds(x[0] if kept else x[0].over_all())
    if isinstance(layer, Scale):
        return Bounds(_times_table(x[0], layer.factor))
    if isinstance(layer, Add):
        return Bounds(Interval(sum(i.low for i in x), sum(i.high for i in x)))  # type: ignore[arg-type]
    if isinstance(layer, Product):
        a, b = (i.over_all() for i in x)
        one = hull(a.low * b.low, a.low * b.high, a.high * b.low, a.high * b.high)
        return Bounds(one.times(np.array(float(summands(layer, graph)))))
    if isinstance(layer, Readout):
        return Bounds(_answer(layer, x[0]))
    raise layer.refuse("has no integer counterpart")


def _synapses(layer: Conv | Linear, x: Interval) -> Interval:
    x = x.over_all()
    weights = layer.weight.values.astype(np.float64).reshape(*layer.weight.values.shape[:2], -1)
    excites = np.maximum(weights, 0).sum(axis=2)[layer.weight.index]
    inhibits = np.minimum(weights, 0).sum(axis=2)[layer.weight.index]
    result = Interval(excites * x.low + inhibits * x.high, excites * x.high + inhibits * x.low)
    if layer.bias is None:
        return result
    bias = layer.bias.expanded().astype(np.float64)
    return Interval(result.low + np.minimum(bias, 0), result.high + np.maximum(bias, 0))


def _answer(layer: Readout, x: Interval) -> Interval:
    """The running sum over the steps, with each step's partial sums."""
    summand = _times_table(x, layer.scale)
    low, high = summand.low, summand.high
    if layer.bias is not None:
        bias = _times_table(Interval(np.zeros((1, 1)), np.ones((1, 1))), layer.bias)
        low, high = low + bias.low, high + bias.high
    return Interval(np.cumsum(low, axis=0), np.cumsum(high, axis=0))


def _times_table(x: Interval, table: StepTable) -> Interval:
    """Multiplied by a table of any granularity; where that is finer than channels, by all of a channel's values."""
    values = table.expanded().astype(np.float64)
    if values.ndim <= 2:
        return x.times(values.reshape(len(values), -1))
    each = values.reshape(*values.shape[:2], -1)
    least, most = x.times(each.min(axis=2)), x.times(each.max(axis=2))
    return hull(least.low, least.high, most.low, most.high)


def membrane(neuron: Neuron, x: Interval, shape: tuple[int, ...]) -> Interval:
    """A LIF population's potential before its reset, `[T, C]`: the integer equations, from 0 on over all steps."""
    low = high = np.zeros((1,) * len(shape))
    lows, highs = [], []
    for t in range(len(x.low)):
        p = {key: over_axes(table.at(t).astype(np.float64), shape) for key, table in neuron.parameters.items()}
        scaled = p["gain"] / 2.0 ** p["gain_shift"]
        ends = [np.trunc(v * p["leak"] / 2**LEAK_SHIFT) for v in (low, high)]
        arrived = hull(*(np.trunc(over_axes(side[t], shape) * scaled) for side in (x.low, x.high)))
        bias = p.get("bias", np.zeros(()))
        low = np.maximum(np.minimum(*ends) + arrived.low + bias, -ENDLESS)
        high = np.minimum(np.maximum(*ends) + arrived.high + bias, ENDLESS)
        lows.append(low.reshape(len(low), -1).min(axis=1))
        highs.append(high.reshape(len(high), -1).max(axis=1))
        low, high = _after_reset(low, high, p["threshold"], neuron.reset)
    return Interval(np.stack(np.broadcast_arrays(*lows)), np.stack(np.broadcast_arrays(*highs)))


def _after_reset(low: Array, high: Array, threshold: Array, reset: str) -> tuple[Array, Array]:
    """What remains of `low <= v <= high` once those above the (positive) threshold have fired."""
    quiet, loud = low <= threshold, high > threshold
    if reset == "zero":
        least, most = np.where(quiet, np.minimum(low, 0), 0.0), np.where(quiet, np.maximum(threshold, 0), 0.0)
        return np.where(loud, least, low), np.where(loud, most, high)
    least = np.where(quiet, np.minimum(low, 1), low - threshold)  # what fires by 1 is left with 1
    most = np.where(quiet, np.maximum(threshold, high - threshold), high - threshold)
    return np.where(loud, least, low), np.where(loud, most, high)


def prove(graph: DeployGraph) -> dict[str, Bounds]:
    """The bounds of an integer graph in which nothing leaves its register, ever.

    Raises GraphError naming the layer, the step and the bound where something can.
    """
    found = bounds(graph)
    for layer in graph.layers:
        known = found[layer.name]
        _within(layer, known.signal, ACCUMULATOR_BITS, "a sum")
        if known.product is not None:
            _within(layer, known.product, ACCUMULATOR_BITS, "its input times its gain")
        if known.membrane is not None:
            _within(layer, known.membrane, STATE_BITS, "its membrane potential")
    return found


def _within(layer: Layer, interval: Interval, bits: int, what: str) -> None:
    worst = interval.magnitude.max(axis=1)
    if not worst.max() <= largest(bits):
        t = int(np.argmax(worst > largest(bits)))
        raise layer.refuse(
            f"{what} can reach {worst[t]:.4g} at step {t}, beyond the {largest(bits)} of {bits} bits signed; "
            "weights, inputs or gains that much smaller would fit"
        )
