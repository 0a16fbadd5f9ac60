"""What the spiking network is held against: the conventional network of the same topology, and its quantised form.

- ANN: the same connections, each used once with one multiply-accumulate, no spikes and no time. Where weights differ
  from step to step (the two convolutions of a hybrid-coded input), those of step 0: one convolution.
- QNN: the same with activations of ceil(log2(T + 1)) bits, which tell as many values apart as a spike count over T
  steps: the fair baseline by Yan et al. 2024, arXiv 2409.08290.
- Break-even: how often neurons may fire before the spiking network costs as much as the ANN.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from asnn_deploy.energy.estimate import JouleRange, cost, dense_energy, energy, synapse_energy
from asnn_deploy.energy.profiles import Profile, load_profile
from asnn_deploy.energy.results import Counts

BREAK_EVEN_PROFILE = "horowitz-45nm"


@dataclass(frozen=True)
class Baselines:
    """Conventional networks of the same topology, per sample.

    macs: multiply-accumulates of one pass.
    ann, qnn: energy by profile name; None where the profile's hardware runs no such network or its width has no price.
    qnn_bits: ceil(log2(T + 1)).
    break_even_spike_rate: see `break_even_spike_rate`.
    spikes_per_synapse: accumulates per connection and sample, to hold against the literature's parity bounds.
    """

    macs: int
    ann: dict[str, JouleRange | None]
    qnn_bits: int
    qnn: dict[str, JouleRange | None]
    break_even_spike_rate: float | None
    spike_rate: float | None
    spikes_per_synapse: float | None


def baselines(profiles: list[Profile], counts: Counts) -> Baselines:
    """The conventional networks' work and energy under each profile."""
    macs = sum(layer.connections for layer in counts.layers)
    bits = qnn_bits(counts.time_steps)
    return Baselines(
        macs=macs,
        ann={p.name: dense_energy(p, counts) if p.runs_ann else None for p in profiles},
        qnn_bits=bits,
        qnn={p.name: _qnn_energy(p, macs, bits) for p in profiles},
        break_even_spike_rate=break_even_spike_rate(counts),
        spike_rate=spike_rate(counts),
        spikes_per_synapse=counts.total("acs") / macs if macs else None,
    )


def qnn_bits(time_steps: int) -> int:
    """ceil(log2(T + 1)), in integers."""
    return time_steps.bit_length()


def _qnn_energy(profile: Profile, macs: int, bits: int) -> JouleRange | None:
    if not profile.runs_ann or profile.qnn is None or bits > profile.qnn.max_bits:
        return None
    constant = profile.qnn.multiply_accumulate
    return JouleRange(*(macs * cost(constant, level) for level in ("low", "mid", "high")))


def spike_rate(counts: Counts) -> float | None:
    """Mean spikes per neuron and time step; None without neurons."""
    updates = counts.total("neuron_updates")
    return counts.total("spikes_out") / updates if updates else None


def break_even_spike_rate(counts: Counts) -> float | None:
    """Spikes per neuron and time step at which spiking network and ANN cost the same (arithmetic, `horowitz-45nm` mid).

    The observed spikes are thinned out or multiplied evenly: what they cause (synaptic operations behind neurons, and
    resets) grows with the rate; the input layer's work and the neuron updates stay. None where no spike was seen to
    scale, or where what stays costs more than the ANN already.
    """
    profile = load_profile(BREAK_EVEN_PROFILE)
    rate, spikes = spike_rate(counts), counts.total("spikes_out")
    driven = math.fsum(synapse_energy(profile, layer, "mid") for layer in counts.layers if layer.after_neurons)
    driven += spikes * cost(profile.constants.add, "mid")
    if not rate or not driven:
        return None
    fixed = energy(profile, counts).energy_joules.mid - driven
    left = dense_energy(profile, counts).mid - fixed
    return rate * left / driven if left > 0 else None
