"""Presets: named configurations to start from. The shape of images and the number of classes are those of the data."""

from __future__ import annotations

from typing import Any

from asnn_deploy.errors import ConfigError
from asnn_deploy.util.suggest import unknown_name

# Flips, rotation to 25 degrees, crop with padding 5, mixup until epoch 145 of 200: the reference code of ASNN.
CIFAR_AUGMENTATION = {"flip": True, "rotation": 25.0, "crop_padding": 5, "mixup": 1.0, "mixup_until": 145 / 200}

PRESETS: dict[str, dict[str, Any]] = {
    "digits-lenet": {
        "data": "digits",
        "coding": "hybrid-latency",
        "time_steps": 5,
        "model": {"name": "lenet", "widths": [24, 48, 64], "hidden": 128},
        "training": {"epochs": 20, "batch_size": 32, "threads": 1},
    },
    "fashion-lenet": {
        "data": "fashion-mnist:data",
        "coding": "hybrid-latency",
        "time_steps": 7,
        "model": {"name": "lenet", "widths": [32, 48, 64], "hidden": 256},
        "training": {"epochs": 30, "batch_size": 128},
        "augmentation": {"flip": True, "crop_padding": 2},
    },
    "cifar-lenet": {
        "data": "cifar100:data",
        "coding": "hybrid-latency",
        "time_steps": 7,
        "model": {"name": "lenet", "widths": [32, 48, 64], "hidden": 256},
        "training": {"epochs": 200, "batch_size": 128},
        "augmentation": CIFAR_AUGMENTATION,
    },
}


# The small versions train on digits in about a minute on two cores.
PRESETS |= {
    "cifar-sew-resnet18": {
        "data": "cifar10:data",
        "coding": "hybrid-latency",
        "time_steps": 5,
        "model": {"name": "sew-resnet", "widths": [64, 128, 256, 512], "depth": 2},
        "training": {"epochs": 200, "batch_size": 128},
        "augmentation": CIFAR_AUGMENTATION,
    },
    "cifar-spikformer": {
        "data": "cifar10:data",
        "coding": "hybrid-latency",
        "time_steps": 5,
        "model": {
            "name": "spikformer",
            "widths": [48, 96, 192, 384],
            "depth": 4,
            "heads": 12,
            "hidden": 1536,
            "patch": 4,
        },
        "training": {"epochs": 300, "batch_size": 128, "learning_rate": 5e-4},
        "augmentation": CIFAR_AUGMENTATION,
    },
    "digits-sew-resnet": {
        "data": "digits",
        "coding": "hybrid-latency",
        "time_steps": 4,
        "model": {
            "name": "sew-resnet",
            "widths": [16, 32, 64],
            "depth": 1,
        },
        "training": {"epochs": 12, "batch_size": 32, "threads": 1},
    },
    "digits-spikformer": {
        "data": "digits",
        "coding": "hybrid-latency",
        "time_steps": 4,
        "model": {
            "name": "spikformer",
            "widths": [16, 32, 48, 64],
            "depth": 2,
            "heads": 4,
            "hidden": 128,
            "patch": 2,
        },
        "training": {"epochs": 12, "batch_size": 32, "learning_rate": 5e-3, "threads": 1},
    },
}


def preset(name: str) -> dict[str, Any]:
    """The named preset's values. Raises ConfigError with the nearest name."""
    if name not in PRESETS:
        raise ConfigError(unknown_name("preset", name, PRESETS))
    return {"preset": name, **PRESETS[name]}
