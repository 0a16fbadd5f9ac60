"""CONTRIBUTING.md's five examples, run as they stand there."""

import importlib
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from networks import random_images, small_lenet

import asnn_deploy.input.coding
import asnn_deploy.ir.neurons
from asnn_deploy.deploy.deployment import Deployment
from asnn_deploy.engine.runner import run
from asnn_deploy.ir.layers import Neuron
from asnn_deploy.ir.step_table import StepTable
from asnn_deploy.ir.trace import Record
from asnn_deploy.util.discover import discover

ROOT = Path(__file__).parent.parent
EXAMPLES = dict(re.findall(r"```python (\S+)\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL))


@pytest.fixture
def example(tmp_path, monkeypatch):
    """Imports an example's file from a folder of its own."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def load(name):
        file = tmp_path / f"contributed_{Path(name).name}"
        file.write_text(EXAMPLES[name])
        sys.modules.pop(file.stem, None)
        return importlib.import_module(file.stem)

    return load


def add_file(package, name, tmp_path, monkeypatch):
    """The package's parts as they would be found with the example's file in its folder."""
    (tmp_path / Path(name).name).write_text(EXAMPLES[name])
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    return package.__path__


def test_a_neuron_is_one_file(tmp_path, monkeypatch):
    path = add_file(asnn_deploy.ir.neurons, "neurons/integrate_and_fire.py", tmp_path, monkeypatch)
    found = discover("asnn_deploy.ir.neurons", path, "model")
    monkeypatch.setattr(asnn_deploy.ir.neurons, "MODELS", found)
    graph = small_lenet()
    kept = {key: table for key, table in graph.by_name["lif1"].parameters.items() if key != "leak"}
    layers = [Neuron("lif1", "if", kept) if layer.name == "lif1" else layer for layer in graph.layers]
    unit_leak = [
        replace(layer, parameters={**kept, "leak": StepTable.constant(np.float32(1), graph.time_steps)})
        if layer.name == "lif1"
        else layer
        for layer in graph.layers
    ]
    images = random_images(graph, 10)
    mine = run(replace(graph, layers=tuple(layers)), images, Record(spikes=True))
    lif = run(replace(graph, layers=tuple(unit_leak)), images, Record(spikes=True))
    assert mine.spikes["lif1"].any()
    assert all(np.array_equal(mine.spikes[name], lif.spikes[name]) for name in lif.spikes)


def test_a_coding_is_one_file(tmp_path, monkeypatch):
    path = add_file(asnn_deploy.input.coding, "coding/complement.py", tmp_path, monkeypatch)
    monkeypatch.setattr(asnn_deploy.input.coding, "CODINGS", discover("asnn_deploy.input.coding", path, "coding"))
    code = asnn_deploy.input.coding.input_code("complement", 3)
    assert code.table[:, [0, 127, 128, 255]].tolist() == [[1, 1, 0, 0], [0, 0, 1, 1], [1, 1, 0, 0]]


def test_an_exporter_is_one_file(example, tmp_path):
    exporter = example("exporters/layer_list.py").exporter
    (tmp_path / "out").mkdir()
    assert exporter.unavailable() is None
    assert exporter.write(small_lenet(), tmp_path / "out") == ["layers.txt"]
    assert (tmp_path / "out" / "layers.txt").read_text().split() == [layer.name for layer in small_lenet().layers]


def test_a_target_is_one_file(example):
    target = example("targets/slow_reference.py").target
    graph = small_lenet()
    images = random_images(graph, 5)
    with Deployment(graph) as deployment, target.open(deployment, 5) as session:
        trace = session.run(images, Record(spikes=True))
    expected = run(graph, images, Record(spikes=True))
    assert np.array_equal(trace.logits, expected.logits)
    assert all(np.array_equal(trace.spikes[name], expected.spikes[name]) for name in expected.spikes)


def test_an_energy_profile_is_one_file(tmp_path):
    from asnn_deploy.energy import Counter, energy, load_profile, profiles

    mine = tmp_path / "my-chip.toml"
    shutil.copy(Path(profiles.__file__).parent / "profiles" / "horowitz-45nm.toml", mine)
    mine.write_text(re.sub(r"(low|mid|high) = ([0-9.]+)", lambda m: f"{m[1]} = {2 * float(m[2])}", mine.read_text()))
    graph = small_lenet()
    counter = Counter(graph)
    images = random_images(graph, 4)
    counter.add(images, run(graph, images, Record(spikes=True)))
    counts = counter.result()
    ours, theirs = (energy(load_profile(name), counts).energy_joules.mid for name in (str(mine), "horowitz-45nm"))
    assert ours == pytest.approx(2 * theirs)


def test_every_example_is_used():
    assert set(EXAMPLES) == {
        "neurons/integrate_and_fire.py",
        "coding/complement.py",
        "exporters/layer_list.py",
        "targets/slow_reference.py",
    }
