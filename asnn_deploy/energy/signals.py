"""What arrives at each synaptic layer: the kind of every signal, and its value recomputed from a trace.

A trace holds the spikes of the neuron layers only. What lies between a neuron and a synapse (pooling, flattening,
adding, scaling) has no memory, so it is replayed with the reference executor's own kernels.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import numpy as np

from asnn_deploy.errors import InputError
from asnn_deploy.graph import INPUT, DeployGraph
from asnn_deploy.layers import Add, Conv, Flatten, Layer, Linear, Neuron, Pool, Product, Readout
from asnn_deploy.reference import Executor
from asnn_deploy.step_table import Array
from asnn_deploy.trace import Trace

SYNAPTIC = (Conv, Linear, Product)
"""Kinds of layers whose work is counted in synaptic operations."""


def arrive_as_spikes(graph: DeployGraph) -> dict[str, Array]:
    """For each layer, `[T]` bool: True where all that arrives is spikes or sums of spikes, False where values do.

    Spikes stay spikes under max and sum pooling, flattening, adding and products of spikes; convolutions, linear
    layers, scaling and averages turn them into values. Analog input steps are values.
    """
    arriving = {name: np.zeros(graph.time_steps, dtype=bool) for name in graph.by_name}
    leaving = {name: np.zeros(graph.time_steps, dtype=bool) for name in (INPUT, *graph.by_name)}
    leaving[INPUT] = ~graph.code.analog
    for t in range(graph.time_steps):
        for layer in graph.layers:
            # Before its first step a delayed signal is silence, which is spikes that did not come.
            spikes = all(e.delay > t or leaving[e.source][t - e.delay] for e in graph.inputs_of[layer.name])
            arriving[layer.name][t] = spikes
            leaving[layer.name][t] = isinstance(layer, Neuron) or (spikes and _keeps_spikes(layer))
    return arriving


def _keeps_spikes(layer: Layer) -> bool:
    return isinstance(layer, (Flatten, Add, Product)) or (isinstance(layer, Pool) and layer.mode != "average")


def from_neurons(graph: DeployGraph) -> dict[str, bool]:
    """For each layer, whether anything that it reads comes from a neuron (and not from the input alone)."""
    found = {INPUT: False} | {layer.name: isinstance(layer, Neuron) for layer in graph.layers}
    reads = dict.fromkeys(graph.by_name, False)
    for _ in graph.layers:  # once per layer settles every chain, delayed edges included
        for layer in graph.layers:
            reads[layer.name] = any(found[e.source] for e in graph.inputs_of[layer.name])
            found[layer.name] = found[layer.name] or reads[layer.name]
    return reads


def _between(graph: DeployGraph) -> list[str]:
    """The layers without memory that lie between a neuron (or the input) and a synaptic layer."""
    names: set[str] = set()
    waiting = [layer.name for layer in graph.layers if isinstance(layer, SYNAPTIC)]
    while waiting:
        for edge in graph.inputs_of[waiting.pop()]:
            source = graph.by_name.get(edge.source)
            if source is not None and not isinstance(source, (Neuron, Readout)) and source.name not in names:
                names.add(source.name)
                waiting.append(source.name)
    return [layer.name for layer in graph.layers if layer.name in names]


class Replay:
    """Gives what arrives at each synaptic layer, step by step, from images and the trace that they left."""

    def __init__(self, graph: DeployGraph) -> None:
        self.graph = graph
        self.executor = Executor(graph, _between(graph))
        self.edges = {layer.name: graph.inputs_of[layer.name] for layer in graph.layers if isinstance(layer, SYNAPTIC)}
        self.memory = 1 + max((e.delay for edges in self.edges.values() for e in edges), default=0)

    def steps(self, images: Array, trace: Trace) -> Iterator[dict[str, list[Array]]]:
        """For each step: synaptic layer name to its inputs, each `[B, ...]`."""
        self._check(images, trace)
        self.executor.reset(len(images))
        past: deque[dict[str, Array]] = deque(maxlen=self.memory)
        for t in range(self.graph.time_steps):
            signals = {INPUT: self.graph.code.frame(images, t)}
            for neuron in self.graph.neurons:
                signals[neuron.name] = trace.spikes[neuron.name][t]
            past.append(self.executor.step(t, signals))
            yield {
                name: [self._arriving(e.source, e.delay, past, len(images)) for e in edges]
                for name, edges in self.edges.items()
            }

    def _arriving(self, source: str, delay: int, past: deque[dict[str, Array]], batch: int) -> Array:
        if delay < len(past):
            return past[-1 - delay][source]
        return np.zeros((batch, *self.graph.shapes[source]), np.uint8)

    def _check(self, images: Array, trace: Trace) -> None:
        for neuron in self.graph.neurons:
            expected = (self.graph.time_steps, len(images), *self.graph.shapes[neuron.name])
            found = trace.spikes[neuron.name].shape if neuron.name in trace.spikes else "none"
            if found != expected:
                raise InputError(
                    f"counting needs the spikes of layer {neuron.name!r} as {expected} (time steps, samples, ...), "
                    f"found {found}; run with Record(spikes=True, step_logits=True)"
                )
