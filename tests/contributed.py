"""CONTRIBUTING.md's examples, installed as a user's packages are."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from asnn_deploy.deploy.registry import EXPORTERS, TARGETS
from asnn_deploy.fitting.chip import CHIPS
from asnn_deploy.input.coding import CODINGS
from asnn_deploy.input.data import SOURCES
from asnn_deploy.ir.neurons import MODELS
from asnn_deploy.models.networks import NETWORKS
from asnn_deploy.training.losses import LOSSES

PAGE = (Path(__file__).parent.parent / "CONTRIBUTING.md").read_text()
EXAMPLES = dict(re.findall(r"```python (\S+)\n(.*?)```", PAGE, re.DOTALL))
KINDS = {
    "neurons": (MODELS, "model"),
    "coding": (CODINGS, "coding"),
    "networks": (NETWORKS, "network"),
    "losses": (LOSSES, "loss"),
    "data": (SOURCES, "source"),
    "chips": (CHIPS, "chip"),
    "exporters": (EXPORTERS, "exporter"),
    "targets": (TARGETS, "target"),
}
"""An example's folder to the parts that it is one of, and what its file ends in."""


def module_of(example):
    """The name under which an example is installed."""
    return f"contributed_{Path(example).stem}"


def install(folder, example, name=None, text=None):
    """Install an example in a folder, or another text in its place, with its entry point; return the parts."""
    module = module_of(example)
    parts, attribute = KINDS[example.split("/")[0]]
    (folder / f"{module}.py").write_text(EXAMPLES[example] if text is None else text)
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    name = name or Path(example).stem.replace("_", "-")
    (info / "entry_points.txt").write_text(f"[{parts.group}]\n{name} = {module}:{attribute}\n")
    return parts


def found_again(monkeypatch, parts):
    """Look once more for the parts of a kind."""
    kept = {key: value for key, value in vars(parts).items() if key not in ("_known", "_loaded")}
    monkeypatch.setattr(parts, "__dict__", kept | {"_loaded": {}})


def asnn(folder, *arguments):
    """Run the command line with what is installed in a folder."""
    paths = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    return subprocess.run(
        [sys.executable, "-c", "from asnn_deploy.cli import main; main()", *map(str, arguments)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
    )
