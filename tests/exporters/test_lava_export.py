"""The Lava bundle: through NIR, in integers too, and with a script that runs."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from asnn_exporters.lava import exporter
from asnn_targets.lava import target
from networks.feedback import looped
from networks.formats import convolutional
from networks.lenet import loihi_lif, small_lenet, static_lenet
from networks.making import Maker, constant

from asnn_deploy import cli
from asnn_deploy.api.checking import choose
from asnn_deploy.deploy.bundle import write_bundle
from asnn_deploy.deploy.registry import EXPORTERS
from asnn_deploy.deploy.source import open_source
from asnn_deploy.errors import MissingDependency, UnsupportedError
from asnn_deploy.ir.serialize import load_graph
from asnn_deploy.loihi import to_loihi
from asnn_deploy.quantizing import Quantization, quantize

needs_lava = pytest.mark.skipif(target.unavailable() is not None, reason=str(target.unavailable()))


def test_it_is_found_by_its_entry_point():
    assert "lava" in EXPORTERS
    assert EXPORTERS.find("lava") is exporter
    assert exporter.suffix is None


def test_it_writes_the_integers_and_a_script(tmp_path):
    graph = small_lenet()
    assert exporter.write(graph, tmp_path, data="digits") == ["fixed.npz", "run.py"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fixed.npz", "run.py"]
    assert load_graph(tmp_path / "fixed.npz") == quantize(graph)


def test_the_quantisation_of_the_graph_is_kept(tmp_path):
    graph = replace(small_lenet(), quantization=Quantization(5, clips={"conv2": 0.8}))
    exporter.write(graph, tmp_path)
    assert load_graph(tmp_path / "fixed.npz") == quantize(graph)
    assert load_graph(tmp_path / "fixed.npz") != quantize(small_lenet())


def test_a_network_without_an_integer_version_runs_in_floating_point(tmp_path):
    endless = Maker(1, 3).neuron("lif")
    tables = {**endless.parameters, "leak": constant(9, 3)}  # beyond the format's (-8, 8)
    beyond = convolutional(lif=replace(endless, parameters=tables))
    assert exporter.write(beyond, tmp_path) == ["run.py"]
    assert 'target="lava")' in (tmp_path / "run.py").read_text()


@needs_lava
@pytest.mark.parametrize("data", ["digits", None])
def test_the_script_of_a_bundle_runs(tmp_path, data):
    folder = tmp_path / "bundle"
    write_bundle(small_lenet(classes=10), "lava", folder, data, {})
    assert open_source(folder).deployment.fixed.arithmetic == "fixed"
    result = subprocess.run([sys.executable, folder / "run.py"], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1].startswith("predictions: [")
    assert result.stdout.count(" of its neurons fire in a step") == 3
    assert result.stderr == ""


@needs_lava
@pytest.mark.parametrize("processes", ["fused", "stock"])
@pytest.mark.parametrize("known", [True, False])
def test_the_script_of_a_network_that_takes_sequences_runs(tmp_path, processes, known):
    graph, folder, frames = looped(3, np.eye(2), np.eye(2)), tmp_path / "bundle", tmp_path / "frames.npz"
    np.savez(frames, x_test=np.ones((5, 3, 2), np.uint8))
    write_bundle(graph, "lava", folder, f"npz:{frames}" if known else None, {}, processes=processes)
    result = subprocess.run([sys.executable, folder / "run.py"], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1].startswith("predictions: [")
    assert result.stderr == ""


def test_in_lavas_own_neurons(tmp_path):
    graph = static_lenet()
    assert exporter.write(graph, tmp_path, processes="stock") == ["fixed.npz", "run.py"]
    assert load_graph(tmp_path / "fixed.npz") == to_loihi(graph)
    assert 'target="lava-stock")' in (tmp_path / "run.py").read_text()


@pytest.mark.parametrize("keys", [{}, {"reset": "subtract"}])
def test_what_lavas_own_neurons_cannot_carry_leaves_no_bundle(tmp_path, keys):
    graph = static_lenet(lif=lambda *a: loihi_lif(*a, **keys)) if keys else small_lenet()
    with pytest.raises(UnsupportedError, match=r"^layer '(conv1|lif1)' .*; .*\(processes=fused\)$"):
        write_bundle(graph, "lava", tmp_path / "bundle", None, {}, processes="stock")
    assert not list(tmp_path.iterdir())


@needs_lava
def test_a_bundle_in_lavas_own_neurons_runs_and_verifies(tmp_path, capsys):
    """By its script, by `run`, and by `verify`, which takes lava-stock unasked, and for this bundle only."""
    bundle, figures = tmp_path / "bundle", tmp_path / "verify.json"
    write_bundle(static_lenet(classes=10), "lava", bundle, "digits", {}, processes="stock")
    result = subprocess.run([sys.executable, bundle / "run.py"], capture_output=True, text=True, check=True)
    assert result.stdout.count(" of its neurons fire in a step") == 3
    assert {"lava-stock", "lava-fixed"} <= {pair.target for pair in choose(open_source(bundle))[0]}
    which = ["--target", "lava-stock", "--target", "lava-fixed"]
    assert cli.run(["verify", str(bundle), "--limit", "20", "--json", str(figures), *which]) == 0
    targets = json.loads(figures.read_text())["targets"]
    for name in ("lava-stock", "lava-fixed"):
        assert (targets[name]["against"], targets[name]["exact"]) == ("reference-fixed", True)
        assert targets[name]["spikes_compared"] > 10_000
    assert cli.run(["run", str(bundle), "--target", "lava-stock", "--limit", "8", "--json", str(figures)]) == 0
    assert [json.loads(figures.read_text())["predictions"]] == [
        [int(n) for n in line[1:-1].split(", ")]
        for line in (line.removeprefix("predictions: ") for line in result.stdout.splitlines())
        if line.startswith("[")
    ]
    write_bundle(static_lenet(classes=10), "lava", bundle, "digits", {})
    assert "lava-stock" not in {pair.target for pair in choose(open_source(bundle))[0]}


def test_without_nir_it_says_so(monkeypatch):
    nir = EXPORTERS.find("nir")
    monkeypatch.setattr(type(nir), "unavailable", lambda self: "nir is not installed; pip install nir==1.0.8 h5py")
    with pytest.raises(MissingDependency, match=r"exporter 'lava' is not available: nir is not installed; pip install"):
        EXPORTERS.available("lava")
