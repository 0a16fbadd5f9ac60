"""The validation split, taken out of the training data, and the epoch that answers it best."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import lightning
import numpy as np
from lightning.pytorch.callbacks import Callback

from asnn_deploy.errors import ConfigError, DataError
from asnn_deploy.input.data import Data
from asnn_deploy.training.augment import seed_of
from asnn_deploy.training.config import TrainingConfig
from asnn_deploy.training.monitor import Monitor
from asnn_deploy.training.processes import weights

SPLIT = "validation"


def with_validation(data: Data, training: TrainingConfig) -> Data:
    """Return the data with `training.validation` of each class's training images as another split, drawn by the seed.

    Each class's share is rounded to whole images, and one image of it at least stays for training. Raises ConfigError
    if the best epoch is to be deployed and there is no split to tell it by, DataError if it has no image.
    """
    if training.deploy == "best" and not training.validation:
        raise ConfigError(
            "training.deploy = best: the best epoch is chosen on a validation split, and training.validation = 0 takes "
            "none out of the training data; set training.validation=0.1, or training.deploy=last"
        )
    if not training.validation:
        return data
    labels = data.labels["train"]
    rng = np.random.default_rng(seed_of(training.seed, 0, 0, 2))  # "2": apart from the seeds of order and mixup
    taken = np.zeros(len(labels), bool)
    for c in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == c))
        taken[members[: min(round(training.validation * len(members)), len(members) - 1)]] = True
    if not taken.any():
        raise DataError(
            f"{data.spec}: training.validation = {training.validation:g} takes no image of any class out of "
            f"{len(labels)} training images; raise it, or set training.validation=0"
        )
    parts = {"train": ~taken, SPLIT: taken}
    return replace(
        data,
        images=data.images | {split: data.images["train"][chosen] for split, chosen in parts.items()},
        labels=data.labels | {split: labels[chosen] for split, chosen in parts.items()},
    )


class Best(Callback):
    """Keeps the weights of the epoch with the highest validation accuracy; of several, the lowest loss, then the first.

    They are part of every checkpoint, so a run that is resumed still has them. Where weights are shared out, the first
    process alone has them.
    """

    def __init__(self, monitor: Monitor) -> None:
        self.monitor = monitor
        self.epoch, self.score, self.weights = -1, (float("-inf"), float("-inf")), dict[str, Any]()

    def state_dict(self) -> dict[str, Any]:
        """See Lightning."""
        return {"epoch": self.epoch, "score": self.score, "weights": self.weights}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See Lightning."""
        self.epoch, self.score, self.weights = state["epoch"], tuple(state["score"]), state["weights"]

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: Any) -> None:
        """Look at the epoch's row, which is the same in every process."""
        row = self.monitor.rows[-1]
        score = row[f"{SPLIT}_accuracy"], -row[f"{SPLIT}_loss"]
        if score > self.score:
            self.epoch, self.score, self.weights = int(row["epoch"]), score, weights(module.network)
