"""Counting: what a network does for one sample, exactly, from a trace.

`Counter(graph)` is fed batch after batch and keeps sums only, so its memory does not grow with the number of samples;
`result()` gives plain numbers, means per sample. The conventions are in `CONVENTIONS` and go into every report.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from asnn_deploy.energy.connections import bias_reads, fan_out, product_pairs
from asnn_deploy.energy.results import CONVENTIONS, KEYS, Counts, LayerCount, Running, Spread, StepCount
from asnn_deploy.energy.signals import SYNAPTIC, Replay, arrive_as_spikes, from_neurons
from asnn_deploy.errors import InputError
from asnn_deploy.graph import DeployGraph
from asnn_deploy.layers import Conv, Layer, Linear, Neuron, Product
from asnn_deploy.neurons import model_of
from asnn_deploy.step_table import Array
from asnn_deploy.trace import Trace

__all__ = ["CONVENTIONS", "Counter", "Counts", "LayerCount", "Spread", "StepCount"]

NOT_FACTORS = frozenset({"threshold", "bias", "gain_shift"})
"""Neuron parameters that cost no multiplication: compared with, added, shifted by."""
FLOAT_BYTES = 4
FIXED_STATE_BYTES = 4
"""A 24-bit membrane potential sits in a 32-bit word."""


class Counter:
    """Counts batch after batch. `add` each batch with its trace, then ask for the `result`."""

    def __init__(self, graph: DeployGraph) -> None:
        self.graph = graph
        self.samples = 0
        self._replay = Replay(graph)
        self._spiking = arrive_as_spikes(graph)
        self._sums = {
            layer.name: np.zeros((graph.time_steps, len(KEYS)), dtype=np.int64)
            for layer in graph.layers
            if isinstance(layer, (*SYNAPTIC, Neuron))
        }
        self._input = np.zeros((graph.time_steps, 2), dtype=np.int64)
        self._fans: dict[str, Array] = {}
        self._biases: dict[str, Array] = {}
        for layer in graph.layers:
            if isinstance(layer, (Conv, Linear)):
                fans = fan_out(layer, graph.shapes[graph.inputs_of[layer.name][0].source])
                self._fans[layer.name] = fans.reshape(len(fans), -1).astype(np.float64)
                self._biases[layer.name] = bias_reads(layer, graph.shapes[layer.name])
        self._sops, self._spikes = Running(), Running()
        self._labelled = self._stepped = self._correct = 0
        self._correct_by_step = np.zeros(graph.time_steps, dtype=np.int64)

    def add(self, images: Array, trace: Trace, labels: Array | None = None) -> None:
        """Count a batch: uint8 images `[B, C, H, W]`, the trace of their run with spikes recorded, labels `[B]`.

        Step logits in the trace, with labels, give the accuracy after each step. Raises InputError where the trace
        lacks a layer's spikes or does not belong to the images.
        """
        if not len(images):
            return
        sops, spikes = np.zeros(len(images)), np.zeros(len(images))
        for t, arriving in enumerate(self._replay.steps(images, trace)):
            self._count_input(t, images)
            for name, inputs in arriving.items():
                sops += self._count_synapses(t, name, inputs)
            for neuron in self.graph.neurons:
                spikes += self._count_neurons(t, neuron, trace.spikes[neuron.name][t])
        self.samples += len(images)
        self._sops.add(sops)
        self._spikes.add(spikes)
        if labels is not None:
            self._count_answers(trace, np.asarray(labels))

    def result(self) -> Counts:
        """Means per sample. Raises InputError where nothing was counted."""
        if not self.samples:
            raise InputError("nothing was counted: a report needs at least 1 sample")
        layers = tuple(self._layer_count(layer) for layer in self.graph.layers if layer.name in self._sums)
        everything: Array = sum(self._sums.values(), start=np.zeros((self.graph.time_steps, len(KEYS)), np.int64))
        total = dict(zip(KEYS, everything.sum(axis=0).tolist()))
        inputs = self._input / self.samples
        complete = self._labelled == self.samples
        return Counts(
            samples=self.samples,
            time_steps=self.graph.time_steps,
            layers=layers,
            sops=self._sops.spread((total["macs"] + total["acs"]) / self.samples),
            spikes=self._spikes.spread(total["spikes_out"] / self.samples),
            accuracy=self._correct / self.samples if complete else None,
            accuracy_by_step=(
                tuple((self._correct_by_step / self.samples).tolist())
                if complete and self._stepped == self.samples
                else None
            ),
            input_spikes=tuple(inputs[:, 0].tolist()),
            input_values=tuple(inputs[:, 1].tolist()),
            weight_bytes=_weight_bytes(self.graph),
            state_bytes=FIXED_STATE_BYTES if self.graph.arithmetic == "fixed" else FLOAT_BYTES,
        )

    def _record(self, name: str, t: int, **amounts: float) -> None:
        for key, amount in amounts.items():
            self._sums[name][t, KEYS.index(key)] += round(amount)

    def _count_input(self, t: int, images: Array) -> None:
        frame = self.graph.code.frame(images, t)
        if self.graph.code.analog[t]:
            self._input[t, 1] += np.count_nonzero(frame)
        else:
            self._input[t, 0] += frame.sum(dtype=np.int64)

    def _count_synapses(self, t: int, name: str, inputs: list[Array]) -> Array:
        """Count one synaptic layer at one step; returns the synaptic operations of each sample, `[B]`."""
        all_of, once, of_ones = self._operations(t, self.graph.by_name[name], inputs)
        if name in self._biases:
            self._record(name, t, bias_reads=self._biases[name][t] * len(inputs[0]))
        if self._spiking[name][t]:
            self._record(name, t, acs=all_of.sum(), acs_graded=of_ones.sum(), macs_graded=(once - of_ones).sum())
            self._record(name, t, spikes_in=sum(float(x.sum(dtype=np.float64)) for x in inputs))
            return all_of
        self._record(name, t, macs=once.sum(), macs_graded=once.sum())
        self._record(name, t, values_in=sum(np.count_nonzero(x) for x in inputs))
        return once

    def _operations(self, t: int, layer: Layer, inputs: list[Array]) -> tuple[Array, Array, Array]:
        """For each sample, float64 `[B]` (exact below 2**53): synapses times input, at non-zero inputs, at ones."""
        masks = [x != 0 for x in inputs]
        binary = all(np.array_equal(x, mask) for x, mask in zip(inputs, masks))
        if isinstance(layer, Product):
            once = product_pairs(layer, *masks)
            if binary:
                return once, once, once
            return product_pairs(layer, *inputs), once, product_pairs(layer, *(x == 1 for x in inputs))
        assert isinstance(layer, (Conv, Linear))
        fan = self._fans[layer.name][layer.weight.index[t]]
        flat = inputs[0].reshape(len(inputs[0]), -1).astype(np.float64)
        once = masks[0].reshape(flat.shape) @ fan
        if binary:
            return once, once, once
        return flat @ fan, once, (flat == 1) @ fan

    def _count_neurons(self, t: int, neuron: Neuron, spikes: Array) -> Array:
        """Count one neuron layer at one step; returns the spikes of each sample, `[B]`."""
        emitted: Array = spikes.reshape(len(spikes), -1).sum(axis=1, dtype=np.int64)
        updates = len(spikes) * math.prod(self.graph.shapes[neuron.name])
        self._record(neuron.name, t, spikes_out=emitted.sum(), neuron_updates=updates)
        return emitted

    def _count_answers(self, trace: Trace, labels: Array) -> None:
        if labels.shape != (trace.samples,):
            raise InputError(f"labels have shape {labels.shape}, the trace has {trace.samples} samples")
        self._labelled += len(labels)
        self._correct += int((trace.predictions == labels).sum())
        if trace.step_logits is not None:
            self._stepped += len(labels)
            answers = np.cumsum(trace.step_logits, axis=0, dtype=trace.step_logits.dtype).argmax(axis=2)
            self._correct_by_step += (answers == labels).sum(axis=1)

    def _layer_count(self, layer: Layer) -> LayerCount:
        steps = tuple(StepCount(*row) for row in (self._sums[layer.name] / self.samples).tolist())
        graph = self.graph
        size = math.prod(graph.shapes[layer.name])
        shapes = [graph.shapes[e.source] for e in graph.inputs_of[layer.name]]
        row = LayerCount(
            layer.name,
            layer.kind,
            per_step=steps,
            inputs=sum(math.prod(shape) for shape in shapes),
            outputs=size,
            after_neurons=from_neurons(graph)[layer.name],
        )
        if isinstance(layer, Neuron):
            states = len(model_of(layer).states)
            return replace(
                row,
                neurons=size,
                states=states,
                multiplications=sum(key not in NOT_FACTORS for key in layer.parameters),
                # One sum per state, one for a bias, one for the comparison with the threshold.
                additions=states + ("bias" in layer.parameters) + 1,
            )
        if isinstance(layer, Product):
            return replace(row, connections=int(product_pairs(layer, *(np.ones((1, *s)) for s in shapes))[0]))
        assert isinstance(layer, (Conv, Linear))
        return replace(
            row,
            connections=int(self._fans[layer.name][layer.weight.index[0]].sum()),
            weights=layer.weight.values.size,
            weights_at_once=math.prod(layer.weight.shape),
            biases=0 if layer.bias is None else layer.bias.values.size,
            biased=int(self._biases[layer.name][0]),
        )


def _weight_bytes(graph: DeployGraph) -> int:
    """Bytes of one weight in memory: those of the fixed tables' type, or of a float32."""
    if graph.arithmetic != "fixed":
        return FLOAT_BYTES
    return max((w.weight.dtype.itemsize for w in graph.layers if isinstance(w, (Conv, Linear))), default=1)
