"""Training images: augmentation and mixup, batch by batch. Images stay 8-bit throughout.

Every image of a batch gets random changes of its own, but all images are changed in one call: an image at a time, the
loader would be what training waits for (benchmarks/loading.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import Dataset

from asnn_deploy.config import AugmentationConfig
from asnn_deploy.step_table import Array

Change = Callable[[Tensor], Tensor]
"""Of images `[B, C, H, W]` uint8."""


class Images(Dataset[tuple[Tensor, Tensor]]):
    """8-bit images and labels, drawn in batches; `change` is applied to the images whenever they are drawn."""

    def __init__(self, images: Array, labels: Array, change: Change | None = None) -> None:
        self.images = torch.from_numpy(images)
        self.labels = torch.from_numpy(labels)
        self.change = change

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        images, labels = self.__getitems__([i])
        return images[0], labels[0]

    def __getitems__(self, chosen: Sequence[int]) -> tuple[Tensor, Tensor]:
        """A batch: images `[B, C, H, W]` and labels `[B]`."""
        at = torch.as_tensor(chosen)
        images = self.images[at]
        return (images if self.change is None else self.change(images)), self.labels[at]


def augmentation(config: AugmentationConfig) -> Change | None:
    """The configured random changes, in the order flip, rotation, crop; None where there are none."""
    if not (config.flip or config.rotation or config.crop_padding):
        return None

    def change(images: Tensor) -> Tensor:
        count = len(images)
        if config.flip:
            images = flipped(images, torch.rand(count) < 0.5)
        if config.rotation:
            images = rotated(images, (2 * torch.rand(count) - 1) * config.rotation)
        if config.crop_padding:
            sides = 2 * config.crop_padding + 1
            images = cropped(images, config.crop_padding, *(torch.randint(sides, (count,)) for _ in "yx"))
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


def mixup(images: Tensor, labels: Tensor, classes: int, alpha: float) -> tuple[Tensor, Tensor]:
    """Mix each image with another one of the batch, rounded to 8 bits, and the labels `[B]` to shares `[B, classes]`.

    Source: Zhang et al., "mixup", ICLR 2018; one share a batch, drawn from Beta(alpha, alpha).
    """
    share = torch.distributions.Beta(alpha, alpha).sample().to(images.device)
    order = torch.randperm(len(images), device=images.device)
    mixed = (share * images + (1 - share) * images[order]).round().to(torch.uint8)
    one_hot = torch.nn.functional.one_hot(labels, classes).float()
    return mixed, share * one_hot + (1 - share) * one_hot[order]
