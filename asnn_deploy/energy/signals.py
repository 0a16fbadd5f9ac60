"""What arrives at each synaptic layer: the kind of every signal, and its value recomputed from a trace.

A trace holds the spikes of the neuron layers only. What lies between a neuron and a synapse (pooling, flattening,
adding, scaling) has no memory, so it is replayed with the reference executor's own kernels.
"""

from __future__ import annotations

import numpy as np

from asnn_deploy.engine.encoder import encode
from asnn_deploy.engine.executor import Executor, synaptic_inputs
from asnn_deploy.errors import InputError
from asnn_deploy.ir.graph import INPUT, DeployGraph
from asnn_deploy.ir.layers import SYNAPTIC, Add, Flatten, Layer, Neuron, Pool, Product, Readout, Reshape
from asnn_deploy.ir.trace import Trace
from asnn_deploy.util.arrays import Array


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
    return isinstance(layer, (Flatten, Reshape, Add, Product)) or (isinstance(layer, Pool) and layer.mode != "average")


def from_neurons(graph: DeployGraph) -> dict[str, bool]:
    """For each layer, whether anything that it reads comes from a neuron (and not from the input alone)."""
    found = {INPUT: False} | {layer.name: isinstance(layer, Neuron) for layer in graph.layers}
    reads = dict.fromkeys(graph.by_name, False)
    for _ in graph.layers:  # once per layer settles every chain, delayed edges included
        for layer in graph.layers:
            reads[layer.name] = any(found[e.source] for e in graph.inputs_of[layer.name])
            found[layer.name] = found[layer.name] or reads[layer.name]
    return reads


def _replayed(graph: DeployGraph) -> list[str]:
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
    """Gives what arrives at each synaptic layer, from images and the trace that they left."""

    def __init__(self, graph: DeployGraph) -> None:
        self.graph = graph
        self.replayed = _replayed(graph)
        self.edges = {layer.name: graph.inputs_of[layer.name] for layer in graph.layers if isinstance(layer, SYNAPTIC)}
        self.read = set(synaptic_inputs(graph))
        self.neurons = {neuron.name for neuron in graph.neurons}

    def arriving(self, images: Array, trace: Trace) -> dict[str, list[Array]]:
        """Synaptic layer name to its inputs, each `[T, B, ...]`."""
        recorded = trace.arriving.keys() >= self.read and trace.spike_counts.keys() >= self.neurons
        if recorded:
            signals = {INPUT: encode(self.graph.code, images), **trace.arriving}
        else:
            signals = self.signals(images, trace)
        return {name: [_late(signals[e.source], e.delay) for e in edges] for name, edges in self.edges.items()}

    def signals(self, images: Array, trace: Trace) -> dict[str, Array]:
        """The coded frames ("input"), spikes, and all that lies between them and synapses, by name, `[T, B, ...]`."""
        self._check(images, trace)
        given = {INPUT: encode(self.graph.code, images)} | {
            neuron.name: trace.spikes[neuron.name] for neuron in self.graph.neurons
        }
        executor = Executor(self.graph, self.replayed)
        executor.reset(len(images))
        parts = []
        for steps in executor.blocks():
            block = {name: signal[steps.start : steps.stop] for name, signal in given.items()}
            parts.append(executor.advance(steps, block))
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _check(self, images: Array, trace: Trace) -> None:
        for neuron in self.graph.neurons:
            expected = (self.graph.time_steps, len(images), *self.graph.shapes[neuron.name])
            found = trace.spikes[neuron.name].shape if neuron.name in trace.spikes else "none"
            if found != expected:
                raise InputError(
                    f"counting needs the spikes of layer {neuron.name!r} as {expected} (time steps, samples, ...), "
                    f"found {found}; run with Record(spikes=True, step_logits=True)"
                )


def _late(signal: Array, delay: int) -> Array:
    """A signal `[T, ...]` that many steps later; silence before."""
    if not delay:
        return signal
    silence = np.zeros((min(delay, len(signal)), *signal.shape[1:]), signal.dtype)
    return np.concatenate([silence, signal])[: len(signal)]
