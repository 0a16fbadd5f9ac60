"""How fast a training is once it is under way."""

from __future__ import annotations

import time
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback


class Speed(Callback):
    """Counts images and seconds of training alone: not the first batch, in which kernels are compiled and memory is
    found, unless there is no other; nor what is answered and written after each epoch."""

    def __init__(self) -> None:
        self.since = time.perf_counter()
        self.first: tuple[int, float] | None = None
        self.images, self.seconds = 0, 0.0

    def on_train_epoch_start(self, trainer: lightning.Trainer, module: Any) -> None:
        """See Lightning."""
        self.since = time.perf_counter()

    def on_train_batch_end(self, trainer: lightning.Trainer, module: Any, outputs: Any, batch: Any, index: int) -> None:
        """A batch is done, loading included."""
        now, images = time.perf_counter(), len(batch[0])
        if self.first is None:
            self.first = images, now - self.since
        else:
            self.images, self.seconds = self.images + images, self.seconds + now - self.since
        self.since = now

    @property
    def images_per_second(self) -> float:
        """Return the images that this process trained on in a second; 0 if there was no batch."""
        images, seconds = (self.images, self.seconds) if self.images else self.first or (0, 1.0)
        return images / seconds
