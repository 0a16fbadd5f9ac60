"""The papers' networks from their presets, untrained, with batch statistics of made-up pictures so that they spike."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.models.lowering import lower
from asnn_deploy.training.config import make_config, merge
from asnn_deploy.training.network import build_model
from asnn_deploy.training.presets import preset

CLASSES, SETTLING, ROUNDS = 10, 8, 20
Array = np.ndarray[Any, Any]


def pictures(count: int, shape: tuple[int, ...], seed: int) -> Array:
    """Smooth random images, uint8 `[count, C, H, W]`: noise of a quarter of the size, enlarged."""
    channels, height, width = shape
    coarse = torch.from_numpy(np.random.default_rng(seed).random((count, channels, height // 4, width // 4)))
    large = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear", align_corners=False)
    return (255 * large).round().to(torch.uint8).numpy()


def untrained(name: str, time_steps: int, seed: int = 0, size: int = 32, rounds: int = ROUNDS) -> DeployGraph:
    """A preset's network for RGB images of `size` x `size`, lowered; after no rounds it is silent, where sizes alone
    matter."""
    config = make_config(merge(preset(name), {"time_steps": time_steps}), name)
    torch.manual_seed(seed)
    network = build_model(config, (3, size, size), CLASSES)
    images = torch.from_numpy(pictures(SETTLING, (3, size, size), seed))
    with torch.no_grad():
        for _ in range(rounds):
            network(images)
    return lower(network.eval())
