"""Two processes on the CPU train what one does."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys

import psutil
import pytest
import torch
from runs import tiny_config
from safetensors.torch import load_file

from asnn_deploy.errors import ConfigError
from asnn_deploy.training import processes, ranks
from asnn_deploy.training.train import train

SETTINGS = {
    "training.sync_batch_norm": "true",
    "training.batch_norm": "step",  # whose statistics segments of steps do not change
    "model.widths": "[6,8]",
    "model.hidden": 16,
    "time_steps": 3,
    "training.batch_size": 51,  # which two processes cannot share evenly, nor does it divide the samples
    "training.precision": 64,
    "training.validation": 0.1,
    "training.deploy": "best",
    "augmentation.rotation": 20,
    "augmentation.crop_padding": 1,
    "quantization.samples": 32,
}
START = {
    "alone": ([], []),
    "devices": ([], ["--devices", "2"]),
    "torchrun": (
        ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"],
        ["--devices", "2"],
    ),
}


SCRIPT = """
import os
from asnn_deploy.cli import main
from asnn_deploy.training.module import TrainingModule

step = TrainingModule.training_step

def cut(self, batch, index):
    if os.environ.get("CUT") and self.current_epoch == 1 and index == 9:
        os._exit(9)
    if os.environ.get("POISON") == os.environ.get("LOCAL_RANK", "0") and index == 2:
        self.network.layers["readout"].scale.data *= float("nan")
    return step(self, batch, index)

TrainingModule.training_step = cut
main()
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The folders, and a script that is started as users' scripts are, but may be killed in mid-epoch, or diverge."""
    folder = tmp_path_factory.mktemp("processes")
    (folder / "script.py").write_text(SCRIPT)
    return folder


def started(folder, how, more, name, **environment):
    before, options = START[how]
    settings = [word for key, value in SETTINGS.items() for word in ("--set", f"{key}={value}")]
    run = ["train", "--preset", "digits-lenet", "--epochs", "2", "--device", "cpu", *settings, *options, *more]
    return subprocess.run(
        [sys.executable, *before, str(folder / "script.py"), *run, "--out", str(folder / name)],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
    )


def trained(folder, how, more=(), name=None):
    result = started(folder, how, more, name or how)
    assert result.returncode == 0, result.stderr
    assert "Traceback" not in result.stderr
    with open(folder / (name or how) / "metrics.csv", newline="") as file:
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


SHARDED = ["--set", "training.sharded=true", "--set", "training.segment=2", "--set", "loss.sop_penalty=1e-9"]
"""Also with signals computed again, and with a price too low to be felt on operations, which are counted."""


@pytest.mark.parametrize(
    ("first", "then", "more"),
    [pytest.param("alone", "devices", [], marks=pytest.mark.slow), ("devices", "devices", SHARDED)],
)
def test_what_is_killed_in_mid_epoch_goes_on_in_two_processes(first, then, more, runs, alone):
    """With a checkpoint behind every batch: they end as one process that was never killed, in their metrics too."""
    name, more = f"{first}-{then}", [*more, "--set", "training.checkpoint_minutes=0"]
    assert started(runs, first, more, name, CUT="1").returncode != 0
    together = trained(runs, then, [*more, "--resume"], name)
    assert len(together) == 2
    for one, two in zip(alone, together):
        assert two.keys() == one.keys() | ({"traffic"} if "loss.sop_penalty=1e-9" in more else set())
        for key, value in one.items():
            assert two[key] == pytest.approx(value, rel=1e-5), key
    one, other = (load_file(runs / which / "model.safetensors") for which in ("alone", name))
    for key, value in one.items():
        torch.testing.assert_close(other[key], value, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("poisoned", [pytest.param("0", marks=pytest.mark.slow), "1"])
def test_where_one_process_diverges_all_end_with_one_line(poisoned, runs):
    """Whichever it is, and none stays behind."""
    result = started(runs, "devices", [], f"poisoned{poisoned}", POISON=poisoned)
    lines = [line for line in result.stderr.splitlines() if "error" in line]
    assert result.returncode == 3
    assert len(lines) == 1
    assert lines[0].startswith("error: the training diverged: ")
    script = str(runs / "script.py")
    assert not [p for p in psutil.process_iter(["cmdline"]) if script in (p.info["cmdline"] or [])]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"training__devices": 1}, "there is one device, and nothing to share out; raise training.devices"),
        ({"quantization__bits": 4}, "quantization.bits needs all weights in one place"),
        ({"monitor__energy": True}, "monitor.energy needs all weights in one place"),
    ],
)
def test_what_does_not_go_with_shared_out_weights(settings, message):
    settings = {"training__devices": 2, "training__device": "cpu", "training__sharded": True} | settings
    with pytest.raises(ConfigError, match=message):
        processes.check_sharded(tiny_config(**settings))


def test_more_devices_than_there_are(digits, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(
        ConfigError, match="training.devices = 2: there is no CUDA device, and the CPU is one device; set training.dev"
    ):
        train(tiny_config(training__devices=2), digits, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ConfigError, match="training.devices = 2: 1 CUDA device"):
        processes.check_devices(tiny_config(training__devices=2).training)
    with pytest.raises(ConfigError, match="a batch of 4 has less than 2 samples for each"):
        processes.check_devices(
            tiny_config(training__devices=3, training__device="cpu", training__batch_size=4).training
        )
    with pytest.raises(ConfigError, match="training.nodes = 2: nothing has started processes on other machines"):
        processes.check_devices(tiny_config(training__nodes=2, training__device="cpu").training)


def test_as_many_processes_as_devices(monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "one")
    monkeypatch.setenv("WORLD_SIZE", "4")
    few = {"training__nodes": 2, "training__devices": 2, "training__device": "cpu", "training__batch_size": 7}
    with pytest.raises(ConfigError, match="training.nodes = 2: a batch of 7 has less than 2 samples for each"):
        processes.check_devices(tiny_config(**few).training)
    with pytest.raises(
        ConfigError, match="training.devices = 1, training.nodes = 2: 4 processes were started from outside"
    ):
        processes.check_devices(tiny_config(training__nodes=2, training__device="cpu").training)
    processes.check_devices(tiny_config(training__nodes=2, training__devices=2, training__device="cpu").training)


def test_bf16_on_a_device_without_it(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "an old card")
    with pytest.raises(
        ConfigError,
        match="training.precision = bf16: an old card does not compute in bfloat16; set training.precision = 32",
    ):
        processes.check_devices(tiny_config(training__precision="bf16").training)


@pytest.mark.parametrize(
    ("environment", "number"),
    [
        ({}, 0),
        ({"RANK": "3"}, 0),  # some batch systems set it
        ({"RANK": "3", "LOCAL_RANK": "1", "TORCHELASTIC_RUN_ID": "one", "WORLD_SIZE": "4"}, 3),
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
    assert ranks.rank() == number
