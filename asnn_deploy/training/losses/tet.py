"""Temporal efficient training: every step shall answer for itself (Deng et al., ICLR 2022)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from asnn_deploy.training.config import LossConfig

TARGET = 1.0
"""Outputs are drawn towards the threshold of the neurons (phi in the paper), which is 1 here."""


def tet(summands: Tensor, targets: Tensor, config: LossConfig) -> Tensor:
    """`(1 - l) mean over t of CE(O[t], targets) + l mean over t of MSE(O[t], 1)`, l = `config.spread`.

    O[t] is what step t alone would answer: its summand times T. `config.step_weights` weigh the steps' cross-entropies
    (their mean is 1 by default). Source: Deng et al. 2022, the definitions of L_TET, L_MSE and L_TOTAL.
    """
    outputs = summands * len(summands)
    smoothing = config.label_smoothing
    each = torch.stack([functional.cross_entropy(output, targets, label_smoothing=smoothing) for output in outputs])
    if config.step_weights is not None:
        weights = torch.tensor(config.step_weights, dtype=each.dtype, device=each.device)
        each = each * weights * (len(weights) / weights.sum())
    return (1 - config.spread) * each.mean() + config.spread * (outputs - TARGET).square().mean()
