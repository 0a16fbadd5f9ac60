"""`asnn-deploy fit` as users type it."""

import json

import numpy as np
import pytest
from cli.test_commands import asnn, finite_json
from networks.placed import with_product

from asnn_deploy.fitting import load_chip, place
from asnn_deploy.fitting.chip import FOLDER
from asnn_deploy.fitting.latency import no_latency


def test_a_network_that_fits(run_folder, tmp_path, capsys):
    assert asnn("fit", run_folder, "--chip", "loihi2", "--json", tmp_path / "fit.json") == 0
    found = finite_json(tmp_path / "fit.json")
    assert (found["chip"], found["fits"], found["chips"]) == ("loihi2", True, 1)
    assert [layer["name"] for layer in found["layers"]] == [
        "conv1",
        "conv1_pool",
        "conv2",
        "conv2_pool",
        "fc1",
        "readout",
    ]
    shown = capsys.readouterr().out
    binding = found["binding"]
    assert f"fits; binding: {binding['constraint']} of layer {binding['layer']!r}: {binding['value']:,}" in shown
    assert "per-step parameters and weights" in shown
    assert "no published source: core memory, " in shown
    assert no_latency(load_chip("loihi2")) in shown.splitlines()


def test_a_network_that_does_not_fit_is_exit_code_one(run_folder, tmp_path, capsys):
    assert asnn("fit", run_folder, "--chip", "loihi1", "--json", tmp_path / "fit.json") == 1
    found = finite_json(tmp_path / "fit.json")
    assert found["fits"] is False
    assert found["capacity"]["fits"] is True
    shown = capsys.readouterr().out
    assert "does not fit; binding: bits per spike of layer 'input': 8 of 1" in shown
    assert "size alone fits; binding:" in shown
    assert f"suggestion: {found['suggestion']}" in shown
    assert "to be trained again, with --coding latency --neuron lif --set model.reset=zero" in shown
    assert "latency: depends on the spikes, which fit does not count; report with the same --chip estimates it" in shown


def test_a_chip_of_ones_own_and_several_of_them(run_folder, tmp_path, capsys):
    text = (FOLDER / "generic.toml").read_text()
    (tmp_path / "tiny.toml").write_text(
        text.replace("value = 64  ", "value = 2   ", 1).replace("value = 4096", "value = 100")
    )
    chip = tmp_path / "tiny.toml"
    assert asnn("fit", run_folder, "--chip", chip, "--json", tmp_path / "fit.json") == 1
    found = finite_json(tmp_path / "fit.json")
    assert (found["chip"], found["binding"]["constraint"], found["binding"]["limit"]) == ("tiny", "cores", 2)
    capsys.readouterr()
    assert asnn("fit", run_folder, "--chip", chip, "--chips", found["chips"]) == 0
    assert f"of {2 * found['chips']} cores" in capsys.readouterr().out


def test_a_bundles_integers_are_what_is_placed(run_folder, tmp_path):
    assert asnn("export", run_folder, "--target", "nir", "--out", tmp_path / "four.nir", "--bits", 4) == 0
    for source, bits in ((run_folder, 8), (tmp_path / "four.nir", 4)):
        assert asnn("fit", source, "--chip", "loihi2", "--json", tmp_path / "fit.json") == 0
        assert finite_json(tmp_path / "fit.json")["weight_bits"] == bits


def test_a_network_without_integers_is_placed_with_a_note(tmp_path, capsys, monkeypatch):
    from asnn_deploy.deploy.deployment import Deployment
    from asnn_deploy.deploy.source import Source

    source = Source(tmp_path, "run", Deployment(with_product()), None, {})
    monkeypatch.setattr("asnn_deploy.deploy.source.open_source", lambda *_: source)
    assert asnn("fit", tmp_path, "--chip", "loihi2") == 1
    assert "product of signals of layer 'attention': 1 of 0" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("chip", "message"),
    [
        ("lohi2", "unknown chip 'lohi2'; did you mean 'loihi2'?"),
        ("absent.toml", "chip absent.toml: cannot be read: No such file"),
    ],
)
def test_bad_input_is_one_line(run_folder, tmp_path, capsys, chip, message, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert asnn("fit", run_folder, "--chip", chip, "--json", tmp_path / "fit.json") == 2
    shown = capsys.readouterr()
    (line,) = [line for line in shown.err.splitlines() if line.strip()]
    assert line.startswith(f"error: {message}")
    assert not (tmp_path / "fit.json").exists()
    assert asnn("fit", tmp_path, "--chip", "loihi2") == 2
    assert asnn("fit", run_folder) == 2


def test_the_map_is_the_placements(run_folder, tmp_path):
    import asnn_deploy

    asnn("fit", run_folder, "--chip", "generic", "--json", tmp_path / "fit.json")
    rows = json.loads((tmp_path / "fit.json").read_text())["map"]
    cores = place(asnn_deploy.load(run_folder), load_chip("generic")).core_of
    counts = {name: np.bincount(numbers.ravel(), minlength=len(rows)) for name, numbers in cores.items()}
    assert [counts[row["layer"]][row["core"]] for row in rows] == [row["neurons"] for row in rows]


def test_list_names_the_chips(capsys):
    assert asnn("list") == 0
    shown = capsys.readouterr().out
    assert all(load_chip(name).title in shown for name in ("loihi1", "loihi2", "generic"))
