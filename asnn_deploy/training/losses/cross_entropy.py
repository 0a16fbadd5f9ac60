"""Cross-entropy of the network's answer, which is the weighted mean over time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from asnn_deploy.training.losses.base import Loss, LossConfig

if TYPE_CHECKING:
    from torch import Tensor


class CrossEntropyConfig(LossConfig):
    """Its keys."""

    label_smoothing: float = Field(0.0, ge=0, lt=1)
    """Share of each label that is spread over all classes."""


class CrossEntropy(Loss):
    """`CE(sum over t of summand[t], targets)`; smoothed labels are `(1 - s) y + s / classes` (Szegedy et al. 2016)."""

    name = "cross-entropy"
    summary = "cross-entropy of the answer"
    section = CrossEntropyConfig

    def __call__(self, summands: Tensor, targets: Tensor, config: CrossEntropyConfig) -> Tensor:
        """See Loss."""
        from torch.nn import functional

        from asnn_deploy.models.layers import added_up

        return functional.cross_entropy(added_up(summands), targets, label_smoothing=config.label_smoothing)


loss = CrossEntropy()
