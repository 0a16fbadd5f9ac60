"""`asnn-deploy import`: a run folder that every command takes, or one line that says what is wrong."""

import json

import numpy as np
import pytest
import torch
import yaml
from reference_lenet import CODINGS, state_dict

import asnn_deploy
from asnn_deploy.cli import run

KIND = ["--kind", "asnn-reference"]


@pytest.fixture
def checkpoint(tmp_path):
    def save(coding="mix time", change=None, **sizes):
        torch.save(state_dict(1, coding, **sizes) | (change or {}), tmp_path / "lenet.pt")
        return str(tmp_path / "lenet.pt")

    return save


@pytest.fixture
def data(tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (24, 16, 16, 3), dtype=np.uint8), np.arange(24) % 5
    np.savez(tmp_path / "d.npz", x_train=x, x_test=x[:8], y_train=y, y_test=y[:8])
    return f"npz:{tmp_path / 'd.npz'}"


@pytest.mark.parametrize("coding", CODINGS)
def test_a_run_folder_holds_the_network(checkpoint, tmp_path, coding, capsys):
    path, out = checkpoint(coding), tmp_path / "run"
    assert run(["import", path, *KIND, "--coding", coding, "--out", str(out)]) == 0
    assert "there is no --data" in capsys.readouterr().out
    assert asnn_deploy.load(out) == asnn_deploy.from_checkpoint(path, coding=coding)
    summary = json.loads((out / "summary.json").read_text())
    assert summary["imported"] == summary["imported"] | {"coding": coding, "adaptive": True, "file": "lenet.pt"}
    assert run(["run", str(out), "--target", "reference"]) == 2
    assert "remembers no data; give --data" in capsys.readouterr().err


@pytest.mark.parametrize("coding", ["mix time", "direct"])
def test_every_command_takes_it(checkpoint, data, tmp_path, coding, capsys):
    """Spikes are compared by verify: the trained module, batch norm folded, against all others."""
    out, verified = str(tmp_path / "run"), tmp_path / "verify.json"
    command = ["import", checkpoint(coding), *KIND, "--coding", coding, "--no-adaptive", "--data", data, "--out", out]
    assert run(command) == 0
    assert "test accuracy as deployed, T = 5" in capsys.readouterr().out
    assert yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["data"] == data
    targets = ["norse", "reference", "nir", "onnxruntime", "reference-fixed", "norse-fixed"]
    chosen = [text for target in targets for text in ("--target", target)]
    assert run(["verify", out, *chosen, "--limit", "4", "--json", str(verified)]) == 0
    found = json.loads(verified.read_text())["targets"]
    assert set(found) == set(targets)
    assert all(found[name]["spike_mismatches"] == 0 for name in targets if name != "reference-fixed")
    for arguments in (
        ["quantize", out, "--limit", "4"],
        ["inspect", out],
        ["fit", out, "--chip", "generic"],
        ["report", out, "--limit", "4", "--out", str(tmp_path / "report")],
        ["export", out, "--target", "onnx", "--out", str(tmp_path / "bundle"), "--bits", "4"],
    ):
        assert run(arguments) == 0, arguments


REFUSED = {
    "coding": ({}, ["--coding", "mixtime"], "unknown coding of the reference code 'mixtime'; did you mean 'mix time'"),
    "kind": ({}, ["--kind", "asnn-ref"], "unknown kind of checkpoint 'asnn-ref'; did you mean 'asnn-reference'"),
    "key": (
        {"change": {"con4.weight": torch.ones(2)}},
        [],
        "lenet.pt: unknown key of the reference LeNet 'con4.weight'",
    ),
    "size": ({"channels": 1}, [], "images are (3, 16, 16) (channels, height, width), the network takes (1, 16, 16)"),
    "labels": ({"classes": 4}, [], "has 5 classes, the network answers 4"),
    "scale": ({"change": {"scale": torch.ones(4)}}, [], "'scale' has shape [4]"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_one_line_and_nothing_left(checkpoint, data, tmp_path, case, capsys):
    changes, options, message = REFUSED[case]
    out = tmp_path / "run"
    command = ["import", checkpoint(**changes), *KIND, "--coding", "mix time", "--data", data, "--out", str(out)]
    assert run([*command, *options]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert message in err
    assert not out.exists()


def test_a_run_is_not_written_over(checkpoint, tmp_path, run_folder, capsys):
    before = {path: path.read_bytes() for path in run_folder.rglob("*") if path.is_file()}
    command = ["import", checkpoint(), *KIND, "--coding", "mix time", "--out"]
    assert run([*command, str(run_folder)]) == 2
    assert "holds a run already" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in run_folder.rglob("*") if path.is_file()} == before


def test_training_goes_on_from_it_only_on_data(checkpoint, tmp_path, capsys):
    out = str(tmp_path / "run")
    assert run(["import", checkpoint(), *KIND, "--coding", "mix time", "--out", out]) == 0
    assert run(["train", "--start", out, "--out", str(tmp_path / "next"), "--epochs", "1"]) == 2
    assert "no data set is named; give one" in capsys.readouterr().err
