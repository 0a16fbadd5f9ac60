"""Training that is killed without warning, at any moment, and resumed."""

from __future__ import annotations

import random
import subprocess
import sys
import time

import pytest
import torch
from safetensors.torch import load_file

EPOCHS = 8
SETTINGS = {
    "model.widths": "[6,8]",
    "model.hidden": 16,
    "time_steps": 3,
    "training.batch_size": 64,
    "augmentation.rotation": 20,
    "augmentation.crop_padding": 1,
    "augmentation.mixup": 1.0,
    "quantization.samples": 32,
}


WITHIN = {"training.checkpoint_minutes": 0.0005, "quantization.bits": 4}
"""Checkpoints within epochs, every 30 ms, of a training whose weight clips are chosen when an epoch begins."""


def command(folder, resume=False, more=None):
    settings = [word for key, value in (SETTINGS | (more or {})).items() for word in ("--set", f"{key}={value}")]
    run = [sys.executable, "-c", "from asnn_deploy.cli import main; main()", "train", "--out", str(folder)]
    return [*run, "--preset", "digits-lenet", "--epochs", str(EPOCHS), *settings, *(["--resume"] if resume else [])]


def whole_run(folder, more):
    """Train without interruption; returns the seconds it took."""
    start = time.perf_counter()
    subprocess.run(command(folder, more=more), check=True, capture_output=True)
    return time.perf_counter() - start


def killed_after(folder, seconds, more):
    """Begin or resume a training, and kill it; returns whether it was still running."""
    resume = (folder / "config.yaml").exists()
    process = subprocess.Popen(command(folder, resume, more), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
    errors = process.communicate()[1].decode()
    assert "error" not in errors, errors
    return process.returncode != 0


def assert_same(whole, cut):
    ours, theirs = (load_file(folder / "model.safetensors") for folder in (cut, whole))
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    for name in ("metrics.csv", "rates.csv"):
        assert (cut / name).read_text() == (whole / name).read_text()


@pytest.mark.parametrize("more", [{}, WITHIN], ids=["each-epoch", "within-epochs"])
@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_kill_minus_nine_loses_nothing_but_what_follows_the_last_checkpoint(kills, more, tmp_path):
    """However often a run is killed, and whenever: it ends with the weights of one that never was."""
    longest, rng = whole_run(tmp_path / "whole", more), random.Random(kills)
    killed = runs = 0
    while killed < kills:
        cut, runs = tmp_path / f"cut{runs}", runs + 1
        while killed < kills and not (cut / "summary.json").exists():
            killed += killed_after(cut, rng.uniform(0.2, 0.95) * longest, more)
        if not (cut / "summary.json").exists():
            subprocess.run(command(cut, (cut / "config.yaml").exists(), more), check=True, capture_output=True)
        assert_same(tmp_path / "whole", cut)
