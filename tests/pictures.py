"""Tiny pictures in folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def painted(file: Path, seed: int = 0, size: tuple[int, int] = (8, 8), colour: bool = False) -> Path:
    """Write a picture of noise, (height, width), in the file's format; the folder is made."""
    file.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (*size, 3) if colour else size, dtype=np.uint8)
    Image.fromarray(noise).save(file)
    return file


def class_folders(root: Path, classes=("cat", "dog"), count: int = 5, **options) -> Path:
    """Make `count` pictures for each class."""
    for c, name in enumerate(classes):
        for n in range(count):
            painted(root / name / f"{n}.png", 100 * c + n, **options)
    return root
