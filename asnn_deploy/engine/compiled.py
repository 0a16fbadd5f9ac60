"""Compiled layers: a convolution or linear map, alone or fused with the LIF neurons it feeds and their pooling."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import groupby
from typing import Any

import numpy as np

from asnn_deploy.engine.events import PADDED_TO, arrange, geometry
from asnn_deploy.engine.kernels import advance, integrate
from asnn_deploy.engine.signals import BYTE, carried_types, channels_first, channels_last, potential_type
from asnn_deploy.fixed_point import LEAK_BITS, LEAK_SHIFT, STATE_BITS, largest
from asnn_deploy.graph import Conv, DeployGraph, Linear, Neuron, Pool
from asnn_deploy.neurons import model_of
from asnn_deploy.order_free import analyse
from asnn_deploy.ranges import arriving, largest_values, synapse_bound
from asnn_deploy.step_table import Array, StepTable

MODEL = "lif"
"""The neuron model whose compiled form is in `kernels.py`."""
REGISTER = 32
"""Bits of the registers in which integer neurons are computed."""
_CACHE_LINE = 64


def aligned(length: int, dtype: Any) -> Array:
    """Zeros that begin on a cache line, as vector loads and stores like it."""
    raw = np.zeros(length * np.dtype(dtype).itemsize + _CACHE_LINE, np.uint8)
    start = -raw.ctypes.data % _CACHE_LINE
    return raw[start : start + length * np.dtype(dtype).itemsize].view(dtype)


def accumulator_types(graph: DeployGraph, layer: Conv | Linear) -> list[Any] | None:
    """The narrowest type that holds every partial sum exactly, for each step `[T]`; None where compiled types cannot.

    Integers: 16 or 32 bits by the bound on their sums. Floats: float32 where the sums are order-free.
    """
    if graph.arithmetic != "fixed":
        exact = all(entry.exact for entry in analyse(graph)[layer.name])
        return [np.float32] * graph.time_steps if exact else None
    (reaching,) = arriving(graph, layer, largest_values(graph))
    types: list[Any] = []
    for t in range(graph.time_steps):
        # The value itself enters a product in the accumulator's type.
        bound = max(float(synapse_bound(layer, t, float(reaching[t])).max(initial=0)), float(reaching[t]))
        fitting = [kind for kind in (np.int16, np.int32) if bound <= np.iinfo(kind).max]
        if not fitting:
            return None
        types.append(fitting[0])
    return types


class Synapses:
    """A convolution or linear map that adds up events. Gives currents in the accumulators' type.

    layers: the names it stands for. Raises ValueError from the constructor where no exact type is wide enough.
    """

    def __init__(self, graph: DeployGraph, layer: Conv | Linear) -> None:
        types = accumulator_types(graph, layer)
        if types is None:
            raise ValueError(layer.name)
        self.layers: tuple[str, ...] = (layer.name,)
        source = graph.inputs_of[layer.name][0].source
        self.shape = graph.shapes[layer.name]
        self.carried = carried_types(graph)[source]
        if self.carried != np.uint8:
            self.carried = np.dtype(np.int32 if graph.arithmetic == "fixed" else np.float32)
        (reaching,) = arriving(graph, layer, largest_values(graph))
        self.geometry = geometry(layer, graph.shapes[source], self.shape)
        self.graded = np.array([self.carried != np.uint8 or bound > 1 for bound in reaching])
        self.types = types
        kept = np.float32 if graph.arithmetic != "fixed" else narrowest(layer.weight.values)
        size = self.geometry.weights
        self.weights = aligned(len(layer.weight.values) * size, kept)
        for k, value in enumerate(layer.weight.values):
            self.weights[k * size : (k + 1) * size] = arrange(value, self.geometry, kept)
        self.tables = layer.weight.index * size
        self.accumulators = {kind: aligned(self.geometry.accumulators, kind) for kind in set(types)}
        self.bias = self._templates(layer.bias)

    def _templates(self, bias: StepTable | None) -> Array:
        """Accumulators as each step begins with them, `[T, accumulators]`; empty without a bias."""
        g = self.geometry
        if bias is None:
            return np.zeros((0, 0))
        rows = np.zeros((bias.time_steps, g.accumulators), bias.dtype)
        inner = rows[:, : g.out_height * g.pitch].reshape(bias.time_steps, g.out_height, g.pitch)
        start = g.left * g.outputs
        inner[..., start : start + g.out_width * g.outputs] = np.tile(bias.expanded(), g.out_width)[:, None]
        return rows

    def runs(self, steps: range) -> Iterator[tuple[range, slice, Any]]:
        """Consecutive steps with one type of accumulator: the steps, where they are among `steps`, and the type."""
        for kind, group in groupby(steps, lambda t: self.types[t]):
            members = list(group)
            run = range(members[0], members[-1] + 1)
            yield run, slice(run.start - steps.start, run.stop - steps.start), kind

    def begun(self, run: range, kind: Any) -> Array:
        """The accumulators' templates of a run of steps, in their type."""
        return np.ascontiguousarray(self.bias[run.start : run.stop], kind)

    def reset(self, batch: int) -> None:
        """Nothing to do."""

    def advance(self, steps: range, *inputs: Array) -> dict[str, Array]:
        """Currents `[steps, B, *shape]`."""
        x = channels_last(inputs[0].astype(self.carried, copy=False))
        g = self.geometry
        result = np.empty((*x.shape[:2], g.out_height, g.out_width * g.outputs), np.result_type(*set(self.types)))
        for run, at, kind in self.runs(steps):
            part = slice(run.start, run.stop)
            integrate(
                *(x[at], self.graded[part], self.weights, self.tables[part], tuple(g)),
                *(self.begun(run, kind), self.accumulators[kind], result[at]),
            )
        return {self.layers[0]: channels_first(result, self.shape)}


class Population(Synapses):
    """Synapses, the LIF neurons that they alone feed, and a pooling of these neurons' spikes, as one.

    outputs: which of the neuron's and the pooling's signals are needed. watched: whether potentials are kept.
    """

    def __init__(
        self,
        graph: DeployGraph,
        layer: Conv | Linear,
        neuron: Neuron,
        pool: Pool | None,
        outputs: Collection[str],
        watched: bool,
    ) -> None:
        super().__init__(graph, layer)
        self.layers = (layer.name, neuron.name, *([pool.name] if pool else []))
        self.neuron, self.outputs, self.watched = neuron.name, outputs, watched
        self.state_type = potential_type(graph)
        self.to_zero = neuron.reset == "zero"
        tables = parameters(graph, neuron)
        self.pitch, rows = spread([tables[key] for key in ("leak", "gain", "threshold", "bias")], self.shape)
        self.parameters = tuple(r.astype(self.state_type) for r in rows)
        shifts = tables.get("gain_shift")
        self.shifts = np.zeros(graph.time_steps, np.int32) if shifts is None else np.stack(shifts).astype(np.int32)
        if graph.arithmetic == "fixed" and not covers(graph, layer, tables):
            raise ValueError(neuron.name)
        self.pool, self.pool_shape = pool.name if pool else None, graph.shapes[pool.name] if pool else ()
        self.pooling = pooling(pool, self.pool_shape)
        self.v: Array = np.zeros(0)
        self.potentials: Array = np.zeros(0)

    def reset(self, batch: int) -> None:
        """All potentials to zero."""
        self.v = np.zeros((batch, int(np.prod(self.shape))), self.state_type)

    def advance(self, steps: range, *inputs: Array) -> dict[str, Array]:
        """Spikes and pooled spikes `[steps, B, ...]`, whichever are needed."""
        x = channels_last(inputs[0].astype(self.carried, copy=False))
        room = x.shape[:2]
        spikes, self.potentials, pooled = (
            np.empty((*room, size) if needed else (0, 0, 0), kind)
            for needed, size, kind in (
                (self.neuron in self.outputs, self.v.shape[1], np.uint8),
                (self.watched, self.v.shape[1], self.state_type),
                (self.pool in self.outputs, int(np.prod(self.pool_shape)), np.uint8),
            )
        )
        for run, at, kind in self.runs(steps):
            part = slice(run.start, run.stop)
            advance(
                *(x[at], self.graded[part], self.weights, self.tables[part], tuple(self.geometry)),
                *(self.begun(run, kind), self.accumulators[kind], self.v),
                *(tuple(p[part] for p in self.parameters), self.pitch, self.shifts[part], self.to_zero),
                *(spikes[at], self.potentials[at], pooled[at], self.pooling),
            )
        found = {self.neuron: (spikes, self.shape), self.pool: (pooled, self.pool_shape)}
        return {
            name: channels_first(signal, shape)
            for name, (signal, shape) in found.items()
            if name is not None and name in self.outputs
        }

    @property
    def potential(self) -> Array:
        """Membrane potentials after the latest steps, `[steps, B, *shape]`; only where watched."""
        return channels_first(self.potentials, self.shape)


def narrowest(values: Array) -> Any:
    """The narrowest integer type that holds a table's values."""
    kinds = (np.int8, np.int16, np.int32)
    bound = int(np.abs(values.astype(np.int64)).max(initial=0))
    return next((kind for kind in kinds if bound <= np.iinfo(kind).max), np.int64)


def parameters(graph: DeployGraph, neuron: Neuron) -> dict[str, list[Array]]:
    """A neuron layer's parameters, each step's `[T]`, with the defaults of those left out."""
    model = model_of(neuron)
    known = model.fixed_parameters if graph.arithmetic == "fixed" else model.parameters
    return {
        key: [
            neuron.parameters[key].at(t) if key in neuron.parameters else np.asarray(p.default)
            for t in range(graph.time_steps)
        ]
        for key, p in known.items()
    }


def spread(tables: list[list[Array]], shape: tuple[int, ...]) -> tuple[int, list[Array]]:
    """Parameters as the neurons of a sample read them, channels-last: `[T, a row]`, or `[T, neurons]` where need be.

    Returns how far apart the rows' parameters are (0 where all rows share them), and the tables.
    """
    width = shape[0] * (shape[-1] if len(shape) > 1 else 1)
    full = (shape[0], shape[1] if len(shape) > 2 else 1, shape[-1] if len(shape) > 1 else 1)

    def whole(value: Array) -> Array:
        if value.ndim == 1 and len(shape) > 1 and value.shape == shape[:1]:
            value = value.reshape(-1, 1, 1)
        elif value.ndim == 2:
            value = value[:, None]  # a 1-D signal is one row
        elif value.ndim == 1:
            value = value.reshape(-1, 1, 1)
        return np.broadcast_to(value, full).transpose(1, 2, 0).reshape(full[1], width)

    rows = [np.stack([whole(np.asarray(value)) for value in table]) for table in tables]
    if all((r == r[:, :1]).all() for r in rows):
        return 0, [np.ascontiguousarray(r[:, 0]) for r in rows]
    return width, [r.reshape(len(r), -1) for r in rows]


def covers(graph: DeployGraph, layer: Conv | Linear, tables: dict[str, list[Array]]) -> bool:
    """Whether no intermediate of these integer neurons can leave a 32-bit register, at any step."""
    (reaching,) = arriving(graph, layer, largest_values(graph))
    top = largest(REGISTER)
    for t in range(graph.time_steps):
        if tables["gain_shift"][t].ndim:
            return False
        leak, gain, threshold, bias, shift = (
            float(np.abs(tables[key][t]).max()) for key in ("leak", "gain", "threshold", "bias", "gain_shift")
        )
        product = float(synapse_bound(layer, t, float(reaching[t])).max(initial=0)) * gain
        decayed = largest(STATE_BITS) * leak / 2**LEAK_SHIFT
        fits = (
            shift < REGISTER - 1,
            leak <= largest(LEAK_BITS),
            product + 2**shift <= top,
            decayed + product / 2**shift + bias + 2 <= top,
            threshold + largest(STATE_BITS) <= top,
        )
        if not all(fits):
            return False
    return True


def pooling(pool: Pool | None, shape: tuple[int, ...]) -> tuple[Any, ...]:
    """A pooling as `kernels.pool` takes it."""
    if pool is None:
        return (False, *(0,) * 8)
    flat = len(shape) == 2
    kernel, stride, padding, out = (
        (first, *rest) if flat else tuple(rest)
        for first, rest in ((1, pool.kernel), (1, pool.stride), (0, pool.padding), (1, shape[1:]))
    )
    return (pool.mode == "sum", *kernel, *stride, *padding, *out)


def poolable(pool: Pool) -> bool:
    """Whether the compiled pooling knows a layer: sums or maxima of spikes, within a byte."""
    return pool.mode == "max" or (pool.mode == "sum" and int(np.prod(pool.kernel)) <= BYTE)


assert PADDED_TO * 2 == _CACHE_LINE, "a run of 16-bit sums fills cache lines"
