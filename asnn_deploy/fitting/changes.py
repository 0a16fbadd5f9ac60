"""Changed networks, as sizes: parameters that do not change with time, other bits, fewer channels, fewer time steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import gcd

from asnn_deploy.fitting.chip import Chip
from asnn_deploy.fitting.network import Geometry, Network, Population, Projection, Table
from asnn_deploy.ir.graph import INPUT


def static(network: Network) -> Network:
    """The network with every parameter, weights included, that of its first step at all steps."""
    return _over_time(network, lambda index: (0,) * len(index))


def with_steps(network: Network, time_steps: int) -> Network:
    """The network cut off after so many time steps."""
    return replace(_over_time(network, lambda index: index[:time_steps]), time_steps=time_steps)


def with_bits(network: Network, bits: int) -> Network:
    """The network with weights of so many bits."""
    return replace(network, weight_bits=bits)


def with_spikes_in(network: Network) -> Network:
    """The network with an input of spikes without values."""
    return replace(network, payload=network.payload | {INPUT: 1})


def with_reset(network: Network, chip: Chip) -> Network:
    """The network with neurons that reset as the chip's do."""
    change = [replace(p, reset=chip.resets[0] if p.reset else "") for p in network.populations]
    return replace(network, populations=tuple(change))


def with_channels(network: Network, share: float) -> Network:
    """The network with that share of each population's channels, at least 1; the answer keeps its classes."""
    channels = {
        p.name: p.geometry[0] if p.kind == "readout" else max(1, round(share * p.geometry[0]))
        for p in network.populations
    }
    return replace(network, populations=tuple(_narrowed(p, channels) for p in network.populations))


def _narrowed(p: Population, channels: dict[str, int]) -> Population:
    geometry: Geometry = (channels[p.name], *p.geometry[1:])
    projections = tuple(_between(x, channels.get(x.source, x.inputs), geometry[0]) for x in p.projections)
    return replace(p, geometry=geometry, shape=geometry, projections=projections)


def _between(x: Projection, inputs: int, outputs: int) -> Projection:
    if x.groups > 1:
        groups = inputs if x.groups == x.inputs and outputs % inputs == 0 else gcd(x.groups, gcd(inputs, outputs))
    else:
        groups = 1
    return replace(x, inputs=inputs, outputs=outputs, groups=groups)


def _over_time(network: Network, change: Callable[[tuple[int, ...]], tuple[int, ...]]) -> Network:
    def tables(old: tuple[Table, ...]) -> tuple[Table, ...]:
        return tuple(replace(t, index=change(t.index)) for t in old)

    def synapses(old: tuple[Projection, ...]) -> tuple[Projection, ...]:
        return tuple(replace(x, index=change(x.index)) for x in old)

    changed = [replace(p, tables=tables(p.tables), projections=synapses(p.projections)) for p in network.populations]
    return replace(network, populations=tuple(changed))
