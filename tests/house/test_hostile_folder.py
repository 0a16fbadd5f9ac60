"""A folder from anybody runs no code: no interpreter of ours, nor a helper that it starts, imports from where it stands."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from importlib.metadata import packages_distributions
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from networks.lenet import small_lenet
from reference_lenet import state_dict

from asnn_deploy.cli import COMMANDS
from asnn_deploy.deploy.bundle import write_bundle

ROOT = Path(__file__).parents[2]
needs_lava = pytest.mark.skipif(find_spec("lava") is None, reason="Lava is not installed")
TRAIN = ["train", "--preset", "digits-lenet", "--set", "model.widths=[4, 4]", "--train-limit", "64", "--epochs", "1"]
FEW = ["--data", "digits", "--limit", "6"]
RUNS = {
    "quickstart": ["quickstart", "--epochs", "1", "--limit", "6", "--out", "new"],
    "train": [*TRAIN, "--out", "new", "--devices", "2", "--device", "cpu", "--set", "training.workers=1"],
    "import": ["import", "lenet.pt", "--kind", "asnn-reference", "--coding", "time", "--out", "new"],
    "export": ["export", ".", "--target", "onnx", "--out", "new"],
    "run": ["run", ".", "--target", "lava-fixed", *FEW],
    "verify": ["verify", ".", *FEW],
    "quantize": ["quantize", ".", *FEW],
    "sweep": ["sweep", "run", "--bits", "4", "--qat", "--qat-epochs", "1", *FEW, "--out", "new"],
    "match": ["match", "theirs.nir", "--recording", "recording.npz", "--out", "new.nir"],
    "report": ["report", ".", *FEW, "--out", "new"],
    "compare": ["compare", "report", "report", "--out", "new"],
    "fit": ["fit", ".", "--chip", "loihi2"],
    "inspect": ["inspect", "."],
    "list": ["list"],
}
"""A run of every command, in a bundle's folder."""
QUICK = ("list", pytest.param("run", marks=needs_lava))


@pytest.fixture
def hostile(tmp_path, run_folder):
    """A bundle whose folder also holds a module for every name that can be imported, metadata of a plug-in, and a
    configuration of Numba. Each module leaves a file in `ran` when it is imported."""
    folder, ran = tmp_path / "bundle", tmp_path / "ran"
    ran.mkdir()
    write_bundle(small_lenet(classes=10), "lava", folder, "digits", {})
    shutil.copytree(run_folder, folder / "run")
    torch.save(state_dict(0, "time"), folder / "lenet.pt")
    for name, copy in (("network.nir", "theirs.nir"), ("recording.npz", "recording.npz")):
        shutil.copy(ROOT / "conformance" / "cases" / "snntorch-leaky-none" / name, folder / copy)
    for name in {*sys.stdlib_module_names, *packages_distributions(), "asnn_deploy", "sitecustomize", "usercustomize"}:
        if name.isidentifier() and name != "run":
            (folder / f"{name}.py").write_text(f"open({str(ran / name)!r}, 'w').close()\n")
    info = folder / "evil-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[asnn_deploy.targets]\nevil-target = evil:target\n")
    (folder / ".numba_config.yaml").write_text("cache_dir: numba-cache\n")
    return folder


def harmless(folder: Path, script: Path, *arguments: str) -> str:
    """What a script printed that ran to its end in a folder, without importing anything from there."""
    shown = subprocess.run([sys.executable, str(script), *arguments], cwd=folder, capture_output=True, text=True)
    ran = sorted(path.name for path in (folder.parent / "ran").iterdir())
    assert not ran, f"{ran} ran"
    assert shown.returncode == 0, shown.stderr
    assert not (folder / "numba-cache").exists()
    return shown.stdout


@pytest.fixture
def command(tmp_path):
    """The command as pip installs it: a script in its own folder."""
    script = tmp_path / "bin" / "asnn-deploy"
    script.parent.mkdir()
    script.write_text("import sys\nfrom asnn_deploy.cli import main\nsys.exit(main())\n")
    return script


def test_every_command_has_a_run():
    assert set(RUNS) == set(COMMANDS)


def test_the_trap_snaps(hostile):
    """Where the folder is looked into, its modules run: the tests below can fail."""
    subprocess.run([sys.executable, "-c", "import multiprocessing"], cwd=hostile, check=True)
    assert (hostile.parent / "ran" / "multiprocessing").exists()


@pytest.mark.parametrize("name", QUICK)
def test_a_command_runs_nothing_from_the_working_directory(hostile, command, name):
    assert "evil" not in harmless(hostile, command, *RUNS[name])


@pytest.mark.slow
@needs_lava
@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in ("list", "run")])
def test_no_command_runs_anything_from_the_working_directory(hostile, command, name):
    if name == "compare":
        harmless(hostile, command, "report", ".", *FEW, "--out", "report")
    harmless(hostile, command, *RUNS[name])


@needs_lava
@pytest.mark.parametrize("start", ["run.py", "{folder}/run.py"])
def test_a_bundles_script_runs_nothing_that_stands_next_to_it(hostile, start):
    assert "predictions: [" in harmless(hostile, Path(start.format(folder=hostile)))


@needs_lava
def test_the_working_directory_is_not_handed_to_lavas_host(monkeypatch, tmp_path):
    from asnn_targets.lava.hosted import module_path

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", ".", "./", "lib", "/usr/lib/x"])
    assert module_path() == [str(tmp_path / "lib"), "/usr/lib/x"]


def starts(tree: ast.AST) -> list[ast.Call]:
    """Calls of subprocess in functions that put `sys.executable` before `-c` or `-m`."""

    def interpreter(node: ast.AST) -> bool:
        return (
            isinstance(node, ast.List)
            and any(isinstance(e, ast.Attribute) and e.attr == "executable" for e in node.elts)
            and any(isinstance(e, ast.Constant) and e.value in ("-c", "-m") for e in node.elts)
        )

    functions = [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    return [
        call
        for function in functions
        if any(interpreter(node) for node in ast.walk(function))
        for call in ast.walk(function)
        if isinstance(call, ast.Call) and ast.unparse(call.func).startswith("subprocess.")
    ]


def test_every_interpreter_is_told_where_to_stand():
    """`python -c` and `-m` look into the working directory first, so whoever starts one says which that is."""
    found = 0
    for folder in ("asnn_deploy", "exporters", "targets", "scripts", "benchmarks", "examples"):
        for path in (ROOT / folder).rglob("*.py"):
            for call in starts(ast.parse(path.read_text(encoding="utf-8"))):
                found += 1
                assert "cwd" in {keyword.arg for keyword in call.keywords}, f"{path}:{call.lineno}"
    assert found
