"""How far a training is: its epochs as a phase, and what comes after them."""

from __future__ import annotations

from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback

from asnn_deploy.input.data import Data
from asnn_deploy.training.config import RunConfig
from asnn_deploy.training.monitor import Monitor
from asnn_deploy.training.validation import SPLIT
from asnn_deploy.util.progress import Phase

BACKWARD = 3
"""An image that is trained on takes about as long as so many that are only answered: the backward pass is two more."""


class Epochs(Callback):
    """Says after each batch how far the training is, and after each epoch what it reached.

    The unit is an image that is answered once.
    """

    def __init__(self, monitor: Monitor, training: Phase, settling: int) -> None:
        """settling: images on which statistics are measured after each epoch."""
        self.monitor, self.training = monitor, training
        labels = monitor.data.labels
        self.tested = settling + len(labels["test"]) + len(labels.get(SPLIT, ()))
        self.drawn = 0.0

    def on_train_start(self, trainer: lightning.Trainer, module: Any) -> None:
        """See Lightning; a resumed training has epochs behind it."""
        assert trainer.max_epochs is not None
        limit = module.config.training.limit or len(self.monitor.data.labels["train"])
        self.drawn = BACKWARD * min(limit, len(self.monitor.data.labels["train"]))
        self.training.total = (trainer.max_epochs - trainer.current_epoch) * (self.drawn + self.tested)
        self.training.total -= self.drawn * module.batches_done / max(1, float(trainer.num_training_batches))

    def on_train_epoch_start(self, trainer: lightning.Trainer, module: Any) -> None:
        """The loss is asked of the device only when somebody looks."""

        def describe() -> str:
            loss = "" if module.under_way is None else f", loss {float(module.under_way[2]):.3g}"
            rows = self.monitor.rows
            tested = f", test accuracy {100 * rows[-1]['test_accuracy']:.2f} %" if rows else ""
            return f"{epoch_of(trainer)}{loss}{tested}"

        self.training.describe = describe

    def on_train_batch_end(self, trainer: lightning.Trainer, *batch: Any) -> None:
        """See Lightning."""
        self.training.advance(self.drawn / float(trainer.num_training_batches))

    def on_validation_batch_end(self, trainer: lightning.Trainer, *batch: Any) -> None:
        """See Lightning."""
        counts = trainer.num_val_batches
        self.training.advance(self.tested / float(sum(counts) if isinstance(counts, list) else counts))

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: Any) -> None:
        """The monitor has added the epoch's row by now."""
        row = self.monitor.rows[-1]
        self.training.say(
            f"{epoch_of(trainer)}, loss {row['train_loss']:.3g}, test accuracy {100 * row['test_accuracy']:.2f} %"
        )


def epoch_of(trainer: lightning.Trainer) -> str:
    """Return which epoch it is; Lightning counts from 0, and one on when the last has ended."""
    assert trainer.max_epochs is not None
    return f"epoch {min(trainer.current_epoch + 1, trainer.max_epochs)} of {trainer.max_epochs}"


def expected(config: RunConfig, data: Data) -> dict[str, float]:
    """Return the phase of the training, with the number of images that it takes about as long as answering."""
    counts = {split: len(labels) for split, labels in data.labels.items()}
    drawn = min(config.training.limit or counts["train"], counts["train"])
    each = BACKWARD * drawn + counts["test"] + counts.get(SPLIT, 0)
    return {"train": config.training.epochs * each}
