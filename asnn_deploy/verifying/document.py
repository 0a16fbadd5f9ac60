"""What `verify --json` writes, as a model that reads it back."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, model_validator

from asnn_deploy.util.document import Document, Plain, Positive, read_document
from asnn_deploy.verifying.parity import ParityReport


class Verification(Document):
    """Every target held against its reference.

    order_free, not_order_free: whether all layers' sums are exact in any order, and why a layer's are not.
    snapping: what training recorded of the weights' way to their grids.
    recording: how a network of another tool compares to what that recorded; snapped: what grids changed of its spikes.
    """

    samples: Positive
    time_steps: Positive
    targets: dict[str, ParityReport]
    order_free: bool | None = None
    not_order_free: dict[str, str | None] = Field(default_factory=dict)
    snapping: dict[str, Plain] | None = None
    recording: dict[str, Plain] | None = None
    snapped: dict[str, Plain] | None = None

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
