"""Record: what a run shall keep. Trace: what ran."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from asnn_deploy.step_table import Array


@dataclass(frozen=True)
class Record:
    """What a run keeps beside the logits.

    arriving: what synaptic layers read, where the target can give it; else it is replayed from the spikes.
    """

    spikes: bool = False
    potentials: bool = False
    step_logits: bool = False
    arriving: bool = False


@dataclass(frozen=True, eq=False)
class Trace:
    """The answer of a network, with what every spiking layer did.

    target: who ran it.
    logits: `[N, classes]`, float32 (float64 for integer networks: integers times the readout's unit).
    spikes: layer name to `[T, N, ...]`, uint8; empty where not recorded. In the model's order.
    potentials: layer name to the membrane potential after the reset `[T, N, ...]`; empty where not recorded.
    step_logits: `[T, N, classes]`: the answer's summand at each step, where recorded, else None.
    arriving: the signals between neurons and synaptic layers (pooled, added spikes) by layer name, `[T, N, ...]`;
        empty where not recorded.
    """

    target: str
    logits: Array
    spikes: Mapping[str, Array] = field(default_factory=dict)
    potentials: Mapping[str, Array] = field(default_factory=dict)
    step_logits: Array | None = None
    arriving: Mapping[str, Array] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "spikes", MappingProxyType(dict(self.spikes)))
        object.__setattr__(self, "potentials", MappingProxyType(dict(self.potentials)))
        object.__setattr__(self, "arriving", MappingProxyType(dict(self.arriving)))

    @property
    def predictions(self) -> Array:
        """The class with the largest logit for each sample, `[N]`; the first of equals."""
        return self.logits.argmax(axis=1)  # type: ignore[no-any-return]

    @property
    def samples(self) -> int:
        """N."""
        return len(self.logits)

    @classmethod
    def concatenate(cls, parts: Sequence[Trace]) -> Trace:
        """Traces of consecutive batches as one."""
        first = parts[0]
        steps = [part.step_logits for part in parts if part.step_logits is not None]
        return cls(
            first.target,
            np.concatenate([part.logits for part in parts]),
            {key: _joined([part.spikes[key] for part in parts]) for key in first.spikes},
            {key: _joined([part.potentials[key] for part in parts]) for key in first.potentials},
            np.concatenate(steps, axis=1) if steps else None,
            {key: _joined([part.arriving[key] for part in parts]) for key in first.arriving},
        )


def _joined(parts: Sequence[Array]) -> Array:
    """Arrays `[T, N, C, ...]` one behind the other along N, in the memory order of the first."""
    if parts[0].flags.c_contiguous:
        return np.concatenate(parts, axis=1)
    return np.moveaxis(np.concatenate([np.moveaxis(part, 2, -1) for part in parts], axis=1), -1, 2)
