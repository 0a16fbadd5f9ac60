"""Latency: how long a chip takes for a sample, from its published times and what each core has to do.

One time step of the chip takes

    slowest core + way of a spike + barrier,    where a core takes
    synaptic operation * events + active update * spikes + inactive update * (neurons - spikes)

What is assumed:

- A core is done with its synapses and neurons one after another, and all cores work at once. Which core has which work
  is the placement's; events and spikes are counted for each neuron (`fit.activity`), nothing is spread out.
- Every neuron of a core is updated in every step, relays and the sums of the readout included. An update is active if
  the neuron spikes.
- Spikes travel while others are worked on, so one way is added to a step in which anything is sent, none to others.
  Links are never full.
- The barrier is that of the tiles that the network's cores fill, one after another.
- Each population answers one step after those that it reads: a sample of T steps takes T steps and as many more as its
  last population is deep. If samples follow each other without a pause, a further one takes T steps only, in which the
  cores work on several samples at once; what clears the neurons between samples takes no time here.

Low, middle and high take all times at the same end of their range. Nothing is measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from asnn_deploy.energy.prices import NANO
from asnn_deploy.energy.profiles import Level
from asnn_deploy.errors import InputError
from asnn_deploy.fitting.activity import Activity
from asnn_deploy.fitting.chip import Chip, sourced
from asnn_deploy.fitting.limits import feature_uses
from asnn_deploy.fitting.placement import Placement
from asnn_deploy.fitting.times import Duration
from asnn_deploy.util.arrays import Array
from asnn_deploy.util.document import Amount, Count, Document, Share

LEVELS: tuple[Level, Level, Level] = ("low", "mid", "high")
PARTS = ("synapses", "neurons", "network", "barrier")
NEVER_COUNTED = (
    "The host, getting input onto the chip and answers off it, and clearing the neurons between samples",
    "Spikes that wait for each other on full links",
)


class Estimate(Document):
    """An amount with its range."""

    low: Amount
    mid: Amount
    high: Amount


class PublishedTime(Document):
    """A time that the estimate rests on, with its source or the reason why there is none."""

    name: str
    unit: str
    low: Amount
    mid: Amount
    high: Amount
    source: str | None
    unverified: str | None


class LatencyStep(Document):
    """One time step of the chip, means over the samples.

    layer, core: the core that takes longest on average. synapses, neurons: seconds of each sample's slowest core, and
    network and barrier those that all wait for; the four add up to the middle of `seconds`.
    """

    seconds: Estimate
    layer: str
    core: Count
    synapses: Amount
    neurons: Amount
    network: Amount
    barrier: Amount


class Binds(Document):
    """What takes most of the time: the part, its share, and the layer whose core is the slowest for most of it."""

    part: str
    share: Share
    layer: str


class Throughput(Document):
    """Samples a second: one sample at a time, and one after the other without a pause; None if nothing takes time."""

    alone: Estimate | None
    pipelined: Estimate | None


class Latency(Document):
    """How long one sample takes from its first input to its last sum, mean over the samples.

    by_step: T entries and `pipeline_steps` more. lower_bound: whether this network asks for something whose time on
    this chip is not known. leaves_out: what is not counted, one sentence each.
    """

    seconds: Estimate
    by_step: tuple[LatencyStep, ...]
    binds: Binds
    samples: Count
    pipeline_steps: Count
    samples_per_second: Throughput
    lower_bound: bool
    leaves_out: tuple[str, ...]
    times: tuple[PublishedTime, ...]


@dataclass(frozen=True)
class Seconds:
    """A chip's times at one level, in seconds; the barrier is that of a placement's tiles."""

    synaptic_operation: float
    neuron_active: float
    neuron_inactive: float
    spike: float
    barrier: float

    @classmethod
    def of(cls, placement: Placement, level: Level) -> Seconds:
        """Return the times; one that the chip's file leaves out is 0, for an active update that of an inactive one."""
        times = placement.chip.times
        assert times is not None, "asked of chips with times only"
        given = {key: x.at(level) * NANO for key, x in times if isinstance(x, Duration)}
        inactive = given.get("neuron_inactive", 0.0)
        return cls(
            synaptic_operation=given.get("synaptic_operation", 0.0),
            neuron_active=given.get("neuron_active", inactive),
            neuron_inactive=inactive,
            spike=given.get("spike", 0.0),
            barrier=times.barrier.at(level, _tiles(placement)) * NANO if times.barrier else 0.0,
        )


@dataclass(frozen=True, eq=False)
class Steps:
    """Time steps of the chip. parts: seconds by part (`PARTS`), each `[steps, B]`; core: the slowest on average,
    `[steps]`."""

    parts: Mapping[str, Array]
    core: Array

    @classmethod
    def of(cls, placement: Placement, work: Activity, level: Level) -> Steps:
        """Return what the steps of some work take at one level."""
        at = Seconds.of(placement, level)
        neurons = np.array([core.load.neurons for core in placement.content])
        synapses = at.synaptic_operation * work.events
        updates = at.neuron_inactive * neurons + (at.neuron_active - at.neuron_inactive) * work.spikes
        slowest = (synapses + updates).argmax(axis=-1, keepdims=True)
        parts = {
            "synapses": np.take_along_axis(synapses, slowest, axis=-1)[..., 0],
            "neurons": np.take_along_axis(updates, slowest, axis=-1)[..., 0],
            "network": at.spike * work.events.any(axis=-1),
            "barrier": np.full(work.events.shape[:2], at.barrier),
        }
        return cls(parts, (synapses + updates).mean(axis=1).argmax(axis=-1))

    @property
    def seconds(self) -> Array:
        """Return all parts together, `[steps, B]`."""
        return np.sum([self.parts[part] for part in PARTS], axis=0)  # type: ignore[no-any-return]


def latency(placement: Placement, work: Activity) -> Latency:
    """Return the latency of some samples on a chip whose file has times.

    Raises InputError if it has none.
    """
    chip = placement.chip
    if chip.times is None:
        raise InputError(no_latency(chip))
    alone = {level: Steps.of(placement, work, level) for level in LEVELS}
    time_steps = placement.network.time_steps
    overlaid = {level: Steps.of(placement, work.pipelined(time_steps), level) for level in LEVELS}
    rows = tuple(_step(placement, alone, i) for i in range(len(work.events)))
    unknown = tuple(_unknown(placement))
    return Latency(
        seconds=_estimate({level: steps.seconds.sum(axis=0).mean() for level, steps in alone.items()}),
        by_step=rows,
        binds=_binds(rows),
        samples=work.events.shape[1],
        pipeline_steps=len(rows) - time_steps,
        samples_per_second=Throughput(alone=_rate(alone), pipelined=_rate(overlaid)),
        lower_bound=bool(unknown),
        leaves_out=(*unknown, *NEVER_COUNTED),
        times=tuple(_published(chip)),
    )


def no_latency(chip: Chip) -> str:
    """Return that the latency on a chip whose file has no times is not estimated, and why, as a sentence."""
    return f"{chip.title}: {chip.no_times}, so its latency is not estimated."


def _tiles(placement: Placement) -> int:
    """Tiles of a chip that the cores fill."""
    chip = placement.chip
    assert chip.times is not None
    assert chip.times.barrier is not None
    return -(-placement.cores * chip.times.barrier.tiles.value // chip.limits.cores.value)


def _step(placement: Placement, levels: Mapping[Level, Steps], i: int) -> LatencyStep:
    means = {part: float(seconds[i].mean()) for part, seconds in levels["mid"].parts.items()}
    core = placement.content[levels["mid"].core[i]]
    seconds = _estimate({level: steps.seconds[i].mean() for level, steps in levels.items()})
    return LatencyStep(seconds=seconds, layer=core.layer, core=core.number, **means)


def _binds(rows: tuple[LatencyStep, ...]) -> Binds:
    totals = {part: sum(getattr(row, part) for row in rows) for part in PARTS}
    part = max(totals, key=lambda name: totals[name])
    layers: dict[str, float] = {}
    for row in rows:
        layers[row.layer] = layers.get(row.layer, 0.0) + row.synapses + row.neurons
    whole = sum(totals.values())
    return Binds(
        part=part, share=totals[part] / whole if whole else 0.0, layer=max(layers, key=lambda name: layers[name])
    )


def _rate(levels: Mapping[Level, Steps]) -> Estimate | None:
    """Samples a second, the fewest where times are longest; None if the chip's file has no times but 0."""
    seconds = {level: float(steps.seconds.sum(axis=0).mean()) for level, steps in levels.items()}
    if not all(seconds.values()):
        return None
    return Estimate(low=1 / seconds["high"], mid=1 / seconds["mid"], high=1 / seconds["low"])


def _estimate(levels: Mapping[Level, float]) -> Estimate:
    return Estimate(**{level: float(amount) for level, amount in levels.items()})


def _unknown(placement: Placement) -> Iterator[str]:
    """What this network asks for whose time on the chip is not known, one sentence each."""
    chip, network = placement.chip, placement.network
    assert chip.times is not None
    for key in type(chip.times).model_fields:
        if getattr(chip.times, key) is None:
            yield f"Times of this kind, which the chip's file does not have: {key.replace('_', ' ')}"
    if placement.chips > 1:
        yield f"Links between chips: the network takes {placement.chips:,} chips, and a step is counted as on one"
    for layer in dict.fromkeys(x.layer for x in network.obstacles):
        yield f"Layer {layer!r}, which the host computes"
    missing = dict.fromkeys(use.constraint for use in feature_uses(network, chip) if use.broken)
    host = {x.constraint for x in network.obstacles}
    if lacks := [constraint for constraint in missing if constraint not in host]:
        yield f"What the chip does not offer and the network needs: {', '.join(lacks)}"


def _published(chip: Chip) -> Iterator[PublishedTime]:
    assert chip.times is not None
    for key, x in sourced(chip.times):
        if isinstance(x, Duration):
            name = key.replace("_", " ").replace(".", ", ")
            yield PublishedTime(
                name=name, unit=x.unit, low=x.low, mid=x.mid, high=x.high, source=x.source, unverified=x.unverified
            )
