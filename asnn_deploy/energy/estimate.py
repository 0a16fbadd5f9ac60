"""Energy: counts times a profile's published constants, as a range, and what it is made of.

Parts: synapses (accumulates and multiply-accumulates), neurons (updates), spikes (carrying them), memory (weights,
states and activations), static (power over the least possible time). A part that the profile does not know is 0.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

from asnn_deploy.energy.profiles import Level, Memory, Picojoules, Profile
from asnn_deploy.energy.results import Counts, LayerCount

PICO, NANO, MILLI = 1e-12, 1e-9, 1e-3
LEVELS: tuple[Level, Level, Level] = ("low", "mid", "high")
PARTS = ("synapses", "neurons", "spikes", "memory", "static")


@dataclass(frozen=True)
class JouleRange:
    """An energy per sample, in joules."""

    low: float
    mid: float
    high: float


@dataclass(frozen=True)
class Breakdown:
    """The parts of the middle estimate, in joules; they add up to it."""

    synapses: float
    neurons: float
    spikes: float
    memory: float
    static: float


@dataclass(frozen=True)
class Energy:
    """What one profile says about one network, per sample.

    latency_seconds: the least time that a sample takes, where the profile knows one, else None.
    """

    energy_joules: JouleRange
    breakdown: Breakdown
    latency_seconds: float | None
    kind: str
    source: str


def energy(profile: Profile, counts: Counts) -> Energy:
    """The energy of one sample under a profile."""
    parts = {level: _parts(profile, counts, level) for level in LEVELS}
    totals = {level: math.fsum(asdict(part).values()) for level, part in parts.items()}
    return Energy(
        JouleRange(**totals),
        parts["mid"],
        latency(profile, counts, "mid"),
        profile.kind,
        profile.source,
    )


def latency(profile: Profile, counts: Counts, level: Level) -> float | None:
    """The least time that a sample takes, in seconds; None where the profile knows of none."""
    return None if profile.static is None else counts.time_steps * profile.static.step.at(level) * NANO


def _parts(profile: Profile, counts: Counts, level: Level) -> Breakdown:
    time = latency(profile, counts, level)
    power = profile.static.power.at(level) * MILLI if profile.static else 0.0
    spike = cost(profile.constants.spike, level)
    return Breakdown(
        synapses=math.fsum(synapse_energy(profile, layer, level) for layer in counts.layers),
        neurons=math.fsum(_neuron_energy(profile, layer, level) for layer in counts.layers),
        spikes=counts.total("spikes_out") * spike,
        memory=math.fsum(_memory_energy(profile, counts, layer, level) for layer in counts.layers),
        static=power * (time or 0.0),
    )


def cost(constant: Picojoules | None, level: Level) -> float:
    """Joules of one operation; 0 where the profile has no such constant."""
    return 0.0 if constant is None else constant.at(level) * PICO


def synapse_energy(profile: Profile, layer: LayerCount, level: Level) -> float:
    """Joules of a layer's synaptic operations."""
    graded = "_graded" if profile.counts == "graded" else ""
    macs, acs = layer.total(f"macs{graded}"), layer.total(f"acs{graded}")
    return macs * cost(profile.constants.multiply_accumulate, level) + acs * cost(profile.constants.accumulate, level)


def _neuron_energy(profile: Profile, layer: LayerCount, level: Level) -> float:
    """Joules of a layer's neuron updates: as arithmetic, as whole updates, or both, as the profile has it."""
    known = profile.constants
    updates, spikes = layer.total("neuron_updates"), layer.total("spikes_out")
    additions = updates * layer.additions + spikes
    return (
        updates * layer.multiplications * cost(known.multiply, level)
        + additions * cost(known.add, level)
        + spikes * cost(known.neuron_active, level)
        + (updates - spikes) * cost(known.neuron_inactive, level)
    )


def _memory_energy(profile: Profile, counts: Counts, layer: LayerCount, level: Level) -> float:
    """Joules of a layer's memory accesses.

    Middle and high: as Lemaire et al. 2022 count, where each synaptic operation reads a weight and reads and writes the
    sum that it adds to. Low: sums stay in registers until the neuron is updated, and only weights are read.
    Each update reads and writes the neuron's states; spikes and values pass through queues of the smallest memory.
    """
    memory = profile.memory
    if memory is None:
        return 0.0
    if layer.neurons:
        states = layer.neurons * layer.states * counts.state_bytes
        accesses = 2 * layer.states * layer.total("neuron_updates") * memory.access(states)
        return (accesses + layer.total("spikes_out") * memory.access(0)) * PICO
    operations = layer.total("macs") + layer.total("acs")
    arriving = layer.total("spikes_in") + layer.total("values_in")
    sums = 0.0 if level == "low" else 2 * operations * memory.access(layer.outputs * counts.state_bytes)
    return (
        operations * memory.access(_operand_bytes(counts, layer, layer.weights))
        + sums
        + layer.total("bias_reads") * memory.access(layer.biases * counts.weight_bytes)
        + arriving * memory.access(0)
    ) * PICO


def _operand_bytes(counts: Counts, layer: LayerCount, weights: int) -> int:
    """Size of the memory that holds a synaptic layer's weights; a product of signals reads its other signal instead."""
    return weights * counts.weight_bytes if weights else layer.inputs * counts.state_bytes


def dense_energy(profile: Profile, counts: Counts) -> JouleRange:
    """The conventional network of the same topology: every connection once, one multiply-accumulate each."""
    levels = {level: math.fsum(_dense(profile, counts, layer, level) for layer in counts.layers) for level in LEVELS}
    return JouleRange(**levels)


def _dense(profile: Profile, counts: Counts, layer: LayerCount, level: Level) -> float:
    if layer.neurons:
        return 0.0
    arithmetic = layer.connections * cost(profile.constants.multiply_accumulate, level)
    if profile.memory is None:
        return arithmetic
    return arithmetic + _dense_memory(profile.memory, counts, layer, level)


def _dense_memory(memory: Memory, counts: Counts, layer: LayerCount, level: Level) -> float:
    """Lemaire et al. 2022, formal networks: a convolution reads input and weight for each multiply-accumulate.

    Low, and linear layers: each input is read once. Sums stay in registers; each output is written once.
    """
    input_reads = layer.connections if layer.kind == "conv" and level != "low" else layer.inputs
    return (
        layer.connections * memory.access(_operand_bytes(counts, layer, layer.weights_at_once))
        + input_reads * memory.access(layer.inputs * counts.state_bytes)
        + layer.biased * memory.access(layer.biases * counts.weight_bytes)
        + layer.outputs * memory.access(layer.outputs * counts.state_bytes)
    ) * PICO
