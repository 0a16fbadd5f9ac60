"""The reference executors: a graph and images in, a Trace out. NumPy only.

`reference` runs float32 graphs, `reference-fixed` integer graphs; both are this one loop over time steps and layers,
with the arithmetic of `engine.steppers` and `neurons`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np

from asnn_deploy.engine.steppers import Firing, build, signal_type
from asnn_deploy.graph import INPUT, DeployGraph
from asnn_deploy.neurons import check_neurons
from asnn_deploy.step_table import Array
from asnn_deploy.trace import Record, Trace

LOGITS_ONLY = Record()


class Executor:
    """Runs a graph, or a part of it, one time step at a time.

    layers: the names of the layers to run, in topological order; all of them by default.
    """

    def __init__(self, graph: DeployGraph, layers: Sequence[str] | None = None) -> None:
        check_neurons(graph)
        self.graph = graph
        self.dtype = signal_type(graph)
        wanted = set(graph.by_name if layers is None else layers)
        self.steppers = {layer.name: build(layer, graph) for layer in graph.layers if layer.name in wanted}
        self.edges = {name: graph.inputs_of[name] for name in self.steppers}
        delays: dict[str, int] = {}
        for edge in (e for edges in self.edges.values() for e in edges):
            delays[edge.source] = max(delays.get(edge.source, 0), edge.delay)
        self._past: dict[str, deque[Array]] = {name: deque(maxlen=d) for name, d in delays.items() if d}
        self._batch = 0

    def reset(self, batch: int) -> None:
        """Begin a new batch of that many samples."""
        self._batch = batch
        for stepper in self.steppers.values():
            stepper.reset(batch)
        for past in self._past.values():
            past.clear()

    def step(self, t: int, signals: dict[str, Array]) -> dict[str, Array]:
        """Run step t: `signals` holds what enters ("input", or the sources cut off) and gains every layer's output."""
        for name, stepper in self.steppers.items():
            inputs = [self._signal(e.source, e.delay, signals) for e in self.edges[name]]
            signals[name] = stepper.step(t, *inputs)
        for name, past in self._past.items():
            past.append(signals[name])
        return signals

    def _signal(self, source: str, delay: int, signals: dict[str, Array]) -> Array:
        if not delay:
            return signals[source]
        past = self._past[source]
        if delay > len(past):
            return np.zeros((self._batch, *self.graph.shapes[source]), self.dtype)
        return past[-delay]

    def potential(self, name: str) -> Array:
        """A neuron layer's membrane potential after the latest step, `[B, ...]`."""
        stepper = self.steppers[name]
        assert isinstance(stepper, Firing)
        return stepper.potential

    def run(self, images: Array, record: Record = LOGITS_ONLY) -> Trace:
        """Run uint8 images `[B, C, H, W]` through all T steps."""
        graph, answer = self.graph, self.graph.readout
        fixed = graph.arithmetic == "fixed"
        neurons = [neuron.name for neuron in graph.neurons]
        spikes: dict[str, list[Array]] = {name: [] for name in neurons}
        potentials: dict[str, list[Array]] = {name: [] for name in neurons}
        summands: list[Array] = []
        logits: Array = np.zeros((len(images), *graph.shapes[answer.name]), self.dtype)
        self.reset(len(images))
        for t in range(graph.time_steps):
            signals = self.step(t, {INPUT: graph.code.frame(images, t).astype(self.dtype)})
            logits = logits + signals[answer.name]
            if record.step_logits:
                summands.append(signals[answer.name])
            for name in neurons:
                if record.spikes:
                    spikes[name].append(signals[name].astype(np.uint8))
                if record.potentials:
                    potentials[name].append(self.potential(name))
        step_logits: Array | None = None
        if summands:
            step_logits = np.stack(summands).reshape(graph.time_steps, len(images), graph.classes)
        if fixed:
            logits = logits * np.float64(answer.unit)
            step_logits = None if step_logits is None else step_logits * np.float64(answer.unit)
        return Trace(
            "reference-fixed" if fixed else "reference",
            logits.reshape(len(images), graph.classes),
            {name: np.stack(parts) for name, parts in spikes.items() if parts},
            {name: np.stack(parts) for name, parts in potentials.items() if parts},
            step_logits,
        )


def run(graph: DeployGraph, images: Array, record: Record = LOGITS_ONLY, batch_size: int = 64) -> Trace:
    """Run uint8 images `[N, C, H, W]` in batches and join their traces."""
    executor = Executor(graph)
    starts = range(0, max(len(images), 1), batch_size)
    return Trace.concatenate([executor.run(images[i : i + batch_size], record) for i in starts])
