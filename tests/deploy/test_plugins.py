"""A third party's exporter and target, installed as such, are found, listed and used like the built-in ones."""

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from networks.lenet import small_lenet
from networks.making import random_inputs

from asnn_deploy.deploy.deployment import Deployment
from asnn_deploy.deploy.protocols import Session
from asnn_deploy.deploy.registry import EXPORTERS, SIMULATORS, TARGETS
from asnn_deploy.engine.executor import Executor
from asnn_deploy.errors import InputError
from asnn_deploy.util.discover import Parts

BUILT_IN = [
    (EXPORTERS, ["lava", "nir", "onnx"]),
    (SIMULATORS, ["loihi1-sanafe"]),
    (
        TARGETS,
        [
            "lava",
            "lava-fixed",
            "lava-stock",
            "nir",
            "norse",
            "norse-fixed",
            "onnxruntime",
            "reference",
            "reference-fixed",
        ],
    ),
]


@pytest.mark.parametrize(("found", "names"), BUILT_IN, ids=["exporters", "simulators", "targets"])
def test_built_in_ones_are_registered(found, names):
    assert list(found) == names
    for name in names:
        plugin = found.find(name)
        assert isinstance(plugin, found.base)
        assert plugin.name == name
        assert found.reason(name) == plugin.unavailable()


def test_unknown_names_are_suggested():
    with pytest.raises(InputError, match="unknown target 'lava-fixd'; did you mean 'lava-fixed'"):
        TARGETS.find("lava-fixd")


def test_what_cannot_be_a_plugin_is_refused(monkeypatch):
    monkeypatch.setitem(TARGETS, "number", 7)
    with pytest.raises(InputError, match="target 'number' is a int; .* inherits from asnn_deploy.deploy.protocols.T"):
        TARGETS.find("number")


def test_a_session_without_an_early_exit_finds_it_in_whole_runs():
    class Whole(Session):
        def run(self, images, record):
            return Executor(graph).run(images, record)

    graph = small_lenet()
    images = random_inputs(graph, 5)
    with Whole() as whole, TARGETS.find("reference").open(Deployment(graph), 5) as reference:
        for spikes in (False, True):
            (got, steps), (expected, ran) = (one.run_until(images, 0.2, spikes) for one in (whole, reference))
            assert np.array_equal(steps, ran)
            assert got.logits.tobytes() == expected.logits.tobytes()
            assert list(got.spikes) == list(expected.spikes)


@pytest.fixture
def third_party(tmp_path):
    """A folder that looks like an installed distribution with an exporter, a target and a broken target."""
    (tmp_path / "tiny_plugin.py").write_text(
        textwrap.dedent('''
        """One exporter and one target, as a third party writes them."""
        from asnn_deploy.deploy.protocols import Exporter
        from asnn_deploy.engine.executor import Executor

        class Names:
            name, suffix = "names", None
            def unavailable(self):
                return None
            def write(self, graph, folder, **options):
                (folder / "layers.txt").write_text("\\n".join(layer.name for layer in graph.layers))
                return ["layers.txt"]

        class Mirror:
            name, arithmetic = "mirror", "float32"
            def unavailable(self):
                return None
            def open(self, deployment, batch_size):
                return Session(deployment.graph)

        class Session:
            def __init__(self, graph):
                self.executor = Executor(graph)
            def run(self, images, record):
                return self.executor.run(images, record)
            def __enter__(self):
                return self
            def __exit__(self, *_):
                pass

        class OneFile(Exporter):
            name, suffix = "one-file", ".names"
            def write(self, graph, folder, **options):
                (folder / "x").write_text("\\n".join(layer.name for layer in graph.layers))
                return ["x"]

        exporter, target, one_file = Names(), Mirror(), OneFile()
    ''')
    )
    info = tmp_path / "tiny_plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[asnn_deploy.exporters]\nnames = tiny_plugin:exporter\none-file = tiny_plugin:one_file\n"
        "[asnn_deploy.targets]\nmirror = tiny_plugin:target\nbroken = no_such_module:target\nnir = tiny_plugin:target\n"
    )
    return tmp_path


def asnn(third_party, *arguments):
    paths = [str(third_party), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    return subprocess.run(
        [sys.executable, "-c", "from asnn_deploy.cli import main; main()", *arguments],
        capture_output=True,
        text=True,
        env=environment,
    )


def test_third_party_plugins_are_listed_and_used(third_party, tmp_path):
    listed = asnn(third_party, "list")
    assert listed.returncode == 0, listed.stderr
    lines = {line.split()[0]: line for line in listed.stdout.splitlines() if line.strip()}
    assert "available" in lines["names"]
    assert "available" in lines["mirror"]
    assert "no_such_module" in lines["broken"]
    assert "asnn_targets.nir:target and by tiny_plugin:target" in " ".join(listed.stdout.split())

    network = tmp_path / "network.nir"
    EXPORTERS.find("nir").write(small_lenet(classes=10), tmp_path)
    exported = asnn(third_party, "export", str(network), "--target", "names", "--out", str(tmp_path / "bundle"))
    assert exported.returncode == 0, exported.stderr
    assert (tmp_path / "bundle" / "layers.txt").read_text().startswith("conv1\nlif1")
    exported = asnn(third_party, "export", str(network), "--target", "one-file", "--out", str(tmp_path / "my.names"))
    assert exported.returncode == 0, exported.stderr
    assert (tmp_path / "my.names").read_text().startswith("conv1\nlif1")
    exported = asnn(third_party, "export", str(network), "--target", "names", "--out", str(tmp_path / "your.names"))
    assert exported.returncode == 2
    assert "exporter 'names' does not write .names files" in exported.stderr
    for command in ("run", "verify"):
        ran = asnn(third_party, command, str(network), "--target", "mirror", "--data", "digits", "--limit", "5")
        assert ran.returncode == 0, ran.stderr
    assert "mirror" in ran.stdout
    assert "exact" in ran.stdout
    early = ("--data", "digits", "--limit", "5", "--exit-margin", "0.2")
    ran = asnn(third_party, "run", str(network), "--target", "mirror", *early)
    assert ran.returncode == 0, ran.stderr
    ran = asnn(third_party, "verify", str(network), "--data", "digits", "--limit", "2")
    assert ran.returncode == 0, ran.stderr
    for name in ("broken", "nir"):
        assert f"note: target {name!r} left out" in ran.stderr
    ran = asnn(third_party, "run", str(network), "--target", "broken", "--data", "digits")
    assert (ran.returncode, ran.stderr.count("\n")) == (3, 1)
    assert "target 'broken' cannot be loaded" in ran.stderr


def test_a_part_put_in_by_hand_leaves_no_trace_when_it_is_taken_out(monkeypatch):
    """Another of its name can be installed afterwards; one of ours that is taken out stays out."""
    parts = Parts("thing", "no.such.group", own={"ours": 1}, base=int)
    parts["mine"] = 2
    assert list(parts) == ["mine", "ours"]
    del parts["mine"], parts["ours"]
    assert list(parts) == []
    monkeypatch.setitem(vars(parts), "_known", {"mine": [("elsewhere", lambda: 3)], "ours": [("here", lambda: 1)]})
    assert list(parts) == ["mine"]
    assert parts["mine"] == 3
