"""What a shell asks of the command: completion at Tab, figures on standard output, `python -m`, and mistyped names."""

import json
import subprocess
import sys

import pytest

from asnn_deploy.cli import COMMANDS, run
from asnn_deploy.cli.completion import PARTS, names, settings
from asnn_deploy.training.config import make_config, merge
from asnn_deploy.training.presets import PRESETS


def completed(line, capfd, monkeypatch):
    """What bash is told when Tab is pressed at the end of a line."""
    words = line.split(" ")
    monkeypatch.setenv("_ASNN_DEPLOY_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
    capfd.readouterr()
    assert run([]) == 0
    return [entry.partition(",")[2] for entry in capfd.readouterr().out.split()]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("asnn-deploy exp", ["export"]),
        ("asnn-deploy train --preset digits-s", ["digits-sew-resnet", "digits-spikformer"]),
        ("asnn-deploy train --set training.ep", ["training.epochs="]),
        ("asnn-deploy train --neuron as", ["asnn"]),
        ("asnn-deploy train --coding hybrid-l", ["hybrid-latency"]),
        ("asnn-deploy run x --target lava-", ["lava-fixed", "lava-stock"]),
        ("asnn-deploy verify x --target nor", ["norse", "norse-fixed"]),
        ("asnn-deploy export x --target on", ["onnx"]),
        ("asnn-deploy fit x --chip loihi", ["loihi1", "loihi2"]),
        ("asnn-deploy report x --profile loihi1", ["loihi1-davies-2018"]),
        ("asnn-deploy run x --data dig", ["digits"]),
        ("asnn-deploy inspect x --from sn", ["snntorch"]),
        ("asnn-deploy train --preset nothing-like-it", []),
    ],
)
def test_tab_completes(line, found, capfd, monkeypatch):
    assert completed(line, capfd, monkeypatch) == found


@pytest.mark.parametrize("what", PARTS)
def test_every_kind_of_part_has_names(what):
    assert names(what)(None, None, "")


def test_every_completed_key_is_one_that_a_run_takes():
    values = next(iter(PRESETS.values()))
    for key in settings():
        make_config(merge(values, {key.removesuffix("="): _value(values, key.removesuffix("=").split("."))}), "a test")


def _value(values, keys):
    """The value of a key as the configuration has it."""
    found = make_config(values, "a test").model_dump(mode="json")
    for key in keys:
        found = found[key]
    return found


@pytest.mark.parametrize(
    "arguments",
    [
        ["list"],
        ["inspect", "{}"],
        ["fit", "{}", "--chip", "loihi2"],
        ["run", "{}", "--target", "reference", "--limit", "2"],
    ],
)
def test_figures_stand_alone_on_standard_output(arguments, run_folder, capfd):
    capfd.readouterr()
    assert run([*(text.format(run_folder) for text in arguments), "--json", "-"]) == 0
    out, err = capfd.readouterr()
    assert json.loads(out)
    assert err, "what else is said is on standard error"


def test_exports_and_trainings_have_figures_too(run_folder, tmp_path, capfd):
    assert run(["export", str(run_folder), "--target", "nir", "--out", str(tmp_path / "x.nir"), "--json", "-"]) == 0
    assert json.loads(capfd.readouterr().out)["format"] == "nir"
    told = ["--preset", "digits-lenet", "--epochs", "1", "--train-limit", "64", "--set", "model.widths=[4,4]"]
    assert run(["train", *told, "--out", str(tmp_path / "run"), "--json", "-"]) == 0
    assert json.loads(capfd.readouterr().out) == json.loads((tmp_path / "run" / "summary.json").read_text())


@pytest.mark.parametrize(("typed", "said"), [("tran", "did you mean 'train'?"), ("help", "--help")])
def test_a_command_that_there_is_not_is_answered_with_the_nearest(typed, said, capsys):
    assert run([typed]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


def test_python_runs_the_package():
    shown = subprocess.run([sys.executable, "-m", "asnn_deploy", "--help"], capture_output=True, text=True, check=True)
    assert all(f"  {name} " in shown.stdout for name in COMMANDS)
