"""Which images training draws, and in what batches."""

from __future__ import annotations

from itertools import count
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader

from asnn_deploy.errors import DataError
from asnn_deploy.input.data import Data
from asnn_deploy.training.augment import Images, Shuffled, augmentation
from asnn_deploy.training.config import RunConfig
from asnn_deploy.util.arrays import Array

SETTLING = 4096
"""A mean over so many images is within 1.6 % of a standard deviation (1 / sqrt(4096)), and a pass over them stays cheap
next to an epoch of a large data set."""


def balanced(labels: Array, limit: int | None) -> Array:
    """The indices of the first `limit` samples when classes are taken in turn."""
    if limit is None or limit >= len(labels):
        return np.arange(len(labels))
    rank = np.empty(len(labels), dtype=np.int64)
    for c in np.unique(labels):
        rank[labels == c] = np.arange(np.count_nonzero(labels == c))
    return np.sort(np.lexsort((labels, rank))[:limit])


def settling_images(config: RunConfig, data: Data) -> torch.Tensor | None:
    """Return the training images `[N, C, H, W]` on which batch norm's statistics are measured; None if they are not.

    All that are trained on, without augmentation and in the data's order; of more than `SETTLING`, so many, the same
    share of each class.
    """
    if config.training.statistics == "running":
        return None
    chosen = balanced(data.labels["train"], min(config.training.limit or SETTLING, SETTLING))
    return torch.from_numpy(data.images["train"][chosen])


def loaders(
    config: RunConfig, data: Data, rank: int = 0, done: tuple[int, int] = (0, 0)
) -> tuple[DataLoader[Any], list[DataLoader[Any]]]:
    """Return batches of training images, shuffled and changed, and of the other splits: process `rank`'s part of them.

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
    # `Images` draws batches as they are to be; pinned memory is copied while the device computes.
    pinned = training.device != "cpu" and torch.cuda.is_available()
    whole: Any = {"collate_fn": lambda batch: batch, "pin_memory": pinned}
    shuffled = DataLoader(
        images,
        training.batch_size,
        sampler=sampler,
        num_workers=training.workers,
        drop_last=lone,
        **whole,
    )
    wanted = max(training.batch_size, 256)
    judged = [
        DataLoader(Images(*data.part(split), part=part), batch_of_tests(data, wanted, part[1], split), **whole)
        for split in judged_splits(data)
    ]
    return shuffled, judged


def judged_splits(data: Data) -> list[str]:
    """Return the splits that are answered after every epoch, in the order of their loaders: "test", then others."""
    return sorted(data.labels.keys() - {"train"})


def batch_of_tests(data: Data, wanted: int, processes: int, split: str = "test") -> int:
    """Return the wanted batch size, or the next one of which every process gets a sample of the last batch too.

    Raises DataError if there are fewer images than processes.
    """
    samples = len(data.labels[split])
    if samples < processes:
        raise DataError(f"{data.spec}: {samples} {split} images for {processes} processes; lower training.devices")
    return next(size for size in count(wanted) if not 0 < samples % size < processes)
