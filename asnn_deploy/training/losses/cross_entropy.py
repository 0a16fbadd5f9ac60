"""Cross-entropy of the network's answer, which is the weighted mean over time."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from asnn_deploy.models.layers import added_up
from asnn_deploy.training.config import LossConfig


def cross_entropy(summands: Tensor, targets: Tensor, config: LossConfig) -> Tensor:
    """`CE(sum over t of summand[t], targets)`; smoothed labels are `(1 - s) y + s / classes` (Szegedy et al. 2016)."""
    return functional.cross_entropy(added_up(summands), targets, label_smoothing=config.label_smoothing)
