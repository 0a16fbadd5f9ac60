"""Augmentation of whole batches against torchvision, image by image; mixup against its equation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchvision.transforms import InterpolationMode
from torchvision.transforms import v2 as torchvision

from asnn_deploy.training.augment import Images, augmentation, cropped, flipped, mixup, rotated
from asnn_deploy.training.config import AugmentationConfig, make_config
from asnn_deploy.training.presets import CIFAR_AUGMENTATION, preset


def pictures(count=20, shape=(3, 9, 12), seed=0):
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (count, *shape)).astype(np.uint8))


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 8, 8), (2, 9, 12)])
def test_rotation_is_torchvisions(shape):
    images = pictures(shape=shape)
    degrees = torch.linspace(-25, 25, len(images))
    expected = torch.stack(
        [
            torchvision.functional.rotate(image, float(angle), InterpolationMode.NEAREST)
            for image, angle in zip(images, degrees)
        ]
    )
    # A place on the edge between two pixels may fall to either: float32 rounds the grids' equations apart.
    assert (rotated(images, degrees) != expected).float().mean() < 0.002


def test_crop_and_flip_are_torchvisions():
    images, generator = pictures(), torch.Generator().manual_seed(0)
    top, left = (torch.randint(11, (len(images),), generator=generator) for _ in range(2))
    padded = torchvision.functional.pad(images, [5])
    expected = [torchvision.functional.crop(x, int(y), int(z), 9, 12) for x, y, z in zip(padded, top, left)]
    assert torch.equal(cropped(images, 5, top, left), torch.stack(expected))
    which = torch.arange(len(images)) % 3 == 0
    expected = [torchvision.functional.hflip(x) if flip else x for x, flip in zip(images, which)]
    assert torch.equal(flipped(images, which), torch.stack(expected))


def test_each_image_changes_in_its_own_way_and_the_same_seed_in_the_same():
    change = augmentation(AugmentationConfig(**{k: v for k, v in CIFAR_AUGMENTATION.items() if "mixup" not in k}))
    images = pictures(1, (3, 32, 32)).repeat(16, 1, 1, 1)
    first = change(images, torch.Generator().manual_seed(3), 16, slice(0, 16))
    assert torch.equal(change(images, torch.Generator().manual_seed(3), 16, slice(0, 16)), first)
    part = change(images[5:9], torch.Generator().manual_seed(3), 16, slice(5, 9))
    assert torch.equal(part, first[5:9]), "who works on a part of a batch changes it as the whole would be"
    assert len({image.numpy().tobytes() for image in first}) == 16
    assert first.dtype == torch.uint8


def test_random_parameters_lie_in_their_ranges():
    """By what they do to images that say where each pixel came from."""
    generator = torch.Generator().manual_seed(0)
    rows = torch.arange(10, 50, dtype=torch.uint8).reshape(1, 1, 40, 1).repeat(500, 1, 1, 40)
    shifts = (
        augmentation(AugmentationConfig(crop_padding=5))(rows, generator, 500, slice(0, 500))[:, 0, 20, 20].int() - 30
    )
    assert set(shifts.tolist()) == set(range(-5, 6))
    columns = rows.transpose(-1, -2)
    mirrored = augmentation(AugmentationConfig(flip=True))(columns, generator, 500, slice(0, 500))[:, 0, 0, 0] == 49
    assert 0.4 < mirrored.float().mean() < 0.6


def test_none_is_none_and_batches_are_drawn_whole():
    assert augmentation(AugmentationConfig()) is None
    images = pictures()
    drawn, labels, share = Images(images.numpy(), np.arange(20)).__getitems__([3, 1])
    assert torch.equal(drawn, images[[3, 1]])
    assert (labels.tolist(), share) == ([3, 1], 1)


@pytest.mark.parametrize("parts", [2, 3])
def test_the_parts_of_a_batch_are_the_batch(parts):
    images = pictures()
    change = augmentation(AugmentationConfig(flip=True, crop_padding=2))
    whole = Images(images.numpy(), np.arange(20), change, 7).__getitems__([8, 3, 5, 1, 0, 2, 9])
    each = [Images(images.numpy(), np.arange(20), change, 7, (i, parts)) for i in range(parts)]
    found = [part.__getitems__([8, 3, 5, 1, 0, 2, 9]) for part in each]
    assert torch.equal(torch.cat([images for images, _, _ in found]), whole[0])
    assert torch.equal(torch.cat([labels for _, labels, _ in found]), whole[1])
    assert [share for _, _, share in found] == [len(labels) * parts / 7 for _, labels, _ in found]


def test_mixup_mixes_images_and_labels_alike():
    rng = np.random.default_rng(0)
    images = torch.tensor([0, 200], dtype=torch.uint8).reshape(2, 1, 1, 1)
    for _ in range(20):
        mixed, shares = mixup(images, torch.tensor([0, 1]), 3, 1.0, rng)
        assert mixed.dtype == torch.uint8
        assert torch.allclose(shares.sum(1), torch.ones(2))
        assert torch.equal(mixed.flatten().double(), (shares[:, 1].double() * 200).round())


def test_the_reference_codes_augmentation_is_the_cifar_presets():
    for name in ("cifar-lenet", "cifar-sew-resnet18", "cifar-spikformer"):
        config = make_config(preset(name), name).augmentation
        assert (config.flip, config.rotation, config.crop_padding) == (True, 25.0, 5)
        assert config.mixup_until == 145 / 200
