"""`sweep` as users type it: files, resuming, bad input."""

import json
import math
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from asnn_deploy import sweeping as sweep_package
from asnn_deploy.cli import run
from asnn_deploy.training import train as train_module

KEYS = ("bits", "method", "accuracy", "accuracy_float", "spike_disagreement", "synapse_bytes", "sops")


def sweep(source, out, *more):
    return run(["sweep", str(source), "--out", str(out), "--limit", "20", *map(str, more)])


def points(out):
    entries = json.loads((Path(out) / "sweep.json").read_text(), parse_constant=pytest.fail)
    for entry in entries:
        assert set(KEYS) <= set(entry)
        assert entry["method"] in ("ptq", "qat")
        assert 2 <= entry["bits"] <= 8
        assert all(0 <= entry[key] <= 1 for key in ("accuracy", "accuracy_float", "spike_disagreement"))
        assert isinstance(entry["synapse_bytes"], int)
        assert math.isfinite(entry["sops"])
    return entries


@pytest.fixture
def measured(monkeypatch):
    """The plans that are measured; it can interrupt before the n-th."""
    real, done = sweep_package.measure, []

    def spying(plan, *arguments):
        if len(done) == spying.stop_at:
            raise KeyboardInterrupt
        done.append((plan.method, plan.bits))
        return real(plan, *arguments)

    spying.stop_at, spying.done = None, done
    monkeypatch.setattr(sweep_package, "measure", spying)
    return spying


@pytest.fixture(scope="session")
def nir(run_folder, tmp_path_factory):
    path = tmp_path_factory.mktemp("sweep") / "network.nir"
    assert run(["export", str(run_folder), "--target", "nir", "--out", str(path)]) == 0
    return path


def test_a_sweep_and_what_it_leaves(run_folder, tmp_path, capsys):
    out = tmp_path / "sweep"
    assert sweep(run_folder, out, "--bits", "8,2") == 0
    assert {p.name for p in out.iterdir()} == {"sweep.json", "sweep.md", "sweep.png"}
    two, eight = points(out)
    assert (two["bits"], eight["bits"], two["method"]) == (2, 8, "ptq")
    assert two["samples"] == 20
    assert eight["spike_disagreement"] < two["spike_disagreement"]
    assert eight["synapse_bytes"] == 4 * two["synapse_bytes"]
    shown = capsys.readouterr()
    assert "ptq" in shown.out
    assert f"{100 * eight['accuracy']:.2f} %" in shown.out
    assert shown.err == "", "silent in Python"


def test_it_resumes_where_it_stopped(nir, tmp_path, measured, capsys):
    out, data = tmp_path / "sweep", ("--data", "digits")
    measured.stop_at = 1
    assert sweep(nir, out, "--bits", "2,4", *data) == 130
    assert [p["bits"] for p in points(out)] == [2]
    assert not [p for p in out.iterdir() if p.name.startswith(".")]
    measured.stop_at = None
    assert sweep(nir, out, "--bits", "2,4", *data) == 0
    assert sweep(nir, out, "--bits", "4,3", *data, "--batch-size", 7) == 0
    assert measured.done == [("ptq", 2), ("ptq", 4), ("ptq", 3)]
    assert [p["bits"] for p in points(out)] == [2, 3, 4]
    (out / "sweep.md").unlink()
    assert sweep(nir, out, "--bits", "4", *data) == 0
    assert "| ptq | 3 |" in (out / "sweep.md").read_text()
    assert "note:" not in capsys.readouterr().err


def test_other_inputs_start_anew(nir, tmp_path, measured, capsys):
    out, data = tmp_path / "sweep", ("--data", "digits")
    assert sweep(nir, out, "--bits", "2", *data) == 0
    assert sweep(nir, out, "--bits", "3", *data, "--limit", "21") == 0
    assert capsys.readouterr().err.count("starting again") == 1
    assert [(p["bits"], p["samples"]) for p in points(out)] == [(3, 21)]
    measured.stop_at = 2
    assert sweep(nir, out, "--bits", "4", *data) == 130
    assert [(p["bits"], p["samples"]) for p in points(out)] == [(3, 21)], "kept until there is something better"


def test_a_run_and_its_export_are_one_network(run_folder, nir, tmp_path, measured):
    assert sweep(run_folder, tmp_path / "s", "--bits", "8") == 0
    assert sweep(nir, tmp_path / "s", "--bits", "8", "--data", "digits") == 0
    assert len(measured.done) == 1


@pytest.fixture
def trained(monkeypatch):
    """The trainings that begin, as (bits, epochs, whether resumed); it can interrupt the n-th before its summary."""
    real, summarise, done = train_module.train, train_module.summarise, []

    def spying(config, data, folder, resume, **more):
        done.append((config.quantization.bits, config.training.epochs, resume))
        real(config, data, folder, resume, **more)

    def interrupting(*arguments):
        if len(done) == spying.stop_at:
            raise KeyboardInterrupt
        return summarise(*arguments)

    monkeypatch.setattr(train_module, "summarise", interrupting)

    spying.stop_at, spying.done = None, done
    monkeypatch.setattr(train_module, "train", spying)
    return spying


def test_training_on(run_folder, tmp_path, trained, measured):
    out, figures = tmp_path / "s", tmp_path / "figures.json"
    arguments = ("--bits", 3, "--qat", "--qat-epochs", 1)
    trained.stop_at = 1
    assert sweep(run_folder, out, *arguments) == 130
    assert [p["method"] for p in points(out)] == ["ptq"]
    measured.stop_at = 1
    assert sweep(run_folder, out, *arguments) == 130
    assert (out / "qat-3" / "summary.json").is_file()
    measured.stop_at = None
    assert sweep(run_folder, out, *arguments) == 0
    assert sweep(run_folder, out, *arguments) == 0
    assert trained.done == [(3, 1, False), (3, 1, True)]
    after, on = points(out)
    assert (after["method"], after["epochs"], on["method"], on["epochs"]) == ("ptq", None, "qat", 1)
    assert on["synapse_bytes"] == after["synapse_bytes"]
    assert on["accuracy_float"] == after["accuracy_float"]
    command = ["run", str(out / "qat-3"), "--target", "reference-fixed", "--limit", "20", "--json", str(figures)]
    assert run(command) == 0
    assert json.loads(figures.read_text())["accuracy"] == on["accuracy"]
    # Another number of epochs is another network, which begins from the run and not from the last one's checkpoint.
    assert sweep(run_folder, out, *arguments[:-1], 2) == 0
    assert trained.done[2:] == [(3, 2, False)]
    assert [(p["method"], p["epochs"]) for p in points(out)] == [("ptq", None), ("qat", 2)]


@pytest.fixture
def refused(capsys, tmp_path, monkeypatch):
    """Runs a sweep that must fail, in a folder that it leaves as it is; returns its one line."""
    monkeypatch.chdir(tmp_path)

    def call(source, *more):
        before = {p: p.read_bytes() if p.is_file() else None for p in sorted(tmp_path.rglob("*"))}
        assert run(["sweep", str(source), *map(str, more)]) == 2
        (line,) = [line for line in capsys.readouterr().err.splitlines() if line.strip()]
        assert line.startswith("error: ")
        assert {p: p.read_bytes() if p.is_file() else None for p in sorted(tmp_path.rglob("*"))} == before
        return line

    return call


def test_training_on_what_cannot_be(refused, nir, run_folder, tmp_path):
    line = refused(nir, "--qat", "--data", "digits", "--out", "s")
    assert "--qat needs a run folder, because it trains on" in line
    assert "network.nir is not one" in line
    assert "0 is not in the range x>=1" in refused(run_folder, "--qat", "--qat-epochs", "0", "--out", "s")
    assert sweep(run_folder, tmp_path / "s", "--bits", "4") == 0
    (tmp_path / "s" / "qat-4").mkdir()
    (tmp_path / "s" / "qat-4" / "letter.txt").write_text("dear")
    line = refused(run_folder, "--bits", "4", "--qat", "--limit", "20", "--out", "s")
    assert "s/qat-4: exists and was not made by this command" in line


@pytest.mark.parametrize(
    ("bits", "message"),
    [
        ("1", "--bits: weights have 2 to 8 bits"),
        ("2,9", "--bits: weights have 2 to 8 bits"),
        ("x", "--bits: weight bits 'x': expected whole numbers from 2 to 8, as in 2,4,8"),
        ("4,4", "--bits: weight bits '4,4': 4 stands there twice; give each width once"),
    ],
)
def test_bits_that_cannot_be(refused, nir, bits, message):
    assert message in refused(nir, "--bits", bits, "--data", "digits", "--out", "s")


def test_data_of_another_shape(refused, nir, tmp_path):
    x = np.zeros((4, 9, 9), np.uint8)
    np.savez(tmp_path / "d.npz", x_train=x, x_test=x, y_train=np.arange(4), y_test=np.arange(4))
    line = refused(nir, "--data", f"npz:{tmp_path / 'd.npz'}", "--out", "s")
    assert "images are (1, 9, 9) (channels, height, width), the network takes (1, 8, 8)" in line
    assert "network.nir: remembers no data; give --data" in refused(nir, "--out", "s")


def test_places_that_cannot_be_written(refused, nir, tmp_path):
    (tmp_path / "file").write_text("dear")
    assert "file: exists and is a file" in refused(nir, "--data", "digits", "--out", "file")
    os.mkdir(tmp_path / "mine")
    shutil.copy(tmp_path / "file", tmp_path / "mine")
    line = refused(nir, "--data", "digits", "--out", "mine")
    assert "mine: exists and was not made by this command (it has no sweep.json)" in line


def test_damaged_results(refused, nir, tmp_path):
    os.mkdir(tmp_path / "s")
    (tmp_path / "s" / "sweep.json").write_text('[{"bits": 4}]')
    line = refused(nir, "--data", "digits", "--out", "s")
    assert "s/sweep.json: not the results of a sweep (0.method: is missing); remove it or choose another" in line


def test_a_network_without_an_integer_version(refused, nir, monkeypatch):
    from asnn_deploy import quantizing
    from asnn_deploy.errors import GraphError

    def never(graph):
        raise GraphError("layer 'x' (scale): has no integer counterpart")

    monkeypatch.setattr(quantizing, "quantize", never)
    assert "has no integer counterpart" in refused(nir, "--data", "digits", "--out", "s")
