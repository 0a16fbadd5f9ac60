"""Counting: what a network does for one sample, exactly, from a trace.

`Counter(graph)` is fed batch after batch and keeps sums only, so its memory does not grow with the number of samples;
`result()` gives plain numbers, means per sample. The conventions are in `CONVENTIONS` and go into every report.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from asnn_deploy.analysis.flow import flow
from asnn_deploy.energy.answers import NOT_ASKED, Answers
from asnn_deploy.energy.results import CONVENTIONS, KEYS, Counts, LayerCount, StepCount, StepIntervals
from asnn_deploy.energy.running import Running
from asnn_deploy.energy.signals import Replay
from asnn_deploy.energy.sizes import sizes
from asnn_deploy.energy.tally import add_up, fits_narrow, weigh_spikes, weigh_values
from asnn_deploy.engine.runner import Runner
from asnn_deploy.engine.signals import channels_last
from asnn_deploy.errors import InputError
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.layers import Layer, Neuron, Product
from asnn_deploy.ir.trace import Record, Trace
from asnn_deploy.util.arrays import Array

__all__ = ["CONVENTIONS", "Counter", "Counts", "LayerCount", "StepCount"]

WHOLE = math.inf
"""The exit margin that nothing reaches: the whole run."""
MACS, ACS, SPIKES_IN, SPIKES_OUT, UPDATES, MACS_GRADED, ACS_GRADED, VALUES_IN, BIAS_READS = range(len(KEYS))


class _Sums:
    """What is kept of the samples' counts `[B, layers, T, KEYS]`."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.table = np.zeros(shape, np.int64)
        self.steps_run = 0
        self.sops, self.spikes = Running(), Running()

    def add(self, counts: Array, steps_run: int) -> None:
        """Take in a batch, and how many steps its samples ran together."""
        self.table += counts.sum(axis=0)
        self.steps_run += steps_run
        self.sops.add(_sops(counts))
        self.spikes.add(_spikes(counts))


class Counter:
    """Counts batch after batch. `add` each batch with its trace, then ask for the `result`."""

    def __init__(self, graph: DeployGraph) -> None:
        self.graph = graph
        self.samples = 0
        self.sizes = sizes(graph)
        self._counted = [layer for layer in graph.layers if layer.synaptic or layer.fires]
        self._replay = Replay(graph)
        arriving = {layer.name: flow(graph).arriving(layer.name) for layer in self._counted}
        self._spiking = {name: np.all([x.events for x in tracks], axis=0) for name, tracks in arriving.items()}
        self._binary = {
            name: self._spiking[name] & (np.max([x.largest for x in tracks], axis=0) <= 1)
            for name, tracks in arriving.items()
        }
        self._fans: dict[str, Array] = {}
        self._biases: dict[str, Array] = {}
        for synapses in graph.synapses:
            fans = synapses.fan_out(graph.input_shape_of(synapses.name))
            narrow = np.int32 if fits_narrow(fans) else np.int64
            self._fans[synapses.name] = channels_last(fans[:, None].astype(narrow))[:, 0]
            self._biases[synapses.name] = synapses.bias_reads(graph.shapes[synapses.name])
        shape = (len(self._counted), graph.time_steps)
        self._sums: dict[float, _Sums] = {}
        self._sent = np.zeros(graph.time_steps, dtype=np.int64)
        self._by_step = Running(*shape, 2)
        self._answers = Answers(graph.time_steps)

    def add(
        self,
        images: Array,
        trace: Trace,
        labels: Array | None = None,
        exits: Mapping[float, Array] | None = None,
    ) -> Array:
        """Count a batch: uint8 images `[B, C, H, W]`, the trace of their run with spikes recorded, labels `[B]`.

        Step logits in the trace, with labels, give the accuracy after each step. exits: by margin, how many steps each
        sample runs until its answer is taken, `[B]`, 1 to T; `result(margin)` then counts these steps only.
        Returns each sample's counts over all steps, `[B, layers, KEYS]` int64. Raises InputError where the trace lacks
        a layer's spikes or does not belong to the images.
        """
        counts = self.count(images, trace)
        self._take_in(counts, images, trace, labels, exits or {})
        return counts.sum(axis=2)

    def observe(
        self,
        runner: Runner,
        images: Array,
        labels: Array | None = None,
        exits: Callable[[Array], Mapping[float, Array]] | None = None,
    ) -> tuple[Trace, Array]:
        """Run a batch and count it where it runs, thread by thread: faster than `add`, with the same result.

        exits: from step logits `[T, B, classes]` to what `add` takes. Returns the trace, its logits only, and what
        `add` returns.
        """
        record = Record(step_logits=True, arriving=True, spike_counts=True)
        pieces = runner.map(images, record, lambda cut, trace: (without_signals(trace), self.count(images[cut], trace)))
        trace = Trace.concatenate([trace for trace, _ in pieces])
        counts = np.concatenate([counts for _, counts in pieces])
        assert trace.step_logits is not None
        self._take_in(counts, images, trace, labels, exits(trace.step_logits) if exits else {})
        return trace, counts.sum(axis=2)

    def count(self, images: Array, trace: Trace) -> Array:
        """The counts of each sample, layer and step, `[B, layers, T, KEYS]` int64; keeps nothing."""
        counts = np.zeros((len(images), len(self._counted), self.graph.time_steps, len(KEYS)), np.int64)
        if not len(images):
            return counts
        signals = self._replay.arriving(images, trace)
        for i, layer in enumerate(self._counted):
            if isinstance(layer, Neuron):
                self._count_neurons(layer, trace, counts[:, i])
            else:
                for t in range(self.graph.time_steps):
                    self._count_synapses(t, layer, [x[t] for x in signals[layer.name]], counts[:, i, t])
        return counts

    def result(self, margin: float = WHOLE) -> Counts:
        """Means per sample; with a margin that every `add` knew, of the steps up to each sample's exit.

        Raises InputError where nothing was counted, or a margin was not.
        """
        if not self.samples:
            raise InputError("nothing was counted: a report needs at least 1 sample")
        if margin not in self._sums:
            raise InputError(f"exit margin {margin}: was not counted; counted: {sorted(self._sums)}")
        analog, sent = self.graph.code.analog, self._sent / self.samples
        whole, sums = margin == WHOLE, self._sums[margin]
        found = self._answers.of(self.samples) if whole else NOT_ASKED
        means = sums.table / self.samples
        return Counts(
            samples=self.samples,
            time_steps=self.graph.time_steps,
            mean_steps=sums.steps_run / self.samples,
            layers=tuple(self._layer(i, means[i], whole) for i in range(len(self._counted))),
            sops=sums.sops.spread(int(sums.table[..., [MACS, ACS]].sum()) / self.samples),
            spikes=sums.spikes.spread(int(sums.table[..., SPIKES_OUT].sum()) / self.samples),
            accuracy=found.accuracy,
            accuracy_by_step=found.by_step,
            by_class=found.by_class,
            input_spikes=tuple(np.where(analog, 0.0, sent).tolist()),
            input_values=tuple(np.where(analog, sent, 0.0).tolist()),
        )

    def _layer(self, i: int, means: Array, whole: bool) -> LayerCount:
        steps = tuple(StepCount(*row) for row in means.tolist())
        intervals = tuple(
            StepIntervals(self._by_step.interval(i, t, 0), self._by_step.interval(i, t, 1)) for t in range(len(steps))
        )
        row = self.sizes[self._counted[i].name]
        return LayerCount(**vars(row), per_step=steps, intervals=intervals if whole else ())

    def _take_in(
        self, counts: Array, images: Array, trace: Trace, labels: Array | None, exits: Mapping[float, Array]
    ) -> None:
        """Add a batch's counts `[B, layers, T, KEYS]` to every sum."""
        if not len(counts):
            return
        if labels is not None and np.shape(labels) != (trace.samples,):
            raise InputError(f"labels have shape {np.shape(labels)}, the trace has {trace.samples} samples")
        if self.samples and self._sums.keys() != {WHOLE, *exits}:
            raise InputError(f"exit margins {sorted(exits)} differ from those of the batches before")
        time_steps = self.graph.time_steps
        self.samples += len(counts)
        self._sent += self.graph.code.sent(images)
        for margin, steps in {WHOLE: np.full(len(counts), time_steps), **exits}.items():
            runs = np.asarray(steps)[:, None] > np.arange(time_steps)
            kept = counts if runs.all() else counts * runs[:, None, :, None]
            self._sums.setdefault(margin, _Sums(kept.shape[1:])).add(kept, int(runs.sum()))
        self._by_step.add(np.stack([counts[..., MACS] + counts[..., ACS], counts[..., SPIKES_OUT]], axis=-1))
        if labels is not None:
            self._answers.add(trace, np.asarray(labels), _sops(counts), _spikes(counts))

    def _count_neurons(self, layer: Neuron, trace: Trace, found: Array) -> None:
        """Count one neuron layer, `[B, T, KEYS]`."""
        if not layer.definition.spikes:
            found[..., SPIKES_OUT] = 0
        elif layer.name in trace.spike_counts:
            found[..., SPIKES_OUT] = trace.spike_counts[layer.name].T
        else:
            for t, spikes in enumerate(channels_last(trace.spikes[layer.name])):
                found[:, t, SPIKES_OUT] = add_up(spikes) if layer.spiking == "one" else spikes.sum(axis=1)
        found[..., UPDATES] = self.sizes[layer.name].neurons

    def _count_synapses(self, t: int, layer: Layer, inputs: list[Array], found: Array) -> None:
        """Count one synaptic layer at one step: inputs `[B, ...]` into `[B, KEYS]`."""
        if isinstance(layer, Product):
            all_of, once, of_ones, total, nonzero = _product(layer, inputs)
        else:
            fan = self._fans[layer.name][layer.tables()["weight"].index[t]]
            x = channels_last(inputs[0][None])[0]
            found[:, BIAS_READS] = self._biases[layer.name][t]
            if self._binary[layer.name][t] and x.dtype == np.uint8:
                found[:, ACS], found[:, SPIKES_IN] = weigh_spikes(x, fan)
                found[:, ACS_GRADED] = found[:, ACS]
                return
            all_of, once, of_ones, total, nonzero = weigh_values(x, fan)
        if self._spiking[layer.name][t]:
            found[:, ACS], found[:, SPIKES_IN] = np.rint(all_of), np.rint(total)
            found[:, ACS_GRADED], found[:, MACS_GRADED] = of_ones, once - of_ones
        else:
            found[:, MACS], found[:, MACS_GRADED], found[:, VALUES_IN] = once, once, nonzero


def without_signals(trace: Trace) -> Trace:
    """A trace with nothing but its logits, which is all that is kept of a piece once it is counted."""
    return Trace(trace.target, trace.logits, step_logits=trace.step_logits, rule=trace.rule)


def _product(layer: Product, inputs: list[Array]) -> tuple[Array, ...]:
    """What `weigh_values` gives, for a product of two signals `[B, ...]`."""
    masks = [x != 0 for x in inputs]
    ones = layer.pairs(*(x == 1 for x in inputs))
    total = sum(x.astype(np.float64).reshape(len(x), -1).sum(axis=1) for x in inputs)
    nonzero = sum(mask.reshape(len(mask), -1).sum(axis=1) for mask in masks)
    return layer.pairs(*inputs), layer.pairs(*masks), ones, total, nonzero


def _sops(counts: Array) -> Array:
    """Synaptic operations of each sample, `[B]`."""
    return counts[..., [MACS, ACS]].sum(axis=(1, 2, 3))


def _spikes(counts: Array) -> Array:
    """Spikes of each sample, `[B]`."""
    return counts[..., SPIKES_OUT].sum(axis=(1, 2))  # type: ignore[no-any-return]
