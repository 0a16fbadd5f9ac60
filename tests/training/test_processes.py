"""Two processes on the CPU train what one does."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys

import pytest
import torch
from runs import tiny_config
from safetensors.torch import load_file

from asnn_deploy.errors import ConfigError
from asnn_deploy.training import processes
from asnn_deploy.training.train import train

SETTINGS = {
    "training.sync_batch_norm": "true",
    "model.widths": "[6,8]",
    "model.hidden": 16,
    "time_steps": 3,
    "training.batch_size": 51,  # which two processes cannot share evenly, nor does it divide the samples
    "training.precision": 64,
    "augmentation.rotation": 20,
    "augmentation.crop_padding": 1,
    "quantization.samples": 32,
}
START = {
    "alone": ([], []),
    "devices": ([], ["--devices", "2"]),
    "torchrun": (
        ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "29731"],
        ["--devices", "2"],
    ),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The folders, and a script that is started as users' scripts are."""
    folder = tmp_path_factory.mktemp("processes")
    (folder / "script.py").write_text("from asnn_deploy.cli import main\nmain()\n")
    return folder


def trained(folder, how, more=(), name=None):
    before, options = START[how]
    settings = [word for key, value in SETTINGS.items() for word in ("--set", f"{key}={value}")]
    run = ["train", "--preset", "digits-lenet", "--epochs", "2", "--device", "cpu", *settings, *options, *more]
    out = folder / (name or how)
    result = subprocess.run(
        [sys.executable, *before, str(folder / "script.py"), *run, "--out", str(out)],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert result.returncode == 0, result.stderr
    assert "Traceback" not in result.stderr
    with open(out / "metrics.csv", newline="") as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def alone(runs):
    return trained(runs, "alone")


@pytest.mark.parametrize("how", ["devices", "torchrun"])
def test_two_processes_have_the_curve_of_one(how, runs, alone):
    """Losses, accuracies, gradient norms; augmented images, parts of unequal size, whole-set metrics."""
    together = trained(runs, how)
    assert len(alone) == len(together) == 2
    for one, two in zip(alone, together):
        assert one.keys() == two.keys()
        for key, value in one.items():
            assert two[key] == pytest.approx(value, rel=1e-5), key
    first, second = (json.loads((runs / name / "summary.json").read_text()) for name in ("alone", how))
    assert first["test_accuracy"] == second["test_accuracy"]
    assert (runs / how / "rates.csv").exists()


def test_sharing_out_the_weights_changes_nothing(runs, alone):
    """Resumed, with signals computed again, and with a price too low to be felt on operations, which are counted."""
    options = ["--set", "training.sharded=true", "--set", "training.segment=2", "--set", "loss.sop_penalty=1e-9"]
    trained(runs, "devices", [*options, "--epochs", "1"], "sharded")
    together = trained(runs, "devices", [*options, "--resume", "--epochs", "2"], "sharded")
    assert len(together) == 2
    for one, two in zip(alone, together):
        assert one.keys() | {"traffic"} == two.keys()
        for key, value in one.items():
            assert two[key] == pytest.approx(value, rel=1e-5), key
    one, other = (load_file(runs / name / "model.safetensors") for name in ("alone", "sharded"))
    for key, value in one.items():
        torch.testing.assert_close(other[key], value, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"training__devices": 1}, "there is one device, and nothing to share out; use --devices"),
        ({"quantization__bits": 4}, "quantization.bits needs all weights in one place"),
        ({"monitor__energy": True}, "monitor.energy needs all weights in one place"),
    ],
)
def test_what_does_not_go_with_shared_out_weights(settings, message):
    settings = {"training__devices": 2, "training__device": "cpu", "training__sharded": True} | settings
    with pytest.raises(ConfigError, match=message):
        processes.check_sharded(tiny_config(**settings))


def test_two_processes_resume(runs, alone):
    """They are given the run of one process, and go on; only the first one writes."""
    more = trained(runs, "devices", ["--resume", "--epochs", "3"])
    assert len(more) == 3


def test_more_devices_than_there_are(digits, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(
        ConfigError, match="--devices 2: there is no CUDA device, and the CPU is one device; use --devi"
    ):
        train(tiny_config(training__devices=2), digits, tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ConfigError, match="--devices 2: 1 CUDA device"):
        processes.check_devices(tiny_config(training__devices=2).training)
    with pytest.raises(ConfigError, match="a batch of 4 has less than 2 samples for each"):
        processes.check_devices(
            tiny_config(training__devices=3, training__device="cpu", training__batch_size=4).training
        )


def test_as_many_processes_as_devices(monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "one")
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(ConfigError, match="--devices 1, training.nodes = 2: 4 processes were started from outside"):
        processes.check_devices(tiny_config(training__nodes=2, training__device="cpu").training)
    processes.check_devices(tiny_config(training__nodes=2, training__devices=2, training__device="cpu").training)


def test_bf16_on_a_device_without_it(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "an old card")
    with pytest.raises(
        ConfigError, match="--precision bf16: an old card does not compute in bfloat16; use --precision 32"
    ):
        processes.check_devices(tiny_config(training__precision="bf16").training)


@pytest.mark.parametrize(
    ("environment", "number"),
    [
        ({}, 0),
        ({"RANK": "3", "LOCAL_RANK": "1"}, 3),
        ({"LOCAL_RANK": "1"}, 1),
        ({"SLURM_PROCID": "2", "SLURM_NTASKS": "4", "SLURM_JOB_NAME": "train"}, 2),
        ({"SLURM_PROCID": "2", "SLURM_NTASKS": "4", "SLURM_JOB_NAME": "bash"}, 0),
        ({"SLURM_PROCID": "0", "LOCAL_RANK": "1"}, 1),
    ],
)
def test_the_rank_is_what_the_launcher_says(environment, number, monkeypatch):
    for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID", "SLURM_NTASKS", "SLURM_JOB_NAME", "TORCHELASTIC_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert processes.rank() == number
