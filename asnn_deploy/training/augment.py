"""Training images: augmentation image by image, mixup batch by batch. Images stay 8-bit throughout."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms import v2

from asnn_deploy.config import AugmentationConfig
from asnn_deploy.step_table import Array


class Images(Dataset[tuple[Tensor, Tensor]]):
    """8-bit images and labels, each image changed by `transform` whenever it is drawn."""

    def __init__(self, images: Array, labels: Array, transform: v2.Transform | None = None) -> None:
        self.images = torch.from_numpy(images)
        self.labels = torch.from_numpy(labels)
        self.transform = transform

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        image = self.images[i]
        return (image if self.transform is None else self.transform(image)), self.labels[i]


def augmentation(config: AugmentationConfig, size: tuple[int, int]) -> v2.Transform | None:
    """The configured random changes for images of (height, width), or None."""
    steps: list[v2.Transform] = []
    if config.flip:
        steps.append(v2.RandomHorizontalFlip())
    if config.rotation:
        steps.append(v2.RandomRotation(config.rotation))
    if config.crop_padding:
        steps.append(v2.RandomCrop(size, padding=config.crop_padding))
    return v2.Compose(steps) if steps else None


def mixup(images: Tensor, labels: Tensor, classes: int, alpha: float) -> tuple[Tensor, Tensor]:
    """Mix each image with another one of the batch, rounded to 8 bits, and the labels `[B]` to shares `[B, classes]`.

    Source: Zhang et al., "mixup", ICLR 2018; one share a batch, drawn from Beta(alpha, alpha).
    """
    share = torch.distributions.Beta(alpha, alpha).sample().to(images.device)
    order = torch.randperm(len(images), device=images.device)
    mixed = (share * images + (1 - share) * images[order]).round().to(torch.uint8)
    one_hot = torch.nn.functional.one_hot(labels, classes).float()
    return mixed, share * one_hot + (1 - share) * one_hot[order]
