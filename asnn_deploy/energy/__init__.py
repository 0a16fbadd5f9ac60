"""Counts, energy profiles and baselines: what a network does for one sample, and what that would cost.

counter = Counter(graph)
counter.add(images, trace, labels)        # batch after batch
counts = counter.result()
energy(load_profile("horowitz-45nm"), counts)
"""

from asnn_deploy.energy.baselines import Baselines, baselines, break_even_spike_rate, qnn_bits, spike_rate
from asnn_deploy.energy.counts import Counter
from asnn_deploy.energy.estimate import PARTS, Breakdown, Energy, JouleRange, energy
from asnn_deploy.energy.profiles import NO_PROFILE, Profile, load_profile, load_profiles, profile_names
from asnn_deploy.energy.results import CONVENTIONS, Counts, LayerCount, Spread, StepCount

__all__ = [
    "CONVENTIONS",
    "NO_PROFILE",
    "PARTS",
    "Baselines",
    "Breakdown",
    "Counter",
    "Counts",
    "Energy",
    "JouleRange",
    "LayerCount",
    "Profile",
    "Spread",
    "StepCount",
    "baselines",
    "break_even_spike_rate",
    "energy",
    "load_profile",
    "load_profiles",
    "profile_names",
    "qnn_bits",
    "spike_rate",
]
