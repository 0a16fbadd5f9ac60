"""CONTRIBUTING.md's examples, run as they stand there; those that train: training/test_contributed.py."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from contributed import EXAMPLES, KINDS, asnn, module_of
from networks.lenet import small_lenet
from networks.making import constant, random_inputs

from asnn_deploy.analysis.overflow import prove
from asnn_deploy.deploy.deployment import Deployment
from asnn_deploy.deploy.registry import TARGETS
from asnn_deploy.engine.executor import Executor
from asnn_deploy.engine.runner import run
from asnn_deploy.errors import ConfigError, DataError, InputError, MissingDependency, UnsupportedError
from asnn_deploy.fitting import chip_names, fit, load_chip
from asnn_deploy.fitting.chip import FOLDER
from asnn_deploy.input.coding import input_code
from asnn_deploy.input.data import load_data
from asnn_deploy.ir.layers import Neuron
from asnn_deploy.ir.trace import Record
from asnn_deploy.quantizing import quantize
from asnn_deploy.training.config import make_config, merge
from asnn_deploy.training.presets import PRESETS, preset


@pytest.fixture
def inhibited(installed):
    """The example neuron, found by its entry point."""
    return installed("neurons/inhibited.py").find("inhibited")


def inhibited_network():
    """The LeNet of the tests, its first neurons by another."""
    graph = small_lenet()

    def changed(layer):
        if layer.name != "lif1":
            return layer
        more = {"recovery": 0.75, "feedback": -0.5}
        tables = {key: constant(value, graph.time_steps) for key, value in more.items()}
        return Neuron("lif1", "inhibited", {**layer.parameters, **tables}, layer.reset)

    return replace(graph, layers=tuple(changed(layer) for layer in graph.layers))


def test_a_neuron_is_one_file(inhibited):
    """Held against a loop written from its equations."""
    graph = inhibited_network()
    images = random_inputs(graph, 4)
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
    fixed, images = quantize(graph), random_inputs(graph, 6)
    expected = Executor(fixed if target.arithmetic == "fixed" else graph, compiled=False).run(images, record)
    with Deployment(graph) as deployment, target.open(deployment, len(images)) as session:
        got = session.run(images, record)
    assert np.array_equal(got.logits, expected.logits)
    assert all(np.array_equal(got.spikes[key], expected.spikes[key]) for key in expected.spikes)
    assert prove(fixed).reached["lif1"].keys() == {"v", "w", "product"}


def test_a_neuron_without_integers_names_the_method(inhibited, monkeypatch):
    monkeypatch.delattr(type(inhibited), "quantized")
    graph = inhibited_network()
    assert run(graph, random_inputs(graph, 2)).logits.shape == (2, 5)
    with pytest.raises(UnsupportedError, match="'inhibited' has no integer definition .its method `quantized`"):
        quantize(graph)


@pytest.mark.parametrize("example", EXAMPLES)
def test_two_parts_of_one_name_are_both_named(installed, example):
    parts, _ = KINDS[example.split("/")[0]]
    taken = next(iter(parts))
    assert installed(example, taken) is parts
    with pytest.raises(
        InputError, match=f"{parts.what} '{taken}' is defined twice, by asnn_.* and by .*{module_of(example)}"
    ):
        parts.find(taken)
    assert next(name for name in parts if parts.problem(name) is None)


@pytest.mark.parametrize("example", [e for e in EXAMPLES if e.split("/")[0] not in ("data", "chips")])
def test_a_part_is_registered_by_its_own_name(installed, example):
    parts = installed(example, "alias")
    with pytest.raises(
        InputError, match=f"{parts.what} 'alias' of {module_of(example)}:.* calls itself '.*'; register"
    ):
        parts.find("alias")


def test_no_other_package_may_claim_the_name_of_a_trained_neuron(installed):
    installed("neurons/inhibited.py", "asnn")
    with pytest.raises(ConfigError, match="'asnn' is defined twice, by asnn_deploy, .* and by another package"):
        make_config(preset("digits-lenet"), "x")
    listed = asnn(installed.folder, "list")
    assert listed.returncode == 0, listed.stderr


@pytest.mark.parametrize("example", EXAMPLES)
def test_what_is_something_else_is_refused(installed, example):
    parts = installed(example, "seven", f"{KINDS[example.split('/')[0]][1]} = 7")
    with pytest.raises(
        InputError, match=f"{parts.what} 'seven' is a int; it must be an instance of a class that inherits"
    ):
        parts.find("seven")


def test_parts_that_raise_at_import_are_listed_and_hinder_nothing(installed):
    for example in EXAMPLES:
        parts = installed(example, "broken", "raise RuntimeError('out of order')")
        with pytest.raises(MissingDependency, match=f"{parts.what} 'broken' cannot be loaded from .*: out of order"):
            parts.find("broken")
    listed = asnn(installed.folder, "list")
    assert listed.returncode == 0, listed.stderr
    assert " ".join(listed.stdout.split()).count("'broken' cannot be loaded") == len(EXAMPLES)
    for name in PRESETS:
        make_config(merge(preset(name), {"training.epochs": 1}), name)
    assert load_data("digits").classes == 10
    assert load_chip("loihi2").name == "loihi2"
    assert input_code("hybrid-latency", 3).time_steps == 3
    with Deployment(small_lenet()) as deployment, TARGETS.find("reference").open(deployment, 2) as session:
        assert session.run(random_inputs(small_lenet(), 2)).logits.shape == (2, 5)


def test_a_coding_is_one_file(installed):
    installed("coding/complement.py")
    code = input_code("complement", 3)
    assert code.table[:, [0, 127, 128, 255]].tolist() == [[1, 1, 0, 0], [0, 0, 1, 1], [1, 1, 0, 0]]


def test_a_data_set_is_one_file(installed, tmp_path):
    installed("data/table.py")
    rows = [[n % 3, *(25 * n + k for k in range(4))] for n in range(10)]
    file = tmp_path / "mine.csv"
    file.write_text("\n".join(",".join(map(str, row)) for row in rows))
    data = load_data(f"table:{file}")
    assert (data.spec, data.classes, data.shape) == (f"table:{file}", 3, (1, 2, 2))
    assert data.images["test"].reshape(-1, 4).tolist() == [row[1:] for row in (rows[0], rows[5])]
    assert data.labels["train"].tolist() == [n % 3 for n in range(10) if n % 5]
    with pytest.raises(DataError, match="data table: needs a file, as in table:PATH"):
        load_data("table")
    for text in ("0", "1,2,x", "0,1,2", "0,1,2,3,256"):
        file.write_text(text)
        with pytest.raises(DataError, match=r"mine\.csv: "):
            load_data(f"table:{file}")


def test_a_chip_is_one_file(installed):
    installed("chips/my_chip.py")
    mine = installed.folder / f"{module_of('chips/my_chip.py')}.toml"
    mine.write_text((FOLDER / "generic.toml").read_text().replace("A chip to copy", "My chip"))
    assert "my-chip" in chip_names()
    assert load_chip("my-chip").title == "My chip"
    mine, generic = (fit(small_lenet(), load_chip(name)).to_json() for name in ("my-chip", "generic"))
    assert mine.pop("chip") != generic.pop("chip")
    assert mine == generic
    listed = asnn(installed.folder, "list").stdout
    assert re.search(r"^my-chip +My chip", listed, re.MULTILINE)


def test_an_exporter_is_one_file(installed, tmp_path):
    exporter = installed("exporters/layer_list.py").find("layer-list")
    (tmp_path / "out").mkdir()
    assert exporter.unavailable() is None
    assert exporter.write(small_lenet(), tmp_path / "out") == ["layers.txt"]
    assert (tmp_path / "out" / "layers.txt").read_text().split() == [layer.name for layer in small_lenet().layers]


def test_a_target_is_one_file(installed):
    target = installed("targets/slow_reference.py").find("slow-reference")
    graph = small_lenet()
    images = random_inputs(graph, 5)
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
    images = random_inputs(graph, 4)
    counter.add(images, run(graph, images, Record(spikes=True)))
    counts = counter.result()
    ours, theirs = (energy(load_profile(name), counts).energy_joules.mid for name in (str(mine), "horowitz-45nm"))
    assert ours == pytest.approx(2 * theirs)


def test_every_way_to_extend_has_an_example():
    assert sorted(example.split("/")[0] for example in EXAMPLES) == sorted(KINDS)
