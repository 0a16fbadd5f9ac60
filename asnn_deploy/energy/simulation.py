"""What a simulator of a chip found: energy and time of single samples, and their place in a report.

A simulator replays recorded spikes event by event, so its figures rest on the placement and on a few samples, where a
profile's rest on counts. Both stand side by side in a report, the simulated one with the ratio.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from asnn_deploy.energy.estimate import PARTS, Breakdown, Energy, JouleRange
from asnn_deploy.energy.running import half_width
from asnn_deploy.util.arrays import Array


@dataclass(frozen=True, eq=False)
class Simulation:
    """A simulator's figures for N samples.

    name: what `--profile` calls it; title, process, source: of the chip's description; leaves_out: one sentence each.
    constants: `{name, low, mid, high, unit, source}` of the simulator's description of the chip.
    parts: joules by part (the keys of `PARTS`), each `[N]`, for samples that follow each other without a pause.
    alone: joules `[N]` that a sample costs beyond these where it comes alone and the layers behind must fill first.
    latency: seconds `[N]`, from the first input to the last sum.
    events: delivered synaptic events `[N]`.
    cores: cores in use, those of the input included; connections: synapses simulated; steps: of one sample.
    """

    name: str
    title: str
    process: str
    source: str
    leaves_out: tuple[str, ...]
    constants: tuple[Mapping[str, Any], ...]
    parts: Mapping[str, Array]
    alone: Array
    latency: Array
    events: Array
    cores: int
    connections: int
    steps: int

    @property
    def joules(self) -> Array:
        """All parts together, `[N]`."""
        return np.sum([self.parts[part] for part in PARTS], axis=0)  # type: ignore[no-any-return]

    def energy(self) -> Energy:
        """The mean over the samples; low and high are its 95 % interval."""
        middle = Breakdown(**{part: float(self.parts[part].mean()) for part in PARTS})
        return Energy(mean_range(self.joules), middle, float(self.latency.mean()), "simulated", self.source)

    def as_profile(self) -> dict[str, Any]:
        """The entry under `profiles` of report.json, with the keys of every other profile's."""
        return {
            **asdict(self.energy()),
            "latency_is_lower_bound": False,
            "title": self.title,
            "process": self.process,
            "spike_counts": "accumulates",
            "leaves_out": list(self.leaves_out),
            "constants": [dict(constant) for constant in self.constants],
        }

    def beside(self, profile: str, constant_based: Energy) -> dict[str, Any]:
        """The entry under `simulated` of report.json: what was replayed, and the ratio to a constant-based figure.

        profile, constant_based: that figure's profile and energy, of the same samples.
        """
        mine, other = self.energy(), constant_based.energy_joules
        return {
            "samples": len(self.events),
            "interval": "low and high: 95 % interval of the mean over the replayed samples (Student's t); "
            "a point where one sample was replayed",
            "energy_joules": asdict(mine.energy_joules),
            "energy_alone_joules": asdict(mean_range(self.joules + self.alone)),
            "latency_seconds": asdict(mean_range(self.latency)),
            "time_steps_simulated": self.steps,
            "delivered_events": float(self.events.mean()),
            "cores": self.cores,
            "connections": self.connections,
            "constant_based": profile,
            "constant_based_joules": asdict(other),
            "constant_based_breakdown": asdict(constant_based.breakdown),
            "ratio": mine.energy_joules.mid / other.mid if other.mid else None,
        }


def mean_range(values: Array) -> JouleRange:
    """Mean of `[N]` values and the 95 % interval of that mean by Student's t; a point where N is 1."""
    mean, count = float(values.mean()), len(values)
    if count < 2:
        return JouleRange(mean, mean, mean)
    half = half_width(float(values.std(ddof=1)), count)
    return JouleRange(max(0.0, mean - half), mean, mean + half)
