"""What arrives at each synaptic layer, recomputed from a trace.

A trace holds the spikes of the neuron layers only. What lies between a neuron and a synapse (pooling, flattening,
adding, scaling) has no memory, so it is replayed with the reference executor's own kernels.
"""

from __future__ import annotations

import numpy as np

from asnn_deploy.engine.encoder import encode
from asnn_deploy.engine.executor import Executor, synaptic_inputs
from asnn_deploy.errors import InputError
from asnn_deploy.ir.graph import INPUT, DeployGraph
from asnn_deploy.ir.trace import Trace
from asnn_deploy.util.arrays import Array


def _replayed(graph: DeployGraph) -> list[str]:
    """The layers that lie between spikes (or the input) and a synaptic layer."""
    names: set[str] = set()
    waiting = [layer.name for layer in graph.layers if layer.synaptic]
    while waiting:
        for edge in graph.inputs_of[waiting.pop()]:
            source = graph.by_name.get(edge.source)
            if source is not None and source not in graph.spiking and not source.answers and source.name not in names:
                names.add(source.name)
                waiting.append(source.name)
    return [layer.name for layer in graph.layers if layer.name in names]


class Replay:
    """Gives what arrives at each synaptic layer, from images and the trace that they left."""

    def __init__(self, graph: DeployGraph) -> None:
        self.graph = graph
        self.replayed = _replayed(graph)
        self.edges = {layer.name: graph.inputs_of[layer.name] for layer in graph.layers if layer.synaptic}
        self.read = set(synaptic_inputs(graph))
        self.neurons = {neuron.name for neuron in graph.spiking}

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
            neuron.name: trace.spikes[neuron.name] for neuron in self.graph.spiking
        }
        executor = Executor(self.graph, self.replayed)
        executor.reset(len(images))
        parts = []
        for steps in executor.blocks():
            block = {name: signal[steps.start : steps.stop] for name, signal in given.items()}
            parts.append(executor.advance(steps, block))
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _check(self, images: Array, trace: Trace) -> None:
        for neuron in self.graph.spiking:
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
