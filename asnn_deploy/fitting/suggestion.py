"""The smallest change that would make a network fit, found by placing changed networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from asnn_deploy.fitting.changes import static, with_bits, with_channels, with_reset, with_spikes_in, with_steps
from asnn_deploy.fitting.limits import Use
from asnn_deploy.fitting.network import Network
from asnn_deploy.fitting.placement import Placement

EIGHTHS = 8
LEAST_BITS = 2
Change = Callable[[Network], Network]


class Fit(Protocol):
    """What is asked of a placed network that is held against a chip (`fitting.Fit`)."""

    @property
    def placement(self) -> Placement:
        """Which neuron is on which core."""

    @property
    def features(self) -> list[Use]:
        """What the network asks of the chip's neurons and spikes."""

    @property
    def capacity_fits(self) -> bool:
        """Whether there is room."""

    @property
    def chips(self) -> int:
        """How many chips it may take."""

    def changed(self, network: Network) -> Fit:
        """Another network on the same chips."""


def suggest(fit: Fit) -> str | None:
    """What to change, in words; None where none of the changes tried makes the network fit."""
    network, parts = fit.placement.network, []
    for says, change in _features(fit):
        parts.append(says)
        network = change(network)
    changed = fit.changed(network) if parts else fit
    if any(use.broken for use in changed.features):
        return None
    if not changed.capacity_fits:
        smaller = [_least(changed, network, tries) for tries in _sizes(network, fit)]
        if not any(smaller):
            return None
        return " and ".join([*parts, " or ".join(says for says in smaller if says)])
    return f"{' and '.join(parts)} (then {changed.placement.cores:,} cores)"


def _features(fit: Fit) -> list[tuple[str, Change]]:
    """What each missing feature could be replaced by."""
    chip = fit.placement.chip
    missing = {use.constraint.partition(" by ")[0] for use in fit.features if use.broken}
    bits = min(fit.placement.network.weight_bits, chip.limits.weight_bits.max)
    known: dict[str, tuple[str, Change]] = {
        "bits per spike": ("an input of spikes (the coding latency)", with_spikes_in),
        "per-step parameters": (
            "the same leak, gain and readout scale at all steps (the neuron lif)",
            static,
        ),
        "reset": (
            f"a reset to {chip.resets[0]} (model.reset = {chip.resets[0]})",
            partial(with_reset, chip=chip),
        ),
        "weight bits": (f"weights of {bits} bits", partial(with_bits, bits=bits)),
    }
    return [known[name] for name in known if name in missing]


def _sizes(network: Network, fit: Fit) -> list[list[tuple[str, Change]]]:
    """Ways to make a network smaller, each a list of changes from the smallest on."""
    eighths = range(EIGHTHS - 1, 0, -1)
    widths = range(network.weight_bits - 1, max(LEAST_BITS, fit.placement.chip.limits.weight_bits.min) - 1, -1)
    steps = range(network.time_steps - 1, 0, -1)
    return [
        [(f"{n}/{EIGHTHS} of the channels", partial(with_channels, share=n / EIGHTHS)) for n in eighths],
        [(f"weights of {n} bits", partial(with_bits, bits=n)) for n in widths],
        [(f"{n} time steps", partial(with_steps, time_steps=n)) for n in steps],
    ]


def _least(fit: Fit, network: Network, tries: Sequence[tuple[str, Change]]) -> str | None:
    """The first of the changes, each smaller than the last, with which there is room; found by halving."""
    if not tries or not _has_room(fit, tries[-1][1](network)):
        return None
    low, high = 0, len(tries) - 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if _has_room(fit, tries[middle][1](network)) else (middle + 1, high)
    says, change = tries[low]
    return f"{says} ({fit.changed(change(network)).placement.cores:,} cores)"


def _has_room(fit: Fit, network: Network) -> bool:
    """Whether a changed network's sizes fit; not placed where its neurons alone are too many."""
    limits = fit.placement.chip.limits
    least = sum(-(-p.neurons // limits.neurons.value) for p in network.populations)
    return least <= limits.cores.value * fit.chips and fit.changed(network).capacity_fits
