"""Counts as plain numbers, and the conventions that they follow."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np

from asnn_deploy.energy.running import Interval, Spread
from asnn_deploy.energy.sizes import Sizes
from asnn_deploy.util.arrays import Array

CONVENTIONS = {
    "sops": "Synaptic operations: acs + macs, at non-zero inputs only, through the true fan-out of each position "
    "(borders, stride, dilation and groups included). Zero weights are not counted.",
    "acs": "Accumulates: one per synapse and spike. A spike count of k arriving at a synapse costs k accumulates.",
    "products": "A product of two signals (self-attention) costs one accumulate for each pair of spikes that meet: "
    "spike times spike is an AND and an accumulate, so counts a and b cost a b accumulates. Q K^T V is counted in the "
    "order in which the network multiplies, the one of fewer operations.",
    "residuals": "Adding spikes costs nothing by itself: what leaves is a count, and each spike in it is accumulated "
    "by the synapses behind. Sum pooling likewise.",
    "macs": "Multiply-accumulates: one per synapse and input value that is not zero and not a spike "
    "(analog input steps, averages, scaled signals).",
    "graded": "acs_graded and macs_graded recount for chips with graded spikes: an input of 1 costs one accumulate, "
    "a spike count above 1 one multiply-accumulate.",
    "spikes": "Spikes emitted by the neuron layers. Input spikes are listed under input and are not in this total.",
    "spikes_in": "Spikes that arrive at a synaptic layer, after pooling; a count of k is k spikes. "
    "Non-zero analog values are listed as values_in.",
    "neuron_updates": "One for each neuron and time step, whether or not input arrived.",
    "neuron_work": "In profiles of bare arithmetic an update costs one multiplication per leak or gain, one addition "
    "per state, bias and comparison, and one more where the neuron fires. In profiles of chips it costs what they say.",
    "biases": "A sum starts from its bias: a bias costs a memory access (bias_reads) and no operation.",
    "layers": "One row for each synaptic layer (convolution, linear, product of spikes) and each neuron layer; "
    "what does not apply to a row is 0.",
    "not_counted": "Pooling, adding and flattening of signals, pointwise factors (scaling, averaging, the readout's "
    "weighted mean over time), the encoding of the input and its preparation by the host are not synaptic operations.",
    "mean": "All counts and energies are means per sample; spread is over the samples (population standard deviation).",
    "interval": "95 % intervals of a mean by Student's t: mean -+ t s / sqrt(n) with the samples' standard deviation s "
    "(n - 1 in its denominator); null for one sample.",
    "memory": "weight_fetches: one per synaptic operation. state_reads and state_writes: the sum that each synaptic "
    "operation adds to, and each state variable at each neuron update.",
    "by_step": "What the network would have answered, and spent, had it stopped after this time step.",
}


@dataclass(frozen=True)
class StepCount:
    """What one layer does in one time step; means per sample. See CONVENTIONS."""

    macs: float
    acs: float
    spikes_in: float
    spikes_out: float
    neuron_updates: float
    macs_graded: float
    acs_graded: float
    values_in: float
    bias_reads: float


KEYS = tuple(field.name for field in fields(StepCount))


@dataclass(frozen=True)
class StepIntervals:
    """Means over the samples with their 95 % intervals, for one layer and step. sops: acs + macs."""

    sops: Interval
    spikes_out: Interval


@dataclass(frozen=True)
class LayerCount(Sizes):
    """One layer's sizes and counts; per_step and intervals have T entries. See `Sizes`."""

    per_step: tuple[StepCount, ...] = ()
    intervals: tuple[StepIntervals, ...] = ()

    def total(self, key: str) -> float:
        """One of the counts, over all steps."""
        return math.fsum(getattr(step, key) for step in self.per_step)

    @property
    def weight_fetches(self) -> float:
        """Weights read: one for each synaptic operation."""
        return self.total("acs") + self.total("macs") if not self.neurons else 0.0

    @property
    def state_reads(self) -> float:
        """Sums and states read: the sum that each synaptic operation adds to, each state of each neuron update."""
        return self.states * self.total("neuron_updates") if self.neurons else self.weight_fetches

    @property
    def state_writes(self) -> float:
        """Sums and states written: as many as are read."""
        return self.state_reads


@dataclass(frozen=True)
class ClassCount:
    """The samples of one class; accuracy as a share. answers: each class that they were given, and how often."""

    label: int
    samples: int
    accuracy: float
    sops: Interval
    spikes: Interval
    answers: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Counts:
    """What a network did, per sample.

    mean_steps: time steps run per sample: T, fewer where samples were cut at an early exit.
    accuracy and accuracy_by_step (`T` values) are None where no labels (or no step logits) were given, and where the
        samples were cut: the accuracy of early answers is `early_exit`'s to tell.
    by_class: one entry for each class that the labels name.
    input_spikes, input_values: `T` means of the spikes and the non-zero analog values that the coded image holds.
    """

    samples: int
    time_steps: int
    mean_steps: float
    layers: tuple[LayerCount, ...]
    sops: Spread
    spikes: Spread
    accuracy: float | None
    accuracy_by_step: tuple[float, ...] | None
    by_class: tuple[ClassCount, ...]
    input_spikes: tuple[float, ...]
    input_values: tuple[float, ...]

    def total(self, key: str) -> float:
        """One of the counts, over all layers and steps."""
        return math.fsum(layer.total(key) for layer in self.layers)

    def table(self) -> Array:
        """Means per sample over all steps, `[layers, KEYS]`."""
        return np.array([[layer.total(key) for key in KEYS] for layer in self.layers]).reshape(-1, len(KEYS))

    def sops_by_step(self) -> list[float]:
        """Synaptic operations up to and including each step."""
        steps = [[layer.per_step[t] for layer in self.layers] for t in range(self.time_steps)]
        work = [[step.macs + step.acs for step in row] for row in steps]
        return [math.fsum(amount for row in work[: t + 1] for amount in row) for t in range(self.time_steps)]
