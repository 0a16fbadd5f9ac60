"""What recorded spikes give each core of a placement to do, step by step.

Exact for every neuron: an event is counted at the core of each synapse that it reaches. On the chip each population
answers one step after those that it reads (`Network.depths`): what it does at step t of the network it does at step
t + depth of the chip, so a sample of T steps takes T steps and as many more as the last population is deep.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from asnn_deploy.analysis.flow import flow
from asnn_deploy.energy.signals import Replay
from asnn_deploy.fitting.cut import Grid
from asnn_deploy.fitting.network import Projection
from asnn_deploy.fitting.placement import Placement
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.trace import Trace
from asnn_deploy.util.arrays import Array
from asnn_deploy.util.progress import phase


@dataclass(frozen=True, eq=False)
class Activity:
    """What the cores do for B samples, each `[steps, B, cores]`; steps of the chip.

    events: synapses that events reach on the core, those of weight 0 included, because the placement stores them.
    spikes: neurons of the core that spike; relays are neurons.
    """

    events: Array
    spikes: Array

    def pipelined(self, time_steps: int) -> Activity:
        """Return the same where a sample follows another like it every `time_steps` steps, `[time_steps, B, cores]`."""
        return Activity(_overlaid(self.events, time_steps), _overlaid(self.spikes, time_steps))


@phase("count the work of cores")
def activity(graph: DeployGraph, placement: Placement, images: Array, trace: Trace) -> Activity:
    """Count what each core does. images, trace: as for `Counter.add`, the spikes of every neuron layer recorded.

    A spike count of k is k events, a value that is not zero is one; so is a count on a chip whose spikes carry values.
    What the host computes arrives like the input.
    """
    network, depth = placement.network, placement.network.depths
    signals = _sent(graph, placement, Replay(graph).signals(images, trace))
    shape = (network.time_steps + max(depth.values()), len(images), placement.cores)
    events, spikes = np.zeros(shape), np.zeros(shape)
    first = 0
    for p in network.populations:
        grid = placement.grids[p.name]
        cores = slice(first, first + grid.cores)
        first = cores.stop
        for x in p.projections:
            if x.source in signals:
                late = depth.get(x.source, 0)
                events[late : late + network.time_steps, :, cores] += _arriving(x, grid, signals[x.source])
        if p.name in signals:
            fired = signals[p.name] != 0
            spikes[depth[p.name] :, :, cores][: network.time_steps] = _by_core(fired, grid)
    return Activity(events, spikes)


def _sent(graph: DeployGraph, placement: Placement, signals: Mapping[str, Array]) -> dict[str, Array]:
    """The events that each source sends, `[T, B, ...]`."""
    if placement.chip.limits.payload_bits.value > 1:
        return {name: signal != 0 for name, signal in signals.items()}
    tracks = {name: flow(graph)[name].events for name in signals}
    return {
        name: np.where(tracks[name].reshape(-1, *(1,) * (signal.ndim - 1)), signal, signal != 0)
        for name, signal in signals.items()
    }


def _arriving(projection: Projection, grid: Grid, sent: Array) -> Array:
    """Synapses reached on each core of the target: events `[T, B, ...]` of the source to `[T, B, cores]`."""
    x = projection
    group_in = np.arange(x.inputs) // (x.inputs // x.groups)
    group_out = np.arange(x.outputs) // (x.outputs // x.groups)
    channels, rows, cols = (
        np.add.reduceat(touches.astype(np.float64), grid.cuts(axis)[:-1], axis=0)
        for axis, touches in enumerate((group_out[:, None] == group_in, x.rows.touches, x.cols.touches))
    )
    found = []
    for sample in np.moveaxis(sent, 1, 0):  # one by one: as float64 all of them could be large
        box = sample.reshape(len(sample), *(part.shape[1] for part in (channels, rows, cols))).astype(np.float64)
        found.append(np.einsum("tchw,kc,rh,lw->tkrl", box, channels, rows, cols, optimize=True).reshape(len(box), -1))
    return np.stack(found, axis=1)


def _by_core(fired: Array, grid: Grid) -> Array:
    """Neurons that spike on each core: `[T, B, ...]` bool to `[T, B, cores]`."""
    box = fired.reshape(*fired.shape[:2], *grid.geometry).astype(np.int64)
    for axis in range(3):
        box = np.add.reduceat(box, grid.cuts(axis)[:-1], axis=axis + 2)
    return box.reshape(*fired.shape[:2], -1)


def _overlaid(work: Array, time_steps: int) -> Array:
    """Steps that lie a whole number of samples apart, added up."""
    missing = -len(work) % time_steps
    padded = np.concatenate([work, np.zeros((missing, *work.shape[1:]))])
    return padded.reshape(-1, time_steps, *work.shape[1:]).sum(axis=0)  # type: ignore[no-any-return]
