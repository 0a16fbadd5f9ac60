"""What `verify --json` writes, as a model that reads it back."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, model_validator

from asnn_deploy.util.document import Document, Plain, Positive, read_document
from asnn_deploy.verifying.parity import ParityReport

QUANTISED = "reference-fixed"
"""The target that is held against the float network: what differs is what quantisation does, not a broken promise."""


class Verification(Document):
    """Every target held against its reference.

    order_free, not_order_free: whether all layers' sums are exact in any order, and why a layer's are not.
    snapping: what training recorded of the weights' way to their grids.
    recording: how a network of another tool compares to what that recorded; snapped: what grids changed of its spikes.
    network_sha256: of the network as it was opened, before data said what enters (`ir.serialize.fingerprint`); None in
    files of earlier versions.
    left_out: targets that were to run and could not, and why.
    """

    network_sha256: str | None = None
    samples: Positive
    time_steps: Positive
    targets: dict[str, ParityReport]
    order_free: bool | None = None
    not_order_free: dict[str, str | None] = Field(default_factory=dict)
    snapping: dict[str, Plain] | None = None
    recording: dict[str, Plain] | None = None
    snapped: dict[str, Plain] | None = None
    left_out: dict[str, str] = Field(default_factory=dict)

    @property
    def promising(self) -> dict[str, ParityReport]:
        """The targets that promise equal spikes: all but the integer network's definition, which is quantised."""
        return {name: found for name, found in self.targets.items() if name != QUANTISED}

    @property
    def holds(self) -> bool:
        """Whether every target does what it promises, and the network what its tool recorded.

        Rounding may explain what differs in a network whose weights are not on order-free grids.
        """
        kept = all(found.exact or found.rounded for found in self.promising.values())
        return kept and (self.recording is None or bool(self.recording.get("exact", True)))

    def __repr__(self) -> str:
        exact = sum(found.exact for found in self.promising.values())
        compared = sum(found.spikes_compared for found in self.promising.values())
        differing = sum(found.spike_mismatches for found in self.promising.values())
        return (
            f"<Verification: {'holds' if self.holds else 'does not hold'}, {exact} of {len(self.promising)} targets "
            f"exact, {differing:,} of {compared:,} spikes differ, {self.samples:,} samples>"
        )

    @model_validator(mode="after")
    def _every_step(self) -> Verification:
        for name, target in self.targets.items():
            for layer in target.layers:
                for counts in (layer.per_step_mismatches, layer.per_step_spikes):
                    if len(counts) != self.time_steps:
                        raise ValueError(
                            f"layer {layer.name!r} of target {name!r} has {len(counts)} counts, "
                            f"expected {self.time_steps}, one for every time step"
                        )
        return self


def read_verification(path: Path) -> Verification:
    """Return what `verify --json` wrote. Raises BundleError if the file is anything else."""
    return read_document(path, Verification, "a verification as JSON", "verify again and give the JSON of that")
