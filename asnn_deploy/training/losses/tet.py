"""Temporal efficient training: every step shall answer for itself (Deng et al., ICLR 2022)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from asnn_deploy.errors import ConfigError
from asnn_deploy.training.losses.base import Loss
from asnn_deploy.training.losses.cross_entropy import CrossEntropyConfig

if TYPE_CHECKING:
    from torch import Tensor

TARGET = 1.0
"""Outputs are drawn towards the threshold of the neurons (phi in the paper), which is 1 here."""


class TETConfig(CrossEntropyConfig):
    """Its keys, and cross-entropy's."""

    spread: float = Field(0.05, ge=0, le=1)
    """Share of the loss that draws every step's output towards 1."""
    step_weights: list[Annotated[float, Field(ge=0, allow_inf_nan=False)]] | None = None
    """Weight of each step's cross-entropy; null: all alike."""


class TET(Loss):
    """`(1 - l) mean over t of CE(O[t], targets) + l mean over t of MSE(O[t], 1)`, l = `config.spread`.

    O[t] is what step t alone would answer: its summand times T. `config.step_weights` weigh the steps' cross-entropies
    (their mean is 1 by default). Source: Deng et al. 2022, the definitions of L_TET, L_MSE and L_TOTAL.
    """

    name = "tet"
    summary = "cross-entropy of every step's answer"
    section = TETConfig

    def check(self, config: TETConfig, time_steps: int) -> None:
        """See Loss.check."""
        weights = config.step_weights
        if weights is not None and (len(weights) != time_steps or not sum(weights)):
            raise ConfigError(
                f"loss.step_weights = {weights}: needed are {time_steps} numbers, one for each time step, not all 0"
            )

    def __call__(self, summands: Tensor, targets: Tensor, config: TETConfig) -> Tensor:
        """See Loss."""
        import torch
        from torch.nn import functional

        outputs, smoothing = summands * len(summands), config.label_smoothing
        each = torch.stack([functional.cross_entropy(output, targets, label_smoothing=smoothing) for output in outputs])
        if config.step_weights is not None:
            weights = torch.tensor(config.step_weights, dtype=each.dtype, device=each.device)
            each = each * weights * (len(weights) / weights.sum())
        return (1 - config.spread) * each.mean() + config.spread * (outputs - TARGET).square().mean()


loss = TET()
