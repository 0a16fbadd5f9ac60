"""Parity: where two runs of a network part, spike by spike. Streams: batches are compared and forgotten."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from asnn_deploy.errors import GraphError
from asnn_deploy.ir.trace import Trace
from asnn_deploy.util.arrays import Array
from asnn_deploy.util.document import Amount, Count, Share


@dataclass(frozen=True)
class Divergence:
    """The first spike that differs: of the first differing sample, the earliest step, there the first layer.

    head, token: where the layer is part of self-attention (see `heads.py`).
    """

    layer: str
    step: Count
    sample: Count
    index: list[Count]
    expected: float
    got: float
    head: Count | None = None
    token: Count | None = None


@dataclass(frozen=True)
class LayerParity:
    """One layer: differing spike values and the target's spikes, by step."""

    name: str
    per_step_mismatches: list[Count]
    per_step_spikes: list[Count]


@dataclass(frozen=True)
class Rounding:
    """Why the spikes of a network differ whose weights are not on order-free grids.

    Of the spikes at which the target, fed with its own, departs from the network's definition: those that lie within
    the bound of float32 rounding errors, and those that do not, which another rule must have made. Other differing
    spikes follow from these.
    """

    within_rounding: Count
    unexplained: Count


@dataclass(frozen=True, kw_only=True)
class ParityReport:
    """How one target compares to another over all samples.

    exact: no spike and no prediction differs and, if that was promised too, no logit.
    rounding: see there; of networks of other tools only.
    logits_equal: the logits are equal bit for bit; None if that was not recorded.
    spikes_compared: spike values held against each other (neurons x steps x samples).
    """

    against: str
    exact: bool
    logits_equal: bool | None = None
    spikes_compared: Count
    spike_mismatches: Count
    argmax_mismatches: Count
    max_abs_logit_diff: Amount
    accuracy: Share | None
    first_divergence: Divergence | None
    layers: list[LayerParity]
    rounding: Rounding | None = None

    @property
    def rounded(self) -> bool:
        """Whether float32 rounding explains every spike that differs."""
        return self.rounding is not None and not self.rounding.unexplained


@dataclass
class Comparison:
    """Collects a ParityReport batch by batch."""

    against: str
    bitwise: bool = False
    """Whether the logits, too, must be equal."""
    samples: int = 0
    compared: int = 0
    argmax_mismatches: int = 0
    max_diff: float = 0.0
    logits_equal: bool = True
    correct: int = 0
    labelled: int = 0
    first: Divergence | None = None
    mismatches: dict[str, Array] = field(default_factory=dict)
    spikes: dict[str, Array] = field(default_factory=dict)

    def add(self, expected: Trace, got: Trace, labels: Array | None = None) -> None:
        """Compare one batch. Raises GraphError where the runs have different layers or shapes."""
        if list(expected.spikes) != list(got.spikes):
            raise GraphError(
                f"{got.target} recorded layers {list(got.spikes)}, {expected.target} {list(expected.spikes)}"
            )
        for name, want in expected.spikes.items():
            have = got.spikes[name]
            if want.shape != have.shape:
                raise GraphError(
                    f"layer {name!r}: {got.target} has spikes {have.shape}, {expected.target} {want.shape}"
                )
            wrong = (want != have).reshape(len(want), -1).sum(axis=1)
            self.mismatches[name] = self.mismatches.get(name, 0) + wrong
            self.spikes[name] = self.spikes.get(name, 0) + have.reshape(len(have), -1).sum(axis=1, dtype=np.int64)
            self.compared += want.size
        if self.first is None:
            self.first = first_divergence(expected, got, self.samples)
        self.argmax_mismatches += int(np.count_nonzero(expected.predictions != got.predictions))
        if got.samples:
            difference = np.abs(expected.logits.astype(np.float64) - got.logits)
            if not np.isfinite(difference).all():
                raise GraphError(f"{got.target} or {expected.target} answered with NaN or infinity")
            self.max_diff = max(self.max_diff, float(difference.max()))
        self.logits_equal &= bool(np.array_equal(expected.logits, got.logits))
        self.samples += got.samples
        if labels is not None:
            self.correct += int(np.count_nonzero(got.predictions == labels))
            self.labelled += len(labels)

    def report(self) -> ParityReport:
        """The outcome so far."""
        wrong = int(sum(counts.sum() for counts in self.mismatches.values()))
        return ParityReport(
            against=self.against,
            exact=wrong == 0 and self.argmax_mismatches == 0 and (self.logits_equal or not self.bitwise),
            logits_equal=self.logits_equal,
            spikes_compared=self.compared,
            spike_mismatches=wrong,
            argmax_mismatches=self.argmax_mismatches,
            max_abs_logit_diff=self.max_diff,
            accuracy=self.correct / self.labelled if self.labelled else None,
            first_divergence=self.first,
            layers=[
                LayerParity(name, [int(n) for n in self.mismatches[name]], [int(n) for n in self.spikes[name]])
                for name in self.mismatches
            ],
        )


def first_divergence(expected: Trace, got: Trace, offset: int = 0) -> Divergence | None:
    """The first differing spike of two traces; sample numbers are counted from `offset`."""
    best: tuple[int, int, int, str, tuple[int, ...]] | None = None
    for position, (name, want) in enumerate(expected.spikes.items()):
        where = np.argwhere(want != got.spikes[name])
        if len(where) == 0:
            continue
        step, sample, *index = where[np.lexsort((where[:, 0], where[:, 1]))[0]]  # first sample, then first step
        candidate = (int(sample), int(step), position, name, tuple(int(i) for i in index))
        best = candidate if best is None else min(best, candidate)
    if best is None:
        return None
    sample, step, _, name, index = best
    at = (step, sample, *index)
    return Divergence(
        name, step, sample + offset, list(index), float(expected.spikes[name][at]), float(got.spikes[name][at])
    )
