"""Training images: augmentation and mixup, batch by batch. Images stay 8-bit throughout.

Every image of a batch gets random changes of its own, but all images are changed in one call: an image at a time, the
loader would be what training waits for (benchmarks/loading.py).

All random numbers are a function of the run's seed, the epoch, and the batch. So nothing needs to be remembered for a
resumed run to go on as if it had never stopped, and loading in other processes changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import Dataset, Sampler

from asnn_deploy.training.config import AugmentationConfig
from asnn_deploy.util.arrays import Array

Change = Callable[[Tensor, torch.Generator, int, slice], Tensor]
"""Of images `[B, C, H, W]` uint8, which are the slice's part of a batch of so many: random numbers are the batch's."""


def seed_of(*numbers: int) -> int:
    """A seed of its own for each row of numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))


Batch = tuple[Tensor, Tensor, float]


class Images(Dataset[Batch]):
    """8-bit images and labels, drawn in batches; `change` is applied to the images whenever they are drawn.

    part: this process's number and how many share each batch: `(0, 1)` is all of it. What is drawn are its images,
    their labels, and its share: its images over the mean of all processes, so that means over processes come out right.
    epoch: the one under way; whoever draws sets it.
    """

    def __init__(
        self,
        images: Array,
        labels: Array,
        change: Change | None = None,
        seed: int = 0,
        part: tuple[int, int] = (0, 1),
    ) -> None:
        self.images = torch.from_numpy(images)
        self.labels = torch.from_numpy(labels)
        self.change, self.seed, self.part, self.epoch = change, seed, part, 0

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, i: int) -> Batch:
        return self.__getitems__([i])

    def __getitems__(self, chosen: Sequence[int]) -> Batch:
        """This process's part of a batch: images `[B, C, H, W]`, labels `[B]`, and its share."""
        number, parts = self.part
        total = len(chosen)
        place = slice(total * number // parts, total * (number + 1) // parts)
        at = torch.as_tensor(chosen[place], dtype=torch.int64)
        images = self.images[at]
        if self.change is not None:
            generator = torch.Generator().manual_seed(seed_of(self.seed, self.epoch, int(chosen[0])))
            images = self.change(images, generator, total, place)
        return images, self.labels[at], len(at) * parts / total


class Shuffled(Sampler[int]):
    """All images of an epoch once, in an order that depends on the seed and the epoch alone.

    done: an epoch that was cut off, and how many of its images are done with.
    """

    def __init__(self, images: Images, done: tuple[int, int] = (0, 0)) -> None:
        self.images, self.done = images, done
        images.epoch = done[0]  # Lightning has loader processes started before it says which epoch it is

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this when an epoch begins."""
        self.images.epoch = epoch

    def __len__(self) -> int:
        return len(self.images)

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(seed_of(self.images.seed, self.images.epoch))
        order = torch.randperm(len(self.images), generator=generator).tolist()
        epoch, first = self.done
        return iter(order[first:] if self.images.epoch == epoch else order)


def augmentation(config: AugmentationConfig) -> Change | None:
    """The configured random changes, in the order flip, rotation, crop; None where there are none."""
    if not (config.flip or config.rotation or config.crop_padding):
        return None

    def change(images: Tensor, generator: torch.Generator, total: int, place: slice) -> Tensor:
        if config.flip:
            images = flipped(images, torch.rand(total, generator=generator)[place] < 0.5)
        if config.rotation:
            images = rotated(images, (2 * torch.rand(total, generator=generator)[place] - 1) * config.rotation)
        if config.crop_padding:
            sides = 2 * config.crop_padding + 1
            places = (torch.randint(sides, (total,), generator=generator)[place] for _ in "yx")
            images = cropped(images, config.crop_padding, *places)
        return images

    return change


def flipped(images: Tensor, which: Tensor) -> Tensor:
    """The images mirrored left to right where `which`, `[B]` bool."""
    return torch.where(which.reshape(-1, 1, 1, 1), images.flip(-1), images)


def rotated(images: Tensor, degrees: Tensor) -> Tensor:
    """The images turned about their middle, counter-clockwise, each by its own degrees `[B]`: the nearest pixel, black
    from outside, as torchvision's RandomRotation does."""
    height, width = images.shape[-2:]
    turn = degrees * (math.pi / 180)
    cos, sin, none = torch.cos(turn), torch.sin(turn), torch.zeros_like(turn)
    # Sampling places in units of half the image, hence the ratios of its sides.
    rows = [torch.stack([cos, -sin * height / width, none], 1), torch.stack([sin * width / height, cos, none], 1)]
    grid = functional.affine_grid(torch.stack(rows, 1), list(images.shape), align_corners=False)
    turned = functional.grid_sample(images.float(), grid, "nearest", "zeros", align_corners=False)
    return turned.to(torch.uint8)


def cropped(images: Tensor, padding: int, top: Tensor, left: Tensor) -> Tensor:
    """The images with a black border of `padding`, cut back to their size from row `top` and column `left`, `[B]`."""
    count, channels, height, width = images.shape
    padded = functional.pad(images, [padding] * 4)
    rows = (top[:, None] + torch.arange(height)).reshape(count, 1, height, 1)
    columns = (left[:, None] + torch.arange(width)).reshape(count, 1, 1, width)
    each = torch.arange(count).reshape(-1, 1, 1, 1)
    return padded[each, torch.arange(channels).reshape(1, -1, 1, 1), rows, columns]


def mixup(
    images: Tensor, labels: Tensor, classes: int, alpha: float, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Mix each image with another one of the batch, rounded to 8 bits, and the labels `[B]` to shares `[B, classes]`.

    Source: Zhang et al., "mixup", ICLR 2018; one share a batch, drawn from Beta(alpha, alpha).
    """
    share = rng.beta(alpha, alpha)
    order = torch.from_numpy(rng.permutation(len(images))).to(images.device)
    mixed = (share * images + (1 - share) * images[order]).round().to(torch.uint8)
    one_hot = torch.nn.functional.one_hot(labels, classes).float()
    return mixed, share * one_hot + (1 - share) * one_hot[order]
