"""The limits of a chip, each one small function that names the layer that comes nearest to it, and the number.

Of a core (`CORE_LIMITS`), of a neuron (`NEURON_LIMITS`), of the whole network (`features`). Each returns None where the
chip's file gives no such limit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from asnn_deploy.fitting.chip import Chip
from asnn_deploy.fitting.load import Load
from asnn_deploy.fitting.network import Network, Population
from asnn_deploy.fitting.sourced import Limit
from asnn_deploy.ir.graph import INPUT


@dataclass(frozen=True)
class Use:
    """How much of a limit a layer uses."""

    layer: str
    constraint: str
    value: int
    limit: int

    @property
    def share(self) -> float:
        """value / limit; of a limit of 0, a share above 1 where anything is used."""
        return self.value / self.limit if self.limit else float(1 + self.value)

    @property
    def broken(self) -> bool:
        """Whether the value is above the limit."""
        return self.value > self.limit

    def __str__(self) -> str:
        return f"{self.constraint} of layer {self.layer!r}: {self.value:,} of {self.limit:,}"


def _use(layer: str, constraint: str, value: int, limit: Limit | None) -> Use | None:
    return None if limit is None else Use(layer, constraint, value, limit.value)


def neurons_per_core(layer: str, load: Load, chip: Chip) -> Use | None:
    """Neurons of one core."""
    return _use(layer, "neurons per core", load.neurons, chip.limits.neurons)


def synapse_memory(layer: str, load: Load, chip: Chip) -> Use | None:
    """Bytes of one core's synapses, list headers and padding included."""
    return _use(layer, "synaptic memory per core", load.synapse_bytes, chip.limits.synapse_memory)


def core_memory(layer: str, load: Load, chip: Chip) -> Use | None:
    """Bytes of one core's synapses, states, parameters and axon entries."""
    return _use(layer, "memory per core", load.core_bytes, chip.limits.core_memory)


def axons_in_per_core(layer: str, load: Load, chip: Chip) -> Use | None:
    """Entries of one core's table of incoming axons."""
    return _use(layer, "axons in per core", load.axons_in, chip.limits.axons_in)


def axons_out_per_core(layer: str, load: Load, chip: Chip) -> Use | None:
    """Entries of one core's table of outgoing axons."""
    return _use(layer, "axons out per core", load.axons_out, chip.limits.axons_out)


CoreLimit = Callable[[str, Load, Chip], "Use | None"]
CORE_LIMITS: tuple[CoreLimit, ...] = (
    neurons_per_core,
    synapse_memory,
    core_memory,
    axons_in_per_core,
    axons_out_per_core,
)


def core_uses(layer: str, load: Load, chip: Chip) -> list[Use]:
    """How much of every limit of a core one core uses."""
    return [use for limit in CORE_LIMITS if (use := limit(layer, load, chip)) is not None]


def cores(network: Network, numbers: dict[str, int], chip: Chip, chips: int) -> Use:
    """Cores of the network, at the layer with the most of them."""
    most = max(network.populations, key=lambda p: numbers[p.name])
    return Use(most.name, "cores", sum(numbers.values()), chip.limits.cores.value * chips)


def fan_in(_network: Network, population: Population, chip: Chip) -> Use | None:
    """Synapses that end at one neuron."""
    return _use(population.name, "fan-in", population.fan_in(), chip.limits.fan_in)


def fan_out(network: Network, population: Population, chip: Chip) -> Use | None:
    """Synapses that leave one neuron."""
    return _use(population.name, "fan-out", network.fan_out(population), chip.limits.fan_out)


def weight_bits(network: Network, population: Population, chip: Chip) -> Use | None:
    """Width of a weight."""
    if all(p.unit for p in population.projections):
        return None
    return Use(population.name, "weight bits", network.weight_bits, chip.limits.weight_bits.max)


def delay(_network: Network, population: Population, chip: Chip) -> Use | None:
    """Steps that a spike must wait: delayed edges, and shortcuts past populations that take a step each."""
    late = max((p.steps_late for p in population.projections), default=0)
    return _use(population.name, "delay", late, chip.limits.delay) if late else None


def payload(network: Network, population: Population, chip: Chip) -> Use | None:
    """Bits of the values that arrive; 1 is a spike without a value."""
    sources = [p.source for p in population.projections if network.payload.get(p.source, 1) > 1]
    if not sources:
        return None
    name = INPUT if INPUT in sources else population.name
    return _use(name, "bits per spike", max(network.payload[s] for s in sources), chip.limits.payload_bits)


def step_values(_network: Network, population: Population, chip: Chip) -> Use | None:
    """Different values of one parameter over the time steps: of leak, gain, readout scale, or of hidden weights.

    Weights that only the input reaches may differ freely: the host sends each step's spikes on the axons of the
    weights that hold then.
    """
    own = [t.values for t in population.tables]
    own += [p.tables for p in population.projections if p.source != INPUT]
    return _use(population.name, "per-step parameters", max(own, default=1), chip.limits.step_values)


def reset(_network: Network, population: Population, chip: Chip) -> Use | None:
    """Whether neurons can reset as the layer's do; 1 of 0 where they cannot."""
    missing = population.reset != "" and population.reset not in chip.resets
    return Use(population.name, f"reset by {population.reset}", 1, 0) if missing else None


def minimum(_network: Network, population: Population, chip: Chip) -> Use | None:
    """Whether neurons can hold a lower bound of the membrane potential, if the layer's have one."""
    return _potential("minimum", "lower bound of the membrane potential", population, chip)


def reset_potential(_network: Network, population: Population, chip: Chip) -> Use | None:
    """Whether neurons can reset to another value than zero, if the layer's do."""
    return _potential("reset_potential", "reset potential other than zero", population, chip)


def _potential(name: str, constraint: str, population: Population, chip: Chip) -> Use | None:
    missing = name in population.potentials and name not in chip.potentials
    return Use(population.name, constraint, 1, 0) if missing else None


NeuronLimit = Callable[[Network, Population, Chip], "Use | None"]
NEURON_LIMITS: tuple[NeuronLimit, ...] = (fan_in, fan_out)
FEATURES: tuple[NeuronLimit, ...] = (weight_bits, delay, payload, step_values, reset, minimum, reset_potential)


def neuron_uses(network: Network, chip: Chip) -> list[Use]:
    """How much of every limit of a neuron each population uses."""
    return _uses(NEURON_LIMITS, network, chip)


def feature_uses(network: Network, chip: Chip) -> list[Use]:
    """What the network asks of the chip's neurons and spikes, whatever its size."""
    return [Use(o.layer, o.constraint, 1, 0) for o in network.obstacles] + _uses(FEATURES, network, chip)


def _uses(limits: tuple[NeuronLimit, ...], network: Network, chip: Chip) -> list[Use]:
    found = (limit(network, p, chip) for limit in limits for p in network.populations)
    return list(dict.fromkeys(use for use in found if use is not None))
