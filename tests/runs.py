"""Tiny trainings for tests."""

from __future__ import annotations

from asnn_deploy.config import make_config, merge
from asnn_deploy.presets import preset

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
