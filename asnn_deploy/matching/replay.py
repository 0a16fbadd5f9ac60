"""A network by one set of rules, every layer fed what was recorded of those before it.

So every layer is judged by itself, and every neuron by its own history: it resets where the recording says that it
fired, and what is compared is the spike that it would send. What was not recorded is computed. Sums of synapses seldom
depend on the rules; they are kept from one replay to the next.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from asnn_deploy.engine.dense import ConvKernel, LinearKernel, pool
from asnn_deploy.errors import UnsupportedError
from asnn_deploy.ir.graph import INPUT, DeployGraph, Edge
from asnn_deploy.ir.layers import Conv, Layer, Neuron, Pool, Synapses
from asnn_deploy.ir.neurons.base import Parameters
from asnn_deploy.ir.neurons.firing import Firing
from asnn_deploy.ir.neurons.operations import Floats, Membranes
from asnn_deploy.ir.signals import grid_exponent
from asnn_deploy.ir.step_table import StepTable
from asnn_deploy.matching.recording import Recording
from asnn_deploy.matching.rounding import Bounded, Rounded, sum_error
from asnn_deploy.util.arrays import Array


@dataclass(frozen=True, eq=False)
class Replayed:
    """One neuron layer: the potentials that were compared with its thresholds, `[T, B, ...]`, and what they sent.

    errors: how far float32 can have taken the potentials, `[T, B, ...]`; None if that was not computed.
    several: whether they may send several spikes in a step.
    """

    potentials: Array
    sent: Array
    thresholds: Array
    errors: Array | None
    several: bool


class Following:
    """Neurons that reset where the recording says that they fired; `seen` holds what was compared."""

    def follow(self, recorded: Array | None, reset: str) -> None:
        """Begin: the spikes of the step before, and those of the step at hand, `[T, B, ...]`."""
        self.recorded, self.reset, self.step, self.calls = recorded, reset, -1, 0
        self.seen: list[tuple[Any, Array]] = []

    def begin(self) -> None:
        """Go on to the next step."""
        self.step += 1
        self.calls = 0

    def compare(self, v: Any, threshold: Array, firing: Firing) -> Array:
        """See Membranes. The first comparison of neurons that reset late only repeats that of the step before."""
        self.calls += 1
        spikes: Array = super().compare(v, threshold, firing)  # type: ignore[misc]
        again = self.reset in ("delayed-subtract", "delayed-zero", "leftover-subtract") and self.calls == 1
        if not again:
            self.seen.append((v, spikes))
        if self.recorded is None:
            return spikes
        if again and self.reset == "leftover-subtract":
            return spikes  # what is left may lie above the threshold without a spike
        if again:
            return self.recorded[self.step - 1] if self.step else np.zeros_like(self.recorded[0])
        return self.recorded[self.step]

    fire = Membranes.fire  # over `compare`, which follows


class FollowingFloats(Following, Floats):
    """In float32."""


class FollowingBounded(Following, Bounded):
    """With bounds on rounding errors."""


class Replay:
    """A recording, replayed by one graph after another; they differ in the rules of their neurons only."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self._sums: dict[tuple[tuple[Edge, ...], bool], tuple[Layer, Any]] = {}

    def run(self, graph: DeployGraph, bounded: bool = False) -> dict[str, Replayed]:
        """Return every recorded layer of neurons. bounded: with the errors that float32 can have made.

        Raises UnsupportedError naming a layer that is fed by something later that was not recorded.
        """
        signals: dict[str, Any] = {INPUT: self._as_signal(self.recording.frames, bounded)}
        known = {name: self._as_signal(x, bounded) for name, x in self.recording.spikes.items()}
        found, fixed = {}, {INPUT, *known}
        last = [layer for layer in graph.layers if layer.name in known and _reads_later(graph, layer, known)]
        for layer in (*(layer for layer in graph.layers if layer not in last), *last):
            edges = graph.inputs_of[layer.name]
            inputs = [self._arriving(graph, edge, {**signals, **known}) for edge in edges]
            if isinstance(layer, Neuron):
                replayed, sent = self._neurons(layer, graph, inputs[0], bounded)
                signals[layer.name] = known.get(layer.name, sent)
                if layer.name in self.recording.spikes or layer.name in self.recording.potentials:
                    found[layer.name] = replayed
                continue
            if not fixed.issuperset(edge.source for edge in edges):
                signals[layer.name] = _pass(layer, inputs, bounded)
                continue
            fixed.add(layer.name)
            key = (edges, bounded)
            if key not in self._sums or self._sums[key][0] != layer:
                self._sums[key] = layer, _pass(layer, inputs, bounded)
            signals[layer.name] = self._sums[key][1]
        return found

    @staticmethod
    def _as_signal(x: Array, bounded: bool) -> Any:
        return Rounded(x.astype(np.float64), np.zeros(())) if bounded else x.astype(np.float32)

    def _arriving(self, graph: DeployGraph, edge: Edge, signals: dict[str, Any]) -> Any:
        if edge.source not in signals:
            raise UnsupportedError(
                f"layer {edge.target!r} is fed by {edge.source!r}, which comes later and was not recorded; record it"
            )
        x = signals[edge.source]
        return _later(x, edge.delay) if edge.delay else x

    def _neurons(self, layer: Neuron, graph: DeployGraph, x: Any, bounded: bool) -> tuple[Replayed, Any]:
        shape = graph.shapes[layer.name]
        recorded = self.recording.spikes.get(layer.name)
        kind = np.float64 if bounded else np.float32
        ops: Any = FollowingBounded() if bounded else FollowingFloats()
        ops.follow(None if recorded is None else recorded.astype(kind), layer.reset)
        at = layer.parameters_at(0, shape, np.float32, fixed=False)
        p = Parameters({k: v.astype(kind) for k, v in vars(at).items() if k != "reset"}, layer.firing)
        full = (self.recording.frames.shape[1], *shape)
        zero = _constant(np.zeros(full, kind), bounded)
        state = layer.definition.before(p, zero, lambda v: _constant(np.broadcast_to(v, full), bounded))
        sent = []
        with np.errstate(all="ignore"):  # by wrong rules, potentials may grow beyond all bounds
            for t in range(self.recording.time_steps):
                ops.begin()
                spikes, state = layer.definition.step(ops, state, _at(x, t), p)
                sent.append(spikes)
        if not layer.definition.spikes:
            ops.seen = [(v, v) for v in sent]
        threshold = np.broadcast_to(np.zeros(()) if p.threshold is None else p.threshold, shape)
        values = [v for v, _ in ops.seen]
        compared = np.stack([v.value if bounded else v for v in values])
        errors = np.stack([np.broadcast_to(v.error, full) for v in values]) if bounded else None
        made = np.stack([s.value if isinstance(s, Rounded) else s for _, s in ops.seen])
        passed = _stacked(sent, bounded) if not layer.definition.spikes else _constant(np.stack(sent), bounded)
        return Replayed(compared, made, threshold, errors, layer.firing.many), passed


def _reads_later(graph: DeployGraph, layer: Layer, known: Mapping[str, Any]) -> bool:
    """Whether a layer reads a later one that was not recorded, one step or more after."""
    position = graph.position
    sources = [edge.source for edge in graph.inputs_of[layer.name]]
    return any(position[name] > position[layer.name] and name not in known for name in sources)


def _constant(x: Array, bounded: bool) -> Any:
    return Rounded(x, np.zeros(())) if bounded else x


def _stacked(parts: list[Any], bounded: bool) -> Any:
    if not bounded:
        return np.stack(parts)
    errors = [np.broadcast_to(p.error, p.value.shape) for p in parts]
    return Rounded(np.stack([p.value for p in parts]), np.stack(errors))


def _at(x: Any, t: int | slice) -> Any:
    if not isinstance(x, Rounded):
        return x[t]
    return Rounded(x.value[t], x.error[t] if x.error.ndim else x.error)


def _later(x: Any, delay: int) -> Any:
    def moved(values: Array) -> Array:
        if not values.ndim:
            return values
        return np.concatenate([np.zeros_like(values[:delay]), values[: max(len(values) - delay, 0)]])[: len(values)]

    return Rounded(moved(x.value), moved(x.error)) if isinstance(x, Rounded) else moved(x)


def _pass(layer: Layer, inputs: list[Any], bounded: bool) -> Any:
    """What leaves a layer without state, at all steps `[T, B, ...]`."""
    if any(len(set(table.index.tolist())) > 1 for table in layer.tables().values()):
        return _by_step(layer, inputs, bounded)
    if not bounded:
        return _steps(lambda *x: _compute(layer, np.float32, *x), inputs)
    values = [x.value for x in inputs]
    errors = [np.broadcast_to(x.error, x.value.shape) for x in inputs]
    value = _steps(lambda *x: _compute(layer, np.float64, *x), values)
    positive, terms = _magnitudes(layer)
    reach = _steps(lambda *x: _compute(positive, np.float64, *x), [np.abs(v) + e for v, e in zip(values, errors)])
    handed = _steps(lambda *x: _compute(_without_bias(positive), np.float64, *x), errors)
    return Rounded(value, handed + sum_error(terms, reach, _grid(layer, inputs)))


def _by_step(layer: Layer, inputs: list[Any], bounded: bool) -> Any:
    """The same of a layer whose tables differ from step to step."""
    found = []
    for t in range(len(inputs[0].value if bounded else inputs[0])):
        now = layer.with_tables(lambda table, t=t: StepTable.constant(table.at(t), 1))  # type: ignore[misc]
        one = [_at(x, slice(t, t + 1)) for x in inputs]
        found.append(_pass(now, one, bounded))
    if not bounded:
        return np.concatenate(found)
    errors = [np.broadcast_to(x.error, x.value.shape) for x in found]
    return Rounded(np.concatenate([x.value for x in found]), np.concatenate(errors))


def _grid(layer: Any, inputs: list[Rounded]) -> int | None:
    """The exponent of the grid on which all terms of a layer's sums lie; None if inputs carry errors."""
    if any(x.error.any() for x in inputs):
        return None
    arriving = min(0 if (g := grid_exponent(x.value)) is None else g for x in inputs)
    if not isinstance(layer, Synapses):
        return arriving if layer.passes and getattr(layer, "mode", "") != "average" else None
    own, bias = (None if table is None else grid_exponent(table.at(0)) for table in (layer.weight, layer.bias))
    return min(arriving if own is None else own + arriving, 0 if bias is None else bias)


def _steps(function: Callable[..., Array], inputs: list[Array]) -> Array:
    """A function of `[N, ...]` on signals `[T, B, ...]`."""
    flat = function(*(x.reshape(-1, *x.shape[2:]) for x in inputs))
    return flat.reshape(*inputs[0].shape[:2], *flat.shape[1:])


def _compute(layer: Any, kind: Any, *x: Array) -> Array:
    """A layer's definition in a floating-point type."""
    if isinstance(layer, Synapses):
        kernel: Any = ConvKernel if isinstance(layer, Conv) else LinearKernel
        y = kernel(layer, layer.weight.at(0).astype(kind), 0.0)(x[0])
        return layer.biased(y, 0, y.shape[1:])
    if isinstance(layer, Pool):
        return pool(layer, x[0])
    return layer.compute(0, *x)  # type: ignore[no-any-return]


def _magnitudes(layer: Any) -> tuple[Any, int]:
    """The layer with its parameters' magnitudes, and how many terms each of its sums has."""
    positive = layer.with_tables(lambda table: table.map(np.abs))
    if isinstance(layer, Synapses):
        return positive, int(np.prod(layer.weight.shape[1:])) + (layer.bias is not None)
    if isinstance(layer, Pool):
        return positive, layer.window + 1
    return positive, 2


def _without_bias(layer: Any) -> Any:
    return replace(layer, bias=None) if isinstance(layer, Synapses) else layer


def explained(run: Replayed, recorded: Array) -> Array:
    """Return where float32 rounding can have made the recorded spikes of our potentials, bool `[T, B, ...]`."""
    if run.errors is None:
        return np.zeros(recorded.shape, bool)
    counts = []
    for end in (run.potentials - run.errors, run.potentials + run.errors):
        if run.several:
            counts.append(np.trunc(np.maximum(end, 0) / np.where(run.thresholds == 0, 1, run.thresholds)))
        else:
            counts.append((end >= run.thresholds).astype(np.float64))
    return (run.errors > 0) & (counts[0] <= recorded) & (recorded <= counts[1])
