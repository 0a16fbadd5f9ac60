"""Prices: what one of each count costs in each layer under a profile.

Every energy of this package is counts times prices, so one definition prices a mean sample, a single sample, a run that
stopped early, and one layer alone. A part that the profile does not know costs 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from asnn_deploy.energy.profiles import Level, Memory, Picojoules, Profile
from asnn_deploy.energy.results import KEYS
from asnn_deploy.energy.sizes import Sizes
from asnn_deploy.util.arrays import Array

PICO, NANO, MILLI = 1e-12, 1e-9, 1e-3
COUNTED = ("synapses", "neurons", "spikes", "memory")
"""The parts of an energy that follow from counts."""
MEMORY = COUNTED.index("memory")


@dataclass(frozen=True)
class Prices:
    """Joules of one of each count, `[parts, layers, KEYS]`, and of one time step's static power.

    Each level of a profile (low, mid, high) has prices of its own.
    """

    profile: Profile
    layers: tuple[Sizes, ...]
    level: Level

    @cached_property
    def counted(self) -> Array:
        """Joules by part (in the order of `COUNTED`), layer and count, `[parts, layers, KEYS]`."""
        found = np.zeros((len(COUNTED), len(self.layers), len(KEYS)))
        for i, layer in enumerate(self.layers):
            for part, row in zip(COUNTED, (self._synapses, self._neurons, self._spikes, self._memory)):
                for key, price in row(layer).items():
                    found[COUNTED.index(part), i, KEYS.index(key)] = price
        return found

    @property
    def step(self) -> float:
        """Joules of static power over the least time that a step takes; 0 where the profile knows none."""
        static = self.profile.static
        return static.power.at(self.level) * MILLI * static.step.at(self.level) * NANO if static else 0.0

    def energy(self, table: Array, steps: Array | float) -> Array:
        """Joules of counts `[..., layers, KEYS]` made in so many steps `[...]`."""
        price = self.counted.sum(axis=0)
        return np.tensordot(table, price, axes=2) + np.asarray(steps) * self.step  # type: ignore[no-any-return]

    def _synapses(self, layer: Sizes) -> dict[str, float]:
        graded = "_graded" if self.profile.counts == "graded" else ""
        known = self.profile.constants
        macs, acs = cost(known.multiply_accumulate, self.level), cost(known.accumulate, self.level)
        return {f"macs{graded}": macs, f"acs{graded}": acs}

    def _neurons(self, layer: Sizes) -> dict[str, float]:
        """Updates as arithmetic, as whole updates, or both, as the profile has it; a spike makes an update active."""
        known, level = self.profile.constants, self.level
        add, inactive = cost(known.add, level), cost(known.neuron_inactive, level)
        arithmetic = layer.multiplications * cost(known.multiply, level) + layer.additions * add
        return {
            "neuron_updates": arithmetic + inactive,
            "spikes_out": add + cost(known.neuron_active, level) - inactive,
        }

    def _spikes(self, layer: Sizes) -> dict[str, float]:
        return {"spikes_out": cost(self.profile.constants.spike, self.level)}

    def _memory(self, layer: Sizes) -> dict[str, float]:
        """Middle and high: as Lemaire et al. 2022 count, where each synaptic operation reads a weight, and reads and
        writes the sum that it adds to. Low: sums stay in registers until the neuron is updated, and only weights are
        read. Each update reads and writes the neuron's states; what arrives passes through the smallest memory.
        """
        memory = self.profile.memory
        if memory is None:
            return {}
        queue = memory.access(0) * PICO
        if layer.neurons:
            states = memory.access(layer.neurons * layer.states * layer.state_bytes) * PICO
            return {"neuron_updates": 2 * layer.states * states, "spikes_out": queue}
        sums = 0.0 if self.level == "low" else 2 * memory.access(layer.outputs * layer.state_bytes)
        operation = (memory.access(operand_bytes(layer, layer.weights)) + sums) * PICO
        bias = memory.access(layer.biases * layer.weight_bytes) * PICO
        return {"macs": operation, "acs": operation, "spikes_in": queue, "values_in": queue, "bias_reads": bias}


def cost(constant: Picojoules | None, level: Level) -> float:
    """Joules of one operation; 0 where the profile has no such constant."""
    return 0.0 if constant is None else constant.at(level) * PICO


def operand_bytes(layer: Sizes, weights: int) -> int:
    """Size of the memory that holds a synaptic layer's weights; a product of signals reads its other signal instead."""
    return weights * layer.weight_bytes if weights else layer.inputs * layer.state_bytes


def dense(profile: Profile, layers: Sequence[Sizes], level: Level, with_memory: bool = True) -> float:
    """Joules of the conventional network of the same topology: every connection once, one multiply-accumulate each."""
    total = 0.0
    for layer in layers:
        if not layer.neurons:
            total += layer.connections * cost(profile.constants.multiply_accumulate, level)
            if profile.memory is not None and with_memory:
                total += _dense_memory(profile.memory, layer, level)
    return total


def _dense_memory(memory: Memory, layer: Sizes, level: Level) -> float:
    """Lemaire et al. 2022, formal networks: a convolution reads input and weight for each multiply-accumulate.

    Low, and linear layers: each input is read once. Sums stay in registers; each output is written once.
    """
    input_reads = layer.connections if layer.kind == "conv" and level != "low" else layer.inputs
    return (
        layer.connections * memory.access(operand_bytes(layer, layer.weights_at_once))
        + input_reads * memory.access(layer.inputs * layer.state_bytes)
        + layer.biased * memory.access(layer.biases * layer.weight_bytes)
        + layer.outputs * memory.access(layer.outputs * layer.state_bytes)
    ) * PICO
