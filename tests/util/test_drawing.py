"""Pictures do not depend on a `matplotlibrc`, neither the user's nor one in the folder where we stand."""

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
STYLE = """font.size: 30
axes.facecolor: red
figure.facecolor: blue
savefig.dpi: 20
image.origin: lower
text.usetex: True
lines.linewidth: 9
"""
SCRIPT = """
import sys
from pathlib import Path

import numpy as np

from asnn_deploy.reporting.pictures import _png
from asnn_deploy.sweeping.chart import draw
from asnn_deploy.sweeping.points import Point
from asnn_deploy.training.curve import draw_curve

draw_curve([{"epoch": 0, "train_loss": 1.0, "test_loss": 2.0, "train_accuracy": 0.5, "test_accuracy": 0.25}], Path("a.png"))
share = {"accuracy": 0.5, "accuracy_float": 0.5, "spike_disagreement": 0.25}
point = Point(bits=4, method="ptq", epochs=None, inputs="", synapse_bytes=1, weight_scales=1, sops=1.0, samples=1, **share)
draw([point], Path("b.png"))
Path("c.png").write_text(_png(np.arange(48, dtype=np.uint8).reshape(4, 4, 3)))
"""


def drawn(folder, style):
    folder.mkdir()
    if style:
        (folder / "matplotlibrc").write_text(style)
    done = subprocess.run([sys.executable, "-c", SCRIPT], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return {path.name: path.read_bytes() for path in folder.glob("*.png")}


def test_a_style_in_the_working_directory_changes_no_picture(tmp_path):
    plain = drawn(tmp_path / "plain", "")
    assert set(plain) == {"a.png", "b.png", "c.png"}
    assert drawn(tmp_path / "styled", STYLE) == plain


def test_whatever_draws_does_so_in_plain_style():
    for path in (ROOT / "asnn_deploy").rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        imported |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        if any((name or "").split(".")[0] == "matplotlib" for name in imported) and path.name != "drawing.py":
            assert "asnn_deploy.util.drawing" in imported, path
