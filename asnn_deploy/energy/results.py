"""Counts as plain numbers, and the conventions that they follow."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from asnn_deploy.step_table import Array

CONVENTIONS = {
    "sops": "Synaptic operations: acs + macs, at non-zero inputs only, through the true fan-out of each position "
    "(borders, stride, dilation and groups included). Zero weights are not counted.",
    "acs": "Accumulates: one per synapse and spike. A spike count of k arriving at a synapse costs k accumulates.",
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
    "weighted mean over time) and the encoding of the input are not synaptic operations.",
    "mean": "All counts and energies are means per sample; spread is over the samples (population standard deviation).",
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
class LayerCount:
    """One layer's counts, and the sizes that memory models need.

    neurons: neurons of a neuron layer, else 0.
    connections: non-zero synapses of a synaptic layer in the weights of step 0; for a product, its scalar products.
    outputs: elements that leave the layer; inputs: elements that enter.
    weights: how many weights it stores, all table entries together; weights_at_once: those of one entry.
    biases: how many biases it stores; biased: output elements with a non-zero bias at step 0.
    multiplications, additions: arithmetic of one neuron update (the reset of a spiking neuron comes on top).
    states: state variables of one neuron.
    after_neurons: whether anything that it reads comes from a neuron.
    """

    name: str
    kind: str
    per_step: tuple[StepCount, ...]
    neurons: int = 0
    connections: int = 0
    inputs: int = 0
    outputs: int = 0
    weights: int = 0
    weights_at_once: int = 0
    biases: int = 0
    biased: int = 0
    multiplications: int = 0
    additions: int = 0
    states: int = 0
    after_neurons: bool = False

    def total(self, key: str) -> float:
        """One of the counts, over all steps."""
        return math.fsum(getattr(step, key) for step in self.per_step)


@dataclass(frozen=True)
class Spread:
    """Over the samples; std is the population's."""

    mean: float
    std: float
    min: float
    max: float


@dataclass(frozen=True)
class Counts:
    """What a network did, per sample.

    accuracy and accuracy_by_step (`T` values) are None where no labels (or no step logits) were given.
    input_spikes, input_values: `T` means of the spikes and the non-zero analog values that the coded image holds.
    weight_bytes, state_bytes: bytes of one weight, and of one state or activation, in memory.
    """

    samples: int
    time_steps: int
    layers: tuple[LayerCount, ...]
    sops: Spread
    spikes: Spread
    accuracy: float | None
    accuracy_by_step: tuple[float, ...] | None
    input_spikes: tuple[float, ...]
    input_values: tuple[float, ...]
    weight_bytes: int
    state_bytes: int

    def total(self, key: str) -> float:
        """One of the counts, over all layers and steps."""
        return math.fsum(layer.total(key) for layer in self.layers)

    def sops_by_step(self) -> list[float]:
        """Synaptic operations up to and including each step."""
        steps = [[layer.per_step[t] for layer in self.layers] for t in range(self.time_steps)]
        work = [[step.macs + step.acs for step in row] for row in steps]
        return [math.fsum(amount for row in work[: t + 1] for amount in row) for t in range(self.time_steps)]


class Running:
    """Mean, spread and extremes of a stream of numbers, batch by batch (Chan, Golub and LeVeque 1983)."""

    def __init__(self) -> None:
        self.count, self.mean, self.squares = 0, 0.0, 0.0
        self.min, self.max = math.inf, -math.inf

    def add(self, values: Array) -> None:
        """Take in a batch, `[B]`, B at least 1."""
        size, mean = len(values), float(values.mean())
        shift, total = mean - self.mean, self.count + size
        self.squares += float(((values - mean) ** 2).sum()) + shift * shift * self.count * size / total
        self.mean += shift * size / total
        self.count = total
        self.min, self.max = min(self.min, float(values.min())), max(self.max, float(values.max()))

    def spread(self, mean: float) -> Spread:
        """The spread around an exactly known mean."""
        return Spread(mean, math.sqrt(self.squares / self.count), self.min, self.max)
