"""What the spiking network is held against: the conventional network of the same topology, and its quantised form.

- ANN: the same connections, each used once with one multiply-accumulate, no spikes and no time. Where weights differ
  from step to step (the two convolutions of a hybrid-coded input), those of step 0: one convolution.
- QNN: the same with activations of ceil(log2(T + 1)) bits, which tell as many values apart as a spike count over T
  steps: the fair baseline by Yan et al. 2024, arXiv 2409.08290.
- Break-even: how often neurons may fire before the spiking network costs as much as either, with and without memory
  accesses, which decide the matter in most designs (Lemaire et al. 2022; Dampfhoffer et al. 2023).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from asnn_deploy.energy.estimate import JouleRange, dense_energy
from asnn_deploy.energy.prices import MEMORY, Prices, cost, dense
from asnn_deploy.energy.profiles import Level, Profile, load_profile
from asnn_deploy.energy.results import KEYS, Counts

BREAK_EVEN_PROFILE = "horowitz-45nm"
FOLLOW_SPIKES = ("macs", "acs", "macs_graded", "acs_graded", "spikes_in", "values_in")
"""Counts of a layer behind neurons that grow with the spikes that reach it."""


@dataclass(frozen=True)
class BreakEven:
    """How often neurons may fire before the spiking network costs as much as a conventional one.

    network: "ann" or "qnn". memory: whether memory accesses are priced, on both sides.
    spike_rate: spikes per neuron and time step; None where there is no such rate, for the reason given.
    """

    network: str
    memory: bool
    profile: str
    spike_rate: float | None
    reason: str | None = None


@dataclass(frozen=True)
class Baselines:
    """Conventional networks of the same topology, per sample.

    macs: multiply-accumulates of one pass.
    ann, qnn: energy by profile name; None where the profile's hardware runs no such network or its width has no price.
    qnn_bits: ceil(log2(T + 1)).
    break_even_spike_rate: against the ANN, arithmetic of `BREAK_EVEN_PROFILE` alone.
    break_even: against each network that a profile prices, with and without memory accesses.
    spikes_per_synapse: accumulates per connection and sample, to hold against the literature's parity bounds.
    """

    macs: int
    ann: dict[str, JouleRange | None]
    qnn_bits: int
    qnn: dict[str, JouleRange | None]
    break_even_spike_rate: float | None
    break_even: tuple[BreakEven, ...]
    spike_rate: float | None
    spikes_per_synapse: float | None


def baselines(profiles: Sequence[Profile], counts: Counts) -> Baselines:
    """The conventional networks' work and energy under each profile."""
    macs = sum(layer.connections for layer in counts.layers)
    bits = qnn_bits(counts.time_steps)
    return Baselines(
        macs=macs,
        ann={p.name: dense_energy(p, counts) if p.runs_ann else None for p in profiles},
        qnn_bits=bits,
        qnn={p.name: _qnn_energy(p, macs, bits) for p in profiles},
        break_even_spike_rate=break_even_spike_rate(counts),
        break_even=tuple(row for p in profiles if p.runs_ann for row in _break_evens(p, counts, macs, bits)),
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

    None where no spike was seen to scale, or where what does not depend on spikes costs more than the ANN already.
    """
    profile = load_profile(BREAK_EVEN_PROFILE)
    return _break_even("ann", profile, counts, False, "mid", dense(profile, counts.layers, "mid", False)).spike_rate


def _break_evens(profile: Profile, counts: Counts, macs: int, bits: int) -> list[BreakEven]:
    """Against the ANN at the middle estimate; against the QNN at the low one, where both compute in 8-bit integers."""
    rows = []
    for memory in (False, True) if profile.memory is not None else (False,):
        ann = dense(profile, counts.layers, "mid", memory)
        rows.append(_break_even("ann", profile, counts, memory, "mid", ann))
    qnn = _qnn_energy(profile, macs, bits)
    if qnn is not None:
        rows.append(_break_even("qnn", profile, counts, False, "low", qnn.low))
    return rows


def _break_even(network: str, profile: Profile, counts: Counts, memory: bool, level: Level, target: float) -> BreakEven:
    """The observed spikes are thinned out or multiplied evenly until the spiking network costs `target` joules.

    What they cause (the work of layers behind neurons, and what each spike itself costs) grows with the rate; the input
    layer's work, the neuron updates and the static part stay.
    """
    prices = Prices(profile, counts.layers, level)
    price = prices.counted.copy()
    if not memory:
        price[MEMORY] = 0.0
    costs = price.sum(axis=0) * counts.table()
    behind = np.array([layer.after_neurons for layer in counts.layers], dtype=bool)
    follows = np.array([key in FOLLOW_SPIKES for key in KEYS])
    grows = (behind[:, None] & follows) | (np.array(KEYS) == "spikes_out")
    driven, stays = float(costs[grows].sum()), float(costs[~grows].sum()) + counts.mean_steps * prices.step
    rate = spike_rate(counts)
    if not rate or driven <= 0:
        return BreakEven(network, memory, profile.name, None, "no neuron fired, so there are no spikes to scale")
    if stays >= target:
        reason = "the input layer's work and the neuron updates alone cost as much"
        return BreakEven(network, memory, profile.name, None, reason)
    return BreakEven(network, memory, profile.name, rate * (target - stays) / driven)
