"""Tiny trainings for tests."""

from __future__ import annotations

import torch
from torch import nn

from asnn_deploy.training.config import make_config, merge
from asnn_deploy.training.presets import preset

TINY = {
    "model.widths": [6, 8],
    "model.hidden": 16,
    "time_steps": 3,
    "training.epochs": 3,
    "quantization.samples": 32,
}


def tiny_config(**changes):
    """digits-lenet, made small; changes are dotted keys with `__` for the dot."""
    dotted = {key.replace("__", "."): value for key, value in changes.items()}
    return make_config(merge(preset("digits-lenet"), TINY | dotted), "tiny")


def warmed_up(network, shape, count):
    """A network that spikes, in evaluation: random leaks, gains and scales, statistics of the random images returned."""
    for name, parameter in network.named_parameters():
        if name.endswith(("leak", "scale")):
            nn.init.uniform_(parameter, 0.3, 0.9)
        elif name.endswith("gain"):
            nn.init.uniform_(parameter, 0.5, 2.5)
    images = torch.randint(0, 256, (count, *shape), dtype=torch.uint8)
    for _ in range(30):
        network(images)
    return network.eval(), images
