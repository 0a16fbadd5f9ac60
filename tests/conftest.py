"""Fixtures that cost seconds, made once."""

from __future__ import annotations

import pytest
import torch
from runs import tiny_config

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def digits():
    from asnn_deploy.data import load_data

    return load_data("digits")


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory, digits):
    """A trained tiny network's run folder; do not change it (copy it)."""
    from asnn_deploy.training.train import train

    folder = tmp_path_factory.mktemp("runs") / "run"
    train(tiny_config(), digits, folder, progress=False)
    return folder
