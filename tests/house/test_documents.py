"""The commands in the README and the tutorial, run as they stand there, on small data; the example; dead links."""

import ast
import json
import re
import runpy
import shlex
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from pictures import class_folders, painted
from reference_lenet import state_dict

import asnn_deploy
from asnn_deploy.cli import run
from asnn_deploy.deploy.registry import TARGETS
from asnn_deploy.training.presets import PRESETS

ROOT = Path(__file__).parents[2]
LAVA_MISSING = TARGETS.find("lava").unavailable()


def commands(file):
    """The asnn-deploy lines of a document's shell blocks, comments removed."""
    text = (ROOT / file).read_text()
    for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words and words[0] == "asnn-deploy":
                yield words[1:]


def python_blocks(file):
    return re.findall(r"```python\n(.*?)```", (ROOT / file).read_text(), re.DOTALL)


def idx(array):
    header = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    return header + array.astype(np.uint8).tobytes()


@pytest.fixture
def fashion(tmp_path):
    """A folder like Fashion-MNIST's, with a few made images."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "FashionMNIST" / "raw"
    folder.mkdir(parents=True)
    for prefix, count in (("train", 64), ("t10k", 20)):
        labels = np.arange(count) % 10
        images = rng.integers(0, 60, (count, 28, 28)) + 12 * labels[:, None, None]
        (folder / f"{prefix}-images-idx3-ubyte").write_bytes(idx(images))
        (folder / f"{prefix}-labels-idx1-ubyte").write_bytes(idx(labels))
    return tmp_path


@pytest.mark.skipif(bool(LAVA_MISSING), reason=str(LAVA_MISSING))
def test_readme(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = list(commands("README.md"))
    of_another_tool(Path())
    assert len(lines) == 13
    quick = {
        "verify": ["--limit", "10"],
        "run": ["--limit", "10"],
        "report": ["--limit", "10"],
        "sweep": ["--limit", "10"],
    }
    for line in lines:
        epochs = [{"3": "1", "4": "2"}.get(word, word) for word in line] if line[0] == "train" else line
        assert run([*epochs, *quick.get(line[0], [])]) == 0, line
    (code,) = python_blocks("README.md")
    exec(code.replace("100", "10"), {"images": np.zeros((2, 8, 8), np.uint8)})


def of_another_tool(folder, name="snntorch-leaky-subtract"):
    """A file of another tool, what it was fed and fired, and the same frames as data."""
    case = ROOT / "conformance" / "cases" / name
    shutil.copy(case / "network.nir", folder / "net.nir")
    shutil.copy(case / "recording.npz", folder / "rec.npz")
    with np.load(case / "recording.npz") as recording:
        np.savez(folder / "frames.npz", x_test=recording["input"].swapaxes(0, 1))


@pytest.mark.skipif(bool(LAVA_MISSING), reason=str(LAVA_MISSING))
def test_other_tools(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    of_another_tool(tmp_path)
    lines = list(commands("docs/other-tools.md"))
    assert {line[0] for line in lines} == {"inspect", "run", "match", "verify", "export"}
    for line in lines:
        assert run(line) == 0, line


@pytest.mark.skipif(bool(LAVA_MISSING), reason=str(LAVA_MISSING))
def test_tutorial(fashion, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save(state_dict(1, "mix time"), "lenet.pt")
    monkeypatch.setitem(PRESETS["digits-spikformer"]["training"], "epochs", 1)
    monkeypatch.setitem(PRESETS["digits-lenet"]["training"], "epochs", 1)
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (40, 9, 10, 3), dtype=np.uint8), np.arange(40) % 4
    np.savez("mine.npz", x_train=x, y_train=y, x_test=x[:8], y_test=y[:8])
    lines = list(commands("docs/tutorial.md"))
    assert len(lines) == 16
    words = {"100": "10", "fashion-mnist:DIR": f"fashion-mnist:{fashion}"}
    for line in lines:
        assert run([words.get(word, word) for word in line]) == 0, line
    for code in python_blocks("docs/tutorial.md"):
        exec(code, {})


@pytest.mark.skipif(bool(LAVA_MISSING), reason=str(LAVA_MISSING))
def test_own_network(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    of_another_tool(tmp_path)
    lines = list(commands("docs/own-network.md"))
    assert [line[0] for line in lines] == ["inspect", "verify", "fit", "export", "run"]
    for line in lines:
        assert run(line) == 0, line


@pytest.mark.skipif(bool(LAVA_MISSING), reason=str(LAVA_MISSING))
def test_python(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (code,) = python_blocks("docs/api.md")
    exec(code.replace("100", "10").replace('epochs": 3', 'epochs": 1'), {})


def test_every_public_name_is_on_the_page_of_python():
    page = (ROOT / "docs" / "api.md").read_text()
    on_page = {line.rpartition(".")[2] for line in page.splitlines() if line.startswith("::: ")}
    assert set(asnn_deploy.__all__) - {"__version__"} <= on_page


def test_every_page_is_in_the_menu():
    menu = yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]
    pages = {page for entry in menu for page in ([entry] if isinstance(entry, str) else next(iter(entry.values())))}
    assert {path.name for path in (ROOT / "docs").glob("*.md")} <= pages


def test_own_pictures(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    class_folders(tmp_path / "pictures", size=(9, 10))
    painted(tmp_path / "picture.png", size=(40, 30), colour=True)
    lines = [line for line in commands("docs/data.md") if "folder:DIR" in line or line[1] == "own"]
    assert [line[0] for line in lines] == ["train", "run", "report"]
    small = ["--epochs", "1", "--set", "model.widths=[6]", "--set", "model.hidden=16"]
    for line in lines:
        words = [word.replace("folder:DIR", "folder:pictures") for word in line]
        assert run(words + (small if line[0] == "train" else [])) == 0, line


@pytest.mark.skipif(bool(LAVA_MISSING), reason=str(LAVA_MISSING))
def test_loihis_own_neurons(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    of_another_tool(tmp_path, "snntorch-rleaky-zero")
    lines = list(commands("docs/loihi.md"))
    assert [line[0] for line in lines] == ["train", "export", "verify", "run", "export", "verify"]
    small = ["--epochs", "1", "--set", "model.widths=[6]", "--set", "model.hidden=16"]
    quick = {"train": small, "verify": ["--limit", "10"], "run": ["--limit", "10"]}
    for line in lines:
        assert run([*line, *quick.get(line[0], [])]) == 0, line
    for code in python_blocks("docs/loihi.md"):
        exec(code, {})


def test_the_example(run_folder, tmp_path, monkeypatch, capsys):
    out = tmp_path / "raster.png"
    monkeypatch.setattr(sys, "argv", ["raster.py", str(run_folder), "--out", str(out)])
    runpy.run_path(str(ROOT / "examples" / "raster.py"), run_name="__main__")
    assert out.read_bytes().startswith(b"\x89PNG")
    assert "class" in capsys.readouterr().out


def test_the_papers_claim(tmp_path, monkeypatch, capsys):
    """At tiny size: all variants are trained, nothing is trained twice, and runs of other arguments are not mixed in."""
    tiny = ["--epochs", "1", "--seeds", "1", "--train-limit", "20", "--test-limit", "20", "--limit", "5"]
    script, out = str(ROOT / "examples" / "paper_claim.py"), tmp_path / "claim"
    monkeypatch.setattr(sys, "argv", ["paper_claim.py", *tiny, "--out", str(out)])
    runpy.run_path(script, run_name="__main__")
    trained = {path: path.stat().st_mtime_ns for path in (out / "runs").rglob("*")}
    report = json.loads((out / "results.json").read_text())
    assert len(report["runs"]) == 11
    assert (out / "plot.png").read_bytes().startswith(b"\x89PNG")
    assert (out / "table.md").read_text().count("\n") == 13
    direct = [run for run in report["runs"] if run["coding"] == "direct"]
    assert all(run["macs"] > 0 for run in direct), "the analog image is read by multiply-accumulates at each step"
    runpy.run_path(script, run_name="__main__")
    assert {path: path.stat().st_mtime_ns for path in (out / "runs").rglob("*")} == trained
    monkeypatch.setattr(sys, "argv", ["paper_claim.py", *tiny, "--epochs", "2", "--out", str(out)])
    with pytest.raises(SystemExit, match="holds runs with epochs = 1, now 2"):
        runpy.run_path(script, run_name="__main__")


@pytest.mark.parametrize(
    "file", sorted(str(p.relative_to(ROOT)) for p in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
)
def test_links_lead_somewhere(file):
    for target in re.findall(r"\]\(([^)#\s]+)", (ROOT / file).read_text()):
        if not target.startswith("http"):
            assert (ROOT / file).parent.joinpath(target).exists(), target


def test_every_statement_of_the_arithmetic_names_a_test_that_exists():
    text = (ROOT / "docs" / "fixed-point.md").read_text()
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", text.split("## Where each statement is held")[1])
    for file, test in named:
        assert f"def {test}" in (ROOT / file).read_text(), f"{file}::{test}"
    held = {int(n) for row in re.findall(r"^\| ([\d, ]+)", text, re.MULTILINE) for n in re.findall(r"\d+", row)}
    assert held == {int(n) for n in re.findall(r"^\*\*\((\d+)\)", text, re.MULTILINE)} == set(range(1, 13))


def test_docstrings_name_files_that_exist():
    """By the end of their path; Lava's, the reference code's and those of a bundle are elsewhere."""
    folders = (
        "asnn_deploy",
        "exporters",
        "targets",
        "tests",
        "benchmarks",
        "examples",
        "scripts",
        "docs",
        "conformance",
    )
    there = [f"/{path.relative_to(ROOT)}" for folder in folders for path in (ROOT / folder).rglob("*.*")]
    there += [f"/{path.name}" for path in ROOT.glob("*.*")]
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    missing = []
    for path in (ROOT / name[1:] for name in there if name.endswith(".py")):
        for node in filter(lambda node: isinstance(node, documented), ast.walk(ast.parse(path.read_text()))):
            named = re.findall(r"`([\w/.-]+\.(?:py|md))`", ast.get_docstring(node) or "")
            missing += [(path.name, name) for name in named if not any(other.endswith(f"/{name}") for other in there)]
    elsewhere = ("lava/", "lenet_spiking.py", "run.py")
    assert not [found for found in missing if not found[1].startswith(elsewhere)]
