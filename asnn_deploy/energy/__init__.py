"""Counts, energy profiles and baselines: what a network does for one sample, and what that would cost.

counter = Counter(graph)
counter.add(images, trace, labels)        # batch after batch
counts = counter.result()
energy(load_profile("horowitz-45nm"), counts)
"""

from asnn_deploy.energy.baselines import Baselines, BreakEven, baselines, break_even_spike_rate, qnn_bits, spike_rate
from asnn_deploy.energy.counts import Counter
from asnn_deploy.energy.estimate import PARTS, Breakdown, Energy, JouleRange, energy, sample_energies
from asnn_deploy.energy.profiles import NO_PROFILE, Profile, load_profile, load_profiles, profile_names
from asnn_deploy.energy.results import CONVENTIONS, ClassCount, Counts, LayerCount, StepCount
from asnn_deploy.energy.running import Interval, Spread

__all__ = [
    "CONVENTIONS",
    "NO_PROFILE",
    "PARTS",
    "Baselines",
    "BreakEven",
    "Breakdown",
    "ClassCount",
    "Counter",
    "Counts",
    "Energy",
    "Interval",
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
    "sample_energies",
    "spike_rate",
]
