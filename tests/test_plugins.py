"""A third party's exporter and target, installed as such, are found, listed and used like the built-in ones."""

import os
import subprocess
import sys
import textwrap

import pytest
from networks import small_lenet

from asnn_deploy.deploy.registry import find, names
from asnn_deploy.errors import InputError

BUILT_IN = {
    "exporters": ["lava", "nir", "onnx"],
    "simulators": ["loihi1-sanafe"],
    "targets": [
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
}


@pytest.mark.parametrize("group", BUILT_IN)
def test_built_in_ones_are_registered(group):
    assert names(group) == BUILT_IN[group]
    for name in names(group):
        plugin = find(group, name)
        assert plugin.name == name
        assert plugin.unavailable() is None or isinstance(plugin.unavailable(), str)


def test_unknown_names_are_suggested():
    with pytest.raises(InputError, match="unknown target 'lava-fixd'; did you mean 'lava-fixed'"):
        find("targets", "lava-fixd")


@pytest.fixture
def third_party(tmp_path):
    """A folder that looks like an installed distribution with an exporter, a target and a broken target."""
    (tmp_path / "tiny_plugin.py").write_text(
        textwrap.dedent('''
        """One exporter and one target, as a third party writes them."""
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

        exporter, target = Names(), Mirror()
    ''')
    )
    info = tmp_path / "tiny_plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[asnn_deploy.exporters]\nnames = tiny_plugin:exporter\n"
        "[asnn_deploy.targets]\nmirror = tiny_plugin:target\nbroken = no_such_module:target\n"
    )
    return tmp_path


def asnn(third_party, *arguments):
    environment = os.environ | {"PYTHONPATH": str(third_party)}
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

    network = tmp_path / "network.nir"
    find("exporters", "nir").write(small_lenet(classes=10), tmp_path)
    exported = asnn(third_party, "export", str(network), "--target", "names", "--out", str(tmp_path / "bundle"))
    assert exported.returncode == 0, exported.stderr
    assert (tmp_path / "bundle" / "layers.txt").read_text().startswith("conv1\nlif1")
    for command in ("run", "verify"):
        ran = asnn(third_party, command, str(network), "--target", "mirror", "--data", "digits", "--limit", "5")
        assert ran.returncode == 0, ran.stderr
    assert "mirror" in ran.stdout
    assert "exact" in ran.stdout
    ran = asnn(third_party, "run", str(network), "--target", "broken", "--data", "digits")
    assert (ran.returncode, ran.stderr.count("\n")) == (3, 1)
    assert "target 'broken' cannot be loaded" in ran.stderr
