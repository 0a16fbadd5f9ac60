"""Record: what a run shall keep. Trace: what ran."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from asnn_deploy.util.arrays import Array


@dataclass(frozen=True)
class Record:
    """What a run keeps beside the logits.

    arriving: what synaptic layers read; spike_counts: how many spikes each layer sends. Targets that know neither
    leave them out: both follow from the spikes.
    """

    spikes: bool = False
    potentials: bool = False
    step_logits: bool = False
    arriving: bool = False
    spike_counts: bool = False


@dataclass(frozen=True, eq=False, repr=False)
class Trace:
    """The answer of a network, with what every spiking layer did.

    target: who ran it.
    logits: `[N, classes]`, float32 (float64 for integer networks: integers times the readout's unit).
    spikes: layer name to `[T, N, ...]`, uint8 (wider where a neuron may send more than 255 in a step); empty where not
        recorded. In the model's order.
    potentials: layer name to the membrane potential after the reset `[T, N, ...]`; empty where not recorded.
    step_logits: `[T, N, classes]`: the answer's summand at each step, where recorded, else None.
    arriving: the signals that synaptic layers read (spikes, pooled or added ones) by the name of the layer that they
        come from, `[T, N, ...]`; empty where not recorded.
    spike_counts: layer name to how many spikes it sends, `[T, N]`; empty where not recorded.
    rule: how the summands make the answer (`answers.py`).
    """

    target: str
    logits: Array
    spikes: Mapping[str, Array] = field(default_factory=dict)
    potentials: Mapping[str, Array] = field(default_factory=dict)
    step_logits: Array | None = None
    arriving: Mapping[str, Array] = field(default_factory=dict)
    spike_counts: Mapping[str, Array] = field(default_factory=dict)
    rule: str = "sum"

    def __post_init__(self) -> None:
        for name in ("spikes", "potentials", "arriving", "spike_counts"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    def __repr__(self) -> str:
        kept = [name for name in ("spikes", "potentials", "arriving", "spike_counts") if getattr(self, name)]
        steps = next((len(x) for name in kept for x in getattr(self, name).values()), None)
        parts = [f"{self.samples} samples", f"{self.logits.shape[1]} classes"]
        parts += [f"{name} of {', '.join(getattr(self, name))}" for name in kept]
        parts += ["step_logits"] if self.step_logits is not None else []
        return f"<Trace of {self.target!r}: {'; '.join(parts)}{f' ({steps} time steps)' if steps else ''}>"

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

        def joined(of: str) -> dict[str, Array]:
            return {key: _joined([getattr(part, of)[key] for part in parts]) for key in getattr(first, of)}

        return cls(
            first.target,
            np.concatenate([part.logits for part in parts]),
            joined("spikes"),
            joined("potentials"),
            np.concatenate(steps, axis=1) if steps else None,
            joined("arriving"),
            joined("spike_counts"),
            first.rule,
        )


def _joined(parts: Sequence[Array]) -> Array:
    """Arrays `[T, N, C, ...]` one behind the other along N, in the memory order of the first."""
    if parts[0].flags.c_contiguous:
        return np.concatenate(parts, axis=1)
    return np.moveaxis(np.concatenate([np.moveaxis(part, 2, -1) for part in parts], axis=1), -1, 2)
