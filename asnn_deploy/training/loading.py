"""Which images training draws, and in what batches."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch.utils.data import DataLoader

from asnn_deploy.config import RunConfig
from asnn_deploy.data import Data
from asnn_deploy.step_table import Array
from asnn_deploy.training.augment import Images, Shuffled, augmentation


def balanced(labels: Array, limit: int | None) -> Array:
    """The indices of the first `limit` samples when classes are taken in turn."""
    if limit is None or limit >= len(labels):
        return np.arange(len(labels))
    rank = np.empty(len(labels), dtype=np.int64)
    for c in np.unique(labels):
        rank[labels == c] = np.arange(np.count_nonzero(labels == c))
    return np.sort(np.lexsort((labels, rank))[:limit])


def loaders(
    config: RunConfig, data: Data, rank: int = 0, done: tuple[int, int] = (0, 0)
) -> tuple[DataLoader[Any], DataLoader[Any]]:
    """Batches of training images, shuffled and changed, and of test images: process `rank`'s part of them.

    done: an epoch that was cut off, and how many of its batches are done with.
    """
    training = config.training
    part = rank, training.devices * training.nodes
    chosen = balanced(data.labels["train"], training.limit)
    change = augmentation(config.augmentation)
    images = Images(data.images["train"][chosen], data.labels["train"][chosen], change, training.seed, part)
    # One sample has no batch statistics.
    lone = len(images) > training.batch_size and 0 < len(images) % training.batch_size < 2 * part[1]
    sampler = Shuffled(images, (done[0], done[1] * training.batch_size))
    whole: Any = {"collate_fn": lambda batch: batch}  # `Images` draws batches as they are to be
    shuffled = DataLoader(
        images,
        training.batch_size,
        sampler=sampler,
        num_workers=training.workers,
        drop_last=lone,
        **whole,
    )
    tested = Images(*data.part("test"), part=part)
    return shuffled, DataLoader(tested, max(training.batch_size, 256), **whole)
