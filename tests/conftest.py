"""Threads and limits of the whole suite, and fixtures that cost seconds, made once in each worker."""

from __future__ import annotations

import os

if "PYTEST_XDIST_WORKER" in os.environ:  # workers share the cores; what they start inherits it
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import hypothesis
import pytest
import torch
from runs import tiny_config

torch.set_num_threads(1)

hypothesis.settings.register_profile(
    "suite", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)  # what a machine takes is not a property of the code
hypothesis.settings.load_profile("suite")


@pytest.fixture(scope="session")
def digits():
    from asnn_deploy.input.data import load_data

    return load_data("digits")


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory, digits):
    """A trained tiny network's run folder; do not change it (copy it)."""
    from asnn_deploy.training.train import train

    folder = tmp_path_factory.mktemp("runs") / "run"
    train(tiny_config(), digits, folder, progress=False)
    return folder
