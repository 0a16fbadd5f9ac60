"""Threads and limits of the whole suite, and fixtures that cost seconds, made once in each worker."""

from __future__ import annotations

import os
import sys
import time

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
    train(tiny_config(), digits, folder)
    return folder


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Installs examples of CONTRIBUTING.md for this process, and for others given `installed.folder` (contributed.asnn)."""
    from contributed import found_again, install, module_of

    def add(example, name=None, text=None):
        names.append(module_of(example))
        parts = install(add.folder, example, name, text)
        found_again(monkeypatch, parts)
        return parts

    names, add.folder = [], tmp_path / "installed"
    add.folder.mkdir()
    monkeypatch.syspath_prepend(str(add.folder))
    yield add
    for name in names:
        sys.modules.pop(name, None)


@pytest.fixture
def clock(monkeypatch):
    """A clock that goes on when told to, `clock.now` in seconds; whoever asks the time is told its."""

    class Clock:
        now = 0.0

        def __call__(self):
            return self.now

    clock = Clock()
    for name in ("monotonic", "perf_counter"):
        monkeypatch.setattr(time, name, clock)
    return clock
