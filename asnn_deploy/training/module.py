"""The Lightning module: loss, optimiser, schedule, what is counted on the way."""

from __future__ import annotations

import math
from typing import Any

import lightning
import numpy as np
import torch
import torch.distributed
from torch import Tensor
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor
from torch.nn import functional
from torch.nn.utils import get_total_norm

from asnn_deploy.errors import TrainingError
from asnn_deploy.models.layers import added_up
from asnn_deploy.models.network import SpikingNetwork
from asnn_deploy.models.statistics import settle_statistics
from asnn_deploy.training.augment import mixup, seed_of
from asnn_deploy.training.config import RunConfig
from asnn_deploy.training.distillation import distillation
from asnn_deploy.training.losses import LOSSES
from asnn_deploy.training.processes import shard
from asnn_deploy.training.sop_penalty import sop_penalty
from asnn_deploy.training.tally import Tally, added_over_all
from asnn_deploy.training.teacher import Teacher


class TrainingModule(lightning.LightningModule):
    """The configured loss; Adam with a cosine schedule over the epochs."""

    def __init__(
        self,
        network: SpikingNetwork,
        config: RunConfig,
        classes: int,
        settling: Tensor | None = None,
        teacher: Teacher | None = None,
    ) -> None:
        """settling: images on which batch norm's statistics are measured after every epoch, `[N, C, H, W]`."""
        super().__init__()
        self.network = network
        self.config = config
        self.classes = classes
        self.settling = settling
        self.teacher = teacher
        self.under_way: tuple[Tensor, int, Tensor] | None = None
        self.batches_done = 0
        self.trained, self.tested, self.validated = Tally(), Tally(), Tally()

    def configure_model(self) -> None:
        """See Lightning; the processes have met by now."""
        if self.config.training.sharded and not isinstance(self.network, FSDPModule):
            assert self.device_mesh is not None
            shard(self.network, self.device_mesh["data_parallel"])

    def on_train_epoch_start(self) -> None:
        """Weight clips follow the weights, epoch by epoch, where training is with few bits."""
        self.batches_done = 0
        self.trained = Tally()
        self.network.settle_clips()

    def on_train_batch_start(self, batch: Any, index: int) -> None:
        """The learning rate is a function of the epoch alone: a run resumed with more epochs is on their curve.

        Neither it nor weight decay is what a checkpoint says.
        """
        training = self.config.training
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = training.learning_rate * cosine(self.current_epoch, training.epochs)
            group["weight_decay"] = training.weight_decay

    def training_step(self, batch: tuple[Tensor, Tensor, float], index: int) -> Tensor:
        """See Lightning. A batch: images, labels, and its share (see `augment.Images`)."""
        images, labels, share = batch
        augmentation, epochs = self.config.augmentation, self.config.training.epochs
        targets = labels
        if augmentation.mixup and self.current_epoch < augmentation.mixup_until * epochs:
            # "1": apart from the seeds that order and change images.
            rng = np.random.default_rng(seed_of(self.config.training.seed, self.current_epoch, index, 1))
            images, targets = mixup(images, labels, self.classes, augmentation.mixup, rng)
        loss, summands = self._loss(images, targets)
        self.under_way = images, index, loss.detach()
        logits = added_up(summands.detach())
        self.batches_done = index + 1
        self.trained.add("loss", loss, len(images))
        self.trained.add("accuracy", (logits.argmax(1) == labels).double().mean(), len(images))
        return loss * share

    def _loss(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """The whole loss, and each step's summand of the logits."""
        config = self.config.loss
        penalised = config.sop_penalty > 0
        summands, traffic = self.network.watched(images, self.config.training.segment, penalised)
        loss = LOSSES.find(config.name)(summands, targets, config)
        if self.teacher is not None:
            share = config.teacher_share
            taught = distillation(summands, self.teacher.logits(images), config.temperature)
            loss = (1 - share) * loss + share * taught
        if penalised:
            self.trained.add("traffic", traffic.mean(), len(images))
            loss = loss + config.sop_penalty * sop_penalty(traffic)
        return loss, summands

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """The norm of all gradients together. Raises TrainingError where it or the loss is no number: weights never
        become NaN. Only now, with the backward pass under way on the device, is it waited for."""
        norm: Any = get_total_norm([p.grad for p in self.network.parameters() if p.grad is not None])
        norm = norm.full_tensor() if isinstance(norm, DTensor) else norm
        assert self.under_way is not None
        images, index, loss = self.under_way
        self.trained.add("gradient", norm, len(images))
        wrong = added_over_all((~torch.isfinite(torch.stack([loss, norm.to(loss.dtype)]))).float())
        if wrong.any():
            raise self._diverged(images, index, float(loss), float(norm))

    def _diverged(self, images: Tensor, index: int, loss: float, norm: float) -> TrainingError:
        first = self.network.first_not_finite(images)  # in every process, where they share the weights
        if not math.isfinite(loss):
            what, where = f"the loss is {loss}", "no layer's signal, only the loss itself"
        elif not math.isfinite(norm):
            what, where = f"the norm of the gradients is {norm}", "the backward pass"
        else:
            what, where = "the loss is not a number in another process", "there"
        where = where if first is None else f"first of all layer {first!r}"
        done = f"the checkpoint after epoch {self.current_epoch - 1} is whole; " if self.current_epoch else ""
        return TrainingError(
            f"the training diverged: {what} at epoch {self.current_epoch}, step {index}; NaN or infinity "
            f"came from {where}; {done}lower training.learning_rate (now {self.config.training.learning_rate:g})"
        )

    def check_weights(self) -> None:
        """Raise TrainingError where weights are no numbers any more: no checkpoint shall hold them."""
        for name, weight in self.network.named_parameters():
            own = weight.to_local() if isinstance(weight, DTensor) else weight
            if added_over_all((~torch.isfinite(own)).sum()):
                raise TrainingError(
                    f"the training diverged: {name.removeprefix('layers.')!r} holds NaN or infinity at epoch "
                    f"{self.current_epoch}, step {self.batches_done - 1}, and no checkpoint was written of it; lower "
                    f"training.learning_rate (now {self.config.training.learning_rate:g}) or training.weight_decay"
                )

    def on_validation_epoch_start(self) -> None:
        """The network is judged as it is deployed, and by all processes with the statistics of the first.

        All measure them, on the same images: shared-out weights are gathered by all together.
        """
        self.tested, self.validated = Tally(), Tally()
        if self.settling is not None:
            settle_statistics(self.network, self.settling)
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            for buffer in self.network.buffers():
                torch.distributed.broadcast(buffer, 0)

    def validation_step(self, batch: tuple[Tensor, Tensor, float], index: int, dataloader_idx: int = 0) -> None:
        """See Lightning. dataloader_idx: 0 for the test split, 1 for the validation split."""
        images, labels, _ = batch
        logits, spikes = self.network.trace(images)
        tally = self.validated if dataloader_idx else self.tested
        tally.add("loss", functional.cross_entropy(logits, labels), len(images))
        tally.add("accuracy", (logits.argmax(1) == labels).double().mean(), len(images))
        if tally is self.tested:
            for name, fired in spikes.items():
                tally.add(f"rate {name}", fired.flatten(1).mean(1, dtype=torch.float64), len(images))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Where the epoch stands; `checkpoint.py` adds what the run is."""
        checkpoint["batches_done"] = self.batches_done
        checkpoint["epoch_ended"] = self.trainer.is_last_batch
        checkpoint["trained"] = self.trained.over_all()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """See `on_save_checkpoint`."""
        self.batches_done = checkpoint["batches_done"]
        first = self.global_rank == 0  # it takes what all had; the sums of the others begin anew
        self.trained.sums = {k: v if first else torch.zeros_like(v) for k, v in checkpoint["trained"].items()}

    def configure_optimizers(self) -> Any:
        """See Lightning."""
        training = self.config.training
        learned = [p for p in self.network.parameters() if p.requires_grad]
        return torch.optim.Adam(learned, training.learning_rate, weight_decay=training.weight_decay)


def cosine(epoch: int, epochs: int) -> float:
    """The share of the learning rate at an epoch: from 1 down to 0 along half a cosine."""
    return (1 + math.cos(math.pi * min(epoch, epochs) / epochs)) / 2
