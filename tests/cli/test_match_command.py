"""`asnn-deploy match`, and what is said of other tools' files on the command line."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import asnn_deploy
from asnn_deploy.cli import run
from asnn_deploy.cli.reading import RESETS, TOOLS, UPDATES
from asnn_deploy.conventions import tools
from asnn_deploy.ir import meaning

CASES = Path(__file__).parents[2] / "conformance" / "cases"


@pytest.fixture
def files(tmp_path):
    """A network of snnTorch's Synaptic, reset to zero, and its recording."""

    def copied(case="snntorch-synaptic-zero"):
        for name in ("network.nir", "recording.npz"):
            shutil.copy(CASES / case / name, tmp_path / name)
        return str(tmp_path / "network.nir"), str(tmp_path / "recording.npz")

    return copied


def test_help_lists_what_there_is():
    assert sorted(TOOLS) == sorted(tools())
    assert set(RESETS) == set(meaning.RESETS)
    assert set(UPDATES) == set(meaning.UPDATES)


def test_the_rules_are_found_written_into_the_file_and_read_again(files, tmp_path, capsys):
    network, recording = files()
    out, told = tmp_path / "m.json", tmp_path / "told.nir"
    assert run(["match", network, "--recording", recording, "--json", str(out), "--out", str(told)]) == 0
    best = json.loads(out.read_text())["best"]
    assert (best["tool"], best["rules"]["reset"], best["differing"], best["first_divergence"]) == (
        "snntorch",
        "zero",
        0,
        None,
    )
    assert asnn_deploy.load(told) == asnn_deploy.load(network, "snntorch", reset="zero")
    assert [n.reset for n in asnn_deploy.load(told, reset="subtract").neurons] == ["leftover-subtract"] * 2
    capsys.readouterr()
    assert run(["inspect", str(told)]) == 0
    assert "delayed-zero of neurons with a current" in capsys.readouterr().err


def test_wrong_rules_are_named_by_their_first_divergence(files, tmp_path, capsys):
    network, recording = files()
    out = tmp_path / "v.json"
    command = ["verify", network, "--from", "snntorch", "--recording", recording, "--target", "reference-fixed"]
    assert run([*command, "--json", str(out)]) == 1
    held = json.loads(out.read_text())["recording"]
    assert held["differing"] > held["within_rounding"] >= 0
    assert "recording: first divergence in node lif1" in capsys.readouterr().out
    assert run([*command, "--reset", "zero", "--snap", "--json", str(out)]) == 0
    found = json.loads(out.read_text())
    assert found["recording"]["differing"] == 0
    assert found["snapped"]["spikes"] == found["recording"]["spikes_compared"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--dt", "0"], "dt = 0.0: a time step must be a positive number"),
        (["--dt", "nan"], "dt = nan"),
        (["--from", "snntorsh"], "did you mean 'snntorch'?"),
        (["--reset", "hard"], "unknown reset 'hard'"),
        (["--from", "snntorch", "--spikes", "many"], "several spikes in a step go with"),
        (["--node", "lif1"], "expected NODE:RULE=VALUE"),
        (["--node", "lif9:reset=none"], "unknown node 'lif9'; did you mean 'lif"),
        (["--coding", "latency"], "say how many"),
    ],
)
def test_one_line_for_what_cannot_be(files, options, says, capsys):
    network, _ = files()
    assert run(["inspect", network, *options]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert lines[-1].startswith("error: ")
    assert says in lines[-1]


def test_conventions_that_only_look_as_if_they_contradict(files):
    network, _ = files("sinabs-iaf")
    assert run(["inspect", network, "--from", "sinabs", "--spikes", "one"]) == 0
    network, _ = files("rockpool-lif")
    assert run(["inspect", network, "--from", "rockpool", "--reset", "zero"]) == 0


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda r: {k: v for k, v in r.items() if k != "input"}, "lacks the array 'input'"),
        (lambda r: {"input": r["input"]}, "records no node"),
        (lambda r: {"input": r["input"], "lif7": r["lif1"]}, "did you mean 'lif"),
        (lambda r: {"input": r["input"], "lif1": 0 * r["lif1"]}, "ever changes"),
        (lambda r: {"input": r["input"][:, :, :3], "lif1": r["lif1"]}, "expected [40, 4, 12]"),
        (lambda r: {"input": r["input"], "lif1": r["lif1"] + 0.5}, "spikes are whole numbers"),
        (lambda r: {"input": r["input"] * np.nan, "lif1": r["lif1"]}, "NaN"),
    ],
)
def test_recordings_that_do_not_fit(files, tmp_path, change, says, capsys):
    network, recording = files()
    with np.load(recording) as found:
        np.savez(tmp_path / "changed.npz", **change(dict(found)))
    assert run(["match", network, "--recording", str(tmp_path / "changed.npz")]) == 2
    assert says in capsys.readouterr().err.splitlines()[-1]


def test_nothing_is_said_of_networks_of_ours(run_folder, capsys):
    assert run(["inspect", str(run_folder), "--from", "norse"]) == 2
    assert "states its own rules" in capsys.readouterr().err
