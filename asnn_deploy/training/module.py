"""The Lightning module: loss, optimiser, schedule, metrics."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import lightning
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from asnn_deploy.config import RunConfig
from asnn_deploy.errors import TrainingError
from asnn_deploy.models import SpikingNetwork
from asnn_deploy.models.layers import added_up
from asnn_deploy.training.augment import mixup, seed_of
from asnn_deploy.training.losses import LOSSES


class TrainingModule(lightning.LightningModule):
    """The configured loss; Adam with a cosine schedule over the epochs."""

    def __init__(self, network: SpikingNetwork, config: RunConfig, classes: int) -> None:
        super().__init__()
        self.network = network
        self.config = config
        self.classes = classes
        self.images_seen = 0

    def on_train_epoch_start(self) -> None:
        """Weight clips follow the weights, epoch by epoch, where training is with few bits."""
        self.network.settle_clips()

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        """See Lightning."""
        images, labels = batch
        augmentation, epochs = self.config.augmentation, self.config.training.epochs
        targets = labels
        if augmentation.mixup and self.current_epoch < augmentation.mixup_until * epochs:
            # "1": apart from the seeds that order and change images.
            rng = np.random.default_rng(seed_of(self.config.training.seed, self.current_epoch, index, 1))
            images, targets = mixup(images, labels, self.classes, augmentation.mixup, rng)
        summands = self.network.step_logits(images)
        logits = added_up(summands.detach())
        loss = LOSSES[self.config.loss.name](summands, targets, self.config.loss)
        if not torch.isfinite(loss):
            raise self._diverged(images, index, float(loss))
        self.images_seen += len(images)
        self._log("train_loss", loss, len(images))
        self._log("train_accuracy", (logits.argmax(1) == labels).float().mean(), len(images))
        return loss

    def _diverged(self, images: Tensor, index: int, loss: float) -> TrainingError:
        first = self.network.first_not_finite(images)
        where = "no layer's signal, only the loss itself" if first is None else f"first of all layer {first!r}"
        done = f"the checkpoint after epoch {self.current_epoch - 1} is whole; " if self.current_epoch else ""
        return TrainingError(
            f"the training diverged: the loss is {loss} at epoch {self.current_epoch}, step {index}; NaN or infinity "
            f"came from {where}; {done}lower training.learning_rate (now {self.config.training.learning_rate:g})"
        )

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        """See Lightning."""
        images, labels = batch
        logits = self.network(images)
        self._log("test_loss", functional.cross_entropy(logits, labels), len(images))
        self._log("test_accuracy", (logits.argmax(1) == labels).float().mean(), len(images))

    def _log(self, key: str, value: Tensor, count: int) -> None:
        self.log(key, value, on_step=False, on_epoch=True, prog_bar=key.endswith("accuracy"), batch_size=count)

    def configure_optimizers(self) -> Any:
        """See Lightning."""
        training = self.config.training
        learned = [p for p in self.network.parameters() if p.requires_grad]
        optimizer = torch.optim.Adam(learned, training.learning_rate, weight_decay=training.weight_decay)
        # A function of the epoch alone, so that a run resumed with more epochs is on their curve, not on the old one's.
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, partial(cosine, epochs=training.epochs))
        return [optimizer], [schedule]


def cosine(epoch: int, epochs: int) -> float:
    """The share of the learning rate at an epoch: from 1 down to 0 along half a cosine."""
    return (1 + math.cos(math.pi * min(epoch, epochs) / epochs)) / 2
