"""No command is silent for long: whatever lasts is a phase with a name, which is shown on a terminal and in a pipe."""

import json
import shutil
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from reference_lenet import state_dict
from terminals import shown

from asnn_deploy.cli import COMMANDS
from asnn_deploy.deploy.registry import TARGETS
from asnn_deploy.util import progress
from asnn_deploy.util.progress_lines import PATIENCE

CASE = Path(__file__).parents[2] / "conformance" / "cases" / "snntorch-leaky-none"
TINY = ["--set", "model.widths=[4, 4]", "--set", "quantization.samples=8", "--train-limit", 64, "--epochs", 2]
FEW = ["--data", "digits", "--limit", 6]
LAVA = [] if TARGETS.reason("lava") else ["--target", "lava"]
RUNS = {
    "train": ["--preset", "digits-lenet", *TINY, "--device", "cpu", "--out", "new"],
    "import": ["lenet.pt", "--kind", "asnn-reference", "--coding", "time", "--out", "new"],
    "export": ["run", "--target", "onnx", "--out", "new"],
    "run": ["run", "--target", "reference", *FEW],
    "verify": ["run", "--target", "nir", *LAVA, *FEW],
    "quantize": ["run", "--bits", "4", *FEW],
    "sweep": ["run", "--bits", "4", *FEW, "--out", "new"],
    "match": ["network.nir", "--recording", "recording.npz"],
    "report": ["run", *FEW, "--out", "new"],
    "compare": ["report", "report", "--out", "new"],
    "fit": ["run", "--chip", "loihi2"],
    "inspect": ["run"],
}
"""A run of every command, in the folder of `place`; `quickstart` is made of the others, `list` does nothing that lasts."""
LONGEST, SHARE = 2.0, 0.15
"""Seconds that may pass without a name, imports excepted; or that share of the whole, if the machine is busy."""


@pytest.fixture(scope="module")
def made(tmp_path_factory, run_folder):
    folder = tmp_path_factory.mktemp("made")
    shutil.copytree(run_folder, folder / "run")
    torch.save(state_dict(0, "time"), folder / "lenet.pt")
    for name in ("network.nir", "recording.npz"):
        shutil.copy(CASE / name, folder / name)
    assert shown(["report", folder / "run", *FEW, "--out", folder / "report"], terminal=False).code == 0
    return folder


@pytest.fixture
def place(made, tmp_path, monkeypatch):
    """The folder to run in; what is written goes to a new one."""
    for entry in made.iterdir():
        (tmp_path / entry.name).symlink_to(entry)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def slow(monkeypatch):
    """The names of phases that are made to last; the first of a command."""
    names, original = [], progress._under_way

    @contextmanager
    def under_way(begun):
        with original(begun):
            if begun.name and not names:
                names.append(begun.name)
                time.sleep(PATIENCE + 5 * progress.LOOK)
            yield

    monkeypatch.setattr(progress, "_under_way", under_way)
    return names


def test_there_is_a_run_of_every_command():
    assert {*RUNS, "list", "quickstart"} == set(COMMANDS)


@pytest.mark.parametrize("terminal", [True, False], ids=["terminal", "pipe"])
@pytest.mark.parametrize("command", RUNS)
def test_what_lasts_is_named(command, terminal, place, slow):
    found = shown([command, *RUNS[command]], terminal)
    assert found.code == 0, found.err
    assert slow, "the command has phases"
    assert slow[0] in found.err
    assert slow[0] not in found.out
    if not terminal:
        assert "\r" not in found.err
        assert "\x1b" not in found.err
        assert all(line == line.rstrip() for line in found.err.splitlines())
    assert found.unnamed <= max(LONGEST, SHARE * found.seconds)


@pytest.mark.parametrize("terminal", [True, False], ids=["terminal", "pipe"])
def test_epochs_are_told_and_stdout_is_left_to_the_figures(place, terminal):
    found = shown(["train", *RUNS["train"], "--json", "-"], terminal)
    assert found.code == 0
    assert json.loads(found.out.replace("\r", ""))["epochs"] == 2
    told = [line for line in found.err.splitlines() if line.startswith("train: epoch ")]
    assert [line.split(",")[0] for line in told] == ([] if terminal else ["train: epoch 1 of 2", "train: epoch 2 of 2"])


def test_the_error_is_the_last_that_is_said(place, slow):
    found = shown(["run", "run", "--target", "reference", "--data", "npz:absent.npz"], terminal=False)
    assert found.code == 2
    *_, last = found.err.splitlines()
    assert last.startswith("error: ")
