"""Checkpoints: within epochs, of other runs, damaged, and on a disk that is full."""

from __future__ import annotations

import csv
import json
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from runs import tiny_config
from safetensors.torch import load_file

from asnn_deploy.errors import BundleError, ConfigError, InputError, TrainingError
from asnn_deploy.training.checkpoint import Checkpoints
from asnn_deploy.training.module import TrainingModule
from asnn_deploy.training.train import train

AGAIN = {"training__epochs": 4}


class Killed(BaseException):
    """What no handler catches."""


def metrics(folder):
    with open(folder / "metrics.csv", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def whole(digits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "run"
    train(tiny_config(**AGAIN, augmentation__mixup=1.0, augmentation__rotation=10), digits, folder)
    return folder


@pytest.mark.parametrize("place", [(0, 1), (1, 5), (2, 0), (3, 43)])
def test_the_middle_of_an_epoch_is_resumed_bit_for_bit(place, whole, digits, tmp_path, monkeypatch):
    """Killed behind a checkpoint after every batch, whichever it is: the first, the last but one, any."""
    config = tiny_config(**AGAIN, augmentation__mixup=1.0, augmentation__rotation=10, training__checkpoint_minutes=0)
    saved = Checkpoints.on_train_batch_end

    def killed(self, trainer, module, outputs, batch, index):
        saved(self, trainer, module, outputs, batch, index)
        if (trainer.current_epoch, index) == place:
            raise Killed

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(Checkpoints, "on_train_batch_end", killed)
        train(config, digits, tmp_path / "cut")
    begun = []
    step = TrainingModule.training_step
    with monkeypatch.context() as patched:
        patched.setattr(
            TrainingModule,
            "training_step",
            lambda self, batch, index: (begun.append((self.current_epoch, index)), step(self, batch, index))[1],
        )
        train(config, digits, tmp_path / "cut", resume=True)
    assert begun[0] == (place[0], place[1] + 1), "nothing is trained twice"
    ours, theirs = (load_file(folder / "model.safetensors") for folder in (tmp_path / "cut", whole))
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    assert metrics(tmp_path / "cut") == metrics(whole)


@pytest.fixture
def copied(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "run")
    (tmp_path / "run" / "summary.json").unlink()
    return tmp_path / "run"


def resumed(folder, digits, **changes):
    train(
        tiny_config(**{**AGAIN, "augmentation__mixup": 1.0, "augmentation__rotation": 10, **changes}),
        digits,
        folder,
        resume=True,
    )


def test_a_truncated_checkpoint_is_refused_and_the_one_before_offered(copied, whole, digits):
    last = copied / "checkpoints" / "last.ckpt"
    last.write_bytes(last.read_bytes()[:5000])
    with pytest.raises(BundleError) as caught:
        resumed(copied, digits)
    assert "last.ckpt: damaged (" in str(caught.value)
    assert str(caught.value).endswith(
        "the checkpoint before it, previous.ckpt of epoch 2, is whole: delete last.ckpt, and resuming continues from there"
    )
    last.unlink()
    resumed(copied, digits)
    ours, theirs = (load_file(folder / "model.safetensors") for folder in (copied, whole))
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    for name in ("last", "previous"):
        (copied / "checkpoints" / f"{name}.ckpt").write_bytes(b"nothing")
    with pytest.raises(BundleError, match="previous.ckpt is damaged too; train into another folder"):
        resumed(copied, digits)


def changed(folder, change):
    path = folder / "checkpoints" / "last.ckpt"
    checkpoint = torch.load(path, weights_only=True)
    change(checkpoint)
    torch.save(checkpoint, path)


def test_a_checkpoint_of_another_version_network_or_seed_is_refused(copied, digits):
    with pytest.raises(ConfigError, match="trained with training.seed = 0, now 1; resume with the same"):
        resumed(copied, digits, training__seed=1)
    changed(copied, lambda c: c["asnn-deploy"].update(seed=5))
    with pytest.raises(ConfigError, match="its random numbers come from seed 5, the run's from 0"):
        resumed(copied, digits)
    changed(copied, lambda c: c["asnn-deploy"].update(seed=0, format=99))
    with pytest.raises(
        BundleError, match="written by another version \\(checkpoint format 99, this version continues 3"
    ):
        resumed(copied, digits)
    changed(copied, lambda c: c.pop("asnn-deploy"))
    with pytest.raises(BundleError, match="checkpoint format unknown"):
        resumed(copied, digits)


def test_a_checkpoint_of_another_neuron_is_refused(copied, digits):
    """Its weights have the same names and shapes."""
    changed(copied, lambda c: c["asnn-deploy"]["network"].update({"model.neuron": "lif"}))
    with pytest.raises(BundleError, match="of another network: model.neuron is lif there, asnn in config.yaml"):
        resumed(copied, digits)


@pytest.mark.parametrize("key", ["loops", "optimizer_states", "batches_done", "trained", "callbacks"])
def test_a_checkpoint_that_lacks_something_is_damaged(key, copied, digits):
    changed(copied, lambda c: (c.update(epoch_ended=False), c.pop(key)))
    with pytest.raises(BundleError, match=f"last.ckpt: damaged .it lacks '{key}'"):
        resumed(copied, digits)


def test_weights_that_are_no_numbers_are_not_kept(copied, digits, monkeypatch):
    """Weight decay, or the last step of an epoch, may make them so, though loss and gradients were numbers."""
    before = (copied / "checkpoints" / "last.ckpt").read_bytes()

    start = TrainingModule.on_validation_epoch_start

    def poisoned(self):
        start(self)
        self.network.layers["fc1_synapses"].weights[0].weight.data[0, 0] = float("inf")

    monkeypatch.setattr(TrainingModule, "on_validation_epoch_start", poisoned)
    with pytest.raises(TrainingError, match="diverged: 'fc1_synapses.weights.0.weight' holds NaN or infinity at epoch"):
        resumed(copied, digits, training__epochs=5)
    assert (copied / "checkpoints" / "last.ckpt").read_bytes() == before


def test_a_checkpoint_of_another_architecture_is_refused(copied, digits):
    key = "network.layers.fc1_synapses.weights.0.weight"
    changed(copied, lambda c: c["state_dict"].update({key: torch.zeros(3, 3)}))
    with pytest.raises(
        BundleError,
        match=r"of another network: 'layers.fc1_synapses.weights.0.weight' is \(3, 3\) there, \(16, 32\) in",
    ):
        resumed(copied, digits)


def test_a_longer_run_that_was_killed_behind_its_last_checkpoint_is_finished(copied, digits):
    """Its summary is still the one of the shorter run."""
    resumed(copied, digits)
    summary = json.loads((copied / "summary.json").read_text())
    resumed(copied, digits, training__epochs=summary["epochs"] + 1)
    (copied / "summary.json").write_text(json.dumps(summary))
    resumed(copied, digits, training__epochs=summary["epochs"] + 1)
    assert json.loads((copied / "summary.json").read_text())["epochs"] == summary["epochs"] + 1
    with pytest.raises(ConfigError, match="has its .* epochs already"):
        resumed(copied, digits, training__epochs=summary["epochs"] + 1)


def test_a_batch_size_may_change_between_epochs_and_not_within_one(copied, digits):
    changed(copied, lambda c: c.update(epoch_ended=False))
    with pytest.raises(ConfigError, match="in the middle of an epoch with training.batch_size = 32, now 64"):
        resumed(copied, digits, training__batch_size=64, training__epochs=5)
    with pytest.raises(ConfigError, match="in the middle of an epoch with training.limit = None, now 900"):
        resumed(copied, digits, training__limit=900, training__epochs=5)
    changed(copied, lambda c: c.update(epoch_ended=True))
    resumed(copied, digits, training__batch_size=64, training__epochs=5)
    assert len(metrics(copied)) == 5


def test_a_folder_that_cannot_be_made_is_one_line(digits):
    with pytest.raises(InputError, match="/proc/run: cannot be written"):
        train(tiny_config(), digits, Path("/proc/run"))


def test_a_full_disk_is_one_line_and_the_last_checkpoint_stays(whole, tmp_path):
    """Files that may not grow stand for a disk that is full."""
    shutil.copytree(whole, tmp_path / "run")
    last = tmp_path / "run" / "checkpoints" / "last.ckpt"
    before = last.read_bytes()
    code = "import sys; from asnn_deploy.cli import run; sys.exit(run(sys.argv[1:]))"  # without progress
    run = [sys.executable, "-c", code, "train", "--resume", "--epochs", "6"]
    result = subprocess.run(
        [*run, "--out", str(tmp_path / "run")],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, len(before) // 2)),
    )
    assert result.returncode == 2, result.stderr
    (line,) = [line for line in result.stderr.splitlines() if line]
    assert line.startswith(f"error: {last}: cannot be written (File too large); free space")
    assert last.read_bytes() == before
    assert sorted(path.name for path in last.parent.iterdir()) == ["last.ckpt", "previous.ckpt"]
