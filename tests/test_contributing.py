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
from asnn_deploy.analysis.overflow import prove
from asnn_deploy.deploy.deployment import Deployment
from asnn_deploy.deploy.registry import TARGETS
from asnn_deploy.engine.executor import Executor
from asnn_deploy.engine.runner import run
from asnn_deploy.errors import InputError, UnsupportedError
from asnn_deploy.input.coding import CODINGS
from asnn_deploy.ir.layers import Neuron
from asnn_deploy.ir.neurons import MODELS
from asnn_deploy.ir.step_table import StepTable
from asnn_deploy.ir.trace import Record
from asnn_deploy.quantize import quantize
from asnn_deploy.util.discover import Parts

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


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Installs an example as a user's package would be: a module, and an entry point that names it."""

    def install(name, group, entry):
        module = f"contributed_{Path(name).stem}"
        (tmp_path / f"{module}.py").write_text(EXAMPLES[name])
        info = tmp_path / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[{group}]\n{entry} = {module}:{entry_of[group]}\n")
        monkeypatch.syspath_prepend(str(tmp_path))

    entry_of = {"asnn_deploy.neurons": "model", "asnn_deploy.codings": "coding"}
    yield install
    for name in [name for name in sys.modules if name.startswith("contributed_")]:
        del sys.modules[name]


@pytest.fixture
def inhibited(installed, monkeypatch):
    """The example neuron, found by its entry point."""
    installed("neurons/inhibited.py", "asnn_deploy.neurons", "inhibited")
    fresh = Parts(MODELS.what, MODELS.group, asnn_deploy.ir.neurons.__name__, asnn_deploy.ir.neurons.__path__, "model")
    monkeypatch.setattr(MODELS, "__dict__", vars(fresh))
    return MODELS.find("inhibited")


def inhibited_network():
    """The LeNet of the tests, its first neurons by another."""
    graph = small_lenet()

    def changed(layer):
        if layer.name != "lif1":
            return layer
        more = {"recovery": 0.75, "feedback": -0.5}
        tables = {key: StepTable.constant(np.float32(value), graph.time_steps) for key, value in more.items()}
        return Neuron("lif1", "inhibited", {**layer.parameters, **tables}, layer.reset)

    return replace(graph, layers=tuple(changed(layer) for layer in graph.layers))


def test_a_neuron_is_one_file(inhibited):
    """Held against a loop written from its equations."""
    graph = inhibited_network()
    images = random_images(graph, 4)
    got = run(graph, images, Record(spikes=True, potentials=True))
    p = {key: table.expanded() for key, table in graph.by_name["lif1"].parameters.items()}
    executor = Executor(graph, wanted=["conv1", "lif1", "readout"], compiled=False)
    executor.reset(len(images))
    v = w = s = np.float32(0)
    for t, frame in enumerate(graph.code.frames(images)):
        x = executor.step(t, {"input": frame.astype(np.float32)})["conv1"]
        w = p["recovery"][t] * w + p["feedback"][t] * s
        v = (p["leak"][t] * v + p["gain"][t] * x) + w
        s = (v > p["threshold"][t]).astype(np.float32)
        v = v - s * p["threshold"][t]
        assert np.array_equal(got.spikes["lif1"][t], s)
        assert np.array_equal(got.potentials["lif1"][t], v)
    assert got.spikes["lif1"].any()


@pytest.mark.parametrize("name", ["nir", "onnxruntime", "lava", "reference-fixed", "lava-fixed"])
def test_the_neuron_reaches_every_target(inhibited, name):
    target = TARGETS.find(name)
    if target.unavailable():
        pytest.skip(target.unavailable())
    graph, record = inhibited_network(), Record(spikes=True)
    fixed, images = quantize(graph), random_images(graph, 6)
    expected = Executor(fixed if target.arithmetic == "fixed" else graph, compiled=False).run(images, record)
    with Deployment(graph) as deployment, target.open(deployment, len(images)) as session:
        got = session.run(images, record)
    assert np.array_equal(got.logits, expected.logits)
    assert all(np.array_equal(got.spikes[key], expected.spikes[key]) for key in expected.spikes)
    assert prove(fixed).reached["lif1"].keys() == {"v", "w", "product"}


def test_a_neuron_without_integers_names_the_method(inhibited, monkeypatch):
    monkeypatch.delattr(type(inhibited), "quantized")
    graph = inhibited_network()
    assert run(graph, random_images(graph, 2)).logits.shape == (2, 5)
    with pytest.raises(UnsupportedError, match="'inhibited' has no integer definition .its method `quantized`"):
        quantize(graph)


def test_two_neurons_of_one_name_are_both_named(installed):
    installed("neurons/inhibited.py", "asnn_deploy.neurons", "lif")
    fresh = Parts(MODELS.what, MODELS.group, asnn_deploy.ir.neurons.__name__, asnn_deploy.ir.neurons.__path__, "model")
    with pytest.raises(
        InputError, match="neuron model 'lif' is defined twice, by .*neurons.lif and by contributed_inhi"
    ):
        fresh.find("lif")


def test_a_coding_is_one_file(installed, monkeypatch):
    installed("coding/complement.py", "asnn_deploy.codings", "complement")
    package = asnn_deploy.input.coding
    fresh = Parts(CODINGS.what, CODINGS.group, package.__name__, package.__path__, "coding")
    monkeypatch.setattr(CODINGS, "__dict__", vars(fresh))
    code = package.input_code("complement", 3)
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
        "neurons/inhibited.py",
        "coding/complement.py",
        "exporters/layer_list.py",
        "targets/slow_reference.py",
    }
