"""The progress bar on a terminal."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import lightning
from lightning.pytorch.callbacks import RichProgressBar

from asnn_deploy.training.monitor import Monitor


class Progress(RichProgressBar):
    """Lightning's, with the time left of the whole training beside that of the epoch, and the last test accuracy."""

    def __init__(self, monitor: Monitor) -> None:
        super().__init__(leave=False)
        self.monitor, self.began, self.batches = monitor, time.monotonic(), 0

    def on_train_start(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """See Lightning."""
        super().on_train_start(trainer, pl_module)
        self.began = time.monotonic()

    def on_train_batch_end(self, trainer: lightning.Trainer, pl_module: Any, *batch: Any) -> None:
        """See Lightning."""
        self.batches += 1
        super().on_train_batch_end(trainer, pl_module, *batch)

    def get_metrics(self, trainer: lightning.Trainer, pl_module: Any) -> dict[str, Any]:
        """Loss, test accuracy, time left: as long for each batch to come as for those of this session on average."""
        shown = super().get_metrics(trainer, pl_module)
        shown.pop("v_num", None)
        if self.monitor.rows:
            shown["test accuracy"] = f"{100 * self.monitor.rows[-1]['test_accuracy']:.2f} %"
        if self.batches and trainer.max_epochs is not None:
            each = (time.monotonic() - self.began) / self.batches
            epochs = trainer.max_epochs - trainer.current_epoch
            ahead = epochs * float(trainer.num_training_batches) - pl_module.batches_done
            shown["left in all"] = str(timedelta(seconds=round(each * ahead)))
        return shown

    def _get_train_description(self, current_epoch: int) -> str:
        """Lightning counts from 0 to the number of epochs less one."""
        return f"Epoch {current_epoch + 1}/{self.trainer.max_epochs}"
