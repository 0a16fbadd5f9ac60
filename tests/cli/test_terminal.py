"""What is printed is printed as it is, whatever it is called; and what a shell asks for is answered, with nothing else."""

import ast
import io
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from asnn_deploy.cli import COMMANDS, common, progress, run, tables
from asnn_deploy.cli.progress import shown_progress
from asnn_deploy.util.progress import track

PLAIN = ("rich.text", "rich.cells")
"""What of rich reads no markup."""
ROOT = Path(__file__).parents[2]
NAMES = ("[red]x[/]", "[sanafe]", "[/]", ":fire:")
"""What rich reads as a style, an unknown style, an error, and an emoji."""


@pytest.mark.parametrize("name", NAMES)
def test_tables_show_names_as_they_are(capsys, name):
    tables.table(f"title {name}", [f"name {name}", "kind"], [(f"cell {name}", name)])
    shown = capsys.readouterr().out
    assert [shown.count(f"{what} {name}") for what in ("title", "name", "cell")] == [1, 1, 1]
    assert shown.count(name) == 4


def until(holds):
    """Wait for what another thread does."""
    end = time.monotonic() + 60
    while not holds() and time.monotonic() < end:
        time.sleep(0.01)
    assert holds()


@pytest.mark.parametrize("name", NAMES)
def test_progress_bars_show_names_as_they_are(monkeypatch, name):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setattr(progress, "SHORTEST", 0)
    with shown_progress():
        for _ in track([1], f"do {name}"):
            until(lambda: f"do {name}" in sys.stderr.getvalue())


def test_list_names_the_extra_of_a_missing_simulator(monkeypatch, capsys):
    from asnn_targets import sanafe

    monkeypatch.setattr(sanafe, "find_spec", lambda _name: None)
    reason = sanafe.simulator.unavailable()
    assert "asnn-deploy[sanafe]" in reason
    assert run(["list"]) == 0
    assert "asnn-deploy[sanafe]" in "".join(capsys.readouterr().out.split("\n"))


@pytest.mark.parametrize("name", ["[red]x[", "[sanafe]", r"$\bad$ :fire:"])
def test_commands_show_paths_as_they_are(tmp_path, run_folder, capsys, name):
    """Of every command that shows the name of what it is given: in its words, or in the one line of its error."""
    source = shutil.copytree(run_folder, tmp_path / name)
    few = ["--data", "digits", "--limit", "5"]
    out = tmp_path / f"out {name}"
    for arguments, said in (
        (["report", source, *few, "--out", out], f"{out / 'report.html'}: "),
        (["sweep", source, "--bits", "4", *few, "--out", tmp_path / f"sweep {name}"], f"sweep {name}: sweep.json"),
        (["export", source, "--target", "nir", "--out", tmp_path / f"bundle {name}"], f"bundle {name}"),
    ):
        assert run([str(a) for a in arguments]) == 0
        assert said in capsys.readouterr().out
    for command in ("run", "verify", "inspect", "quantize", "fit", "report", "sweep", "export"):
        more = {"run": ["--target", "nir"], "export": ["--target", "nir", "--out", "x"], "fit": ["--chip", "loihi2"]}
        more |= {"report": ["--out", "x"], "sweep": ["--out", "x"]}
        assert run([command, str(tmp_path / f"absent {name}"), *more.get(command, [])]) == 2
        assert f"absent {name}" in capsys.readouterr().err


def test_no_console_is_made_elsewhere():
    """One place imports what reads markup, and it turns that off."""
    for folder in ("asnn_deploy", "exporters", "targets", "scripts", "benchmarks", "examples"):
        for path in (ROOT / folder).rglob("*.py"):
            if path == Path(common.__file__).resolve():
                continue
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                rich = [name for name in names if name.split(".")[0] == "rich" and name not in PLAIN]
                assert not rich, f"{path}:{node.lineno} imports {rich}; use asnn_deploy.cli.common"
                assert getattr(node, "attr", "") not in ("from_markup", "render_markup"), f"{path}:{node.lineno}"
    made = [
        node
        for node in ast.walk(ast.parse(Path(common.__file__).read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("Console", "TextColumn")
    ]
    assert {ast.unparse(call.func) for call in made} == {"Console", "TextColumn"}
    for call in made:
        assert {k.arg: ast.unparse(k.value) for k in call.keywords}["markup"] == "False"


def completed(tmp_path, instruction, **variables):
    environment = os.environ | variables | {"_ASNN_DEPLOY_COMPLETE": instruction}
    code = "from asnn_deploy.cli import main; main()"
    return subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, env=environment)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(tmp_path, shell):
    source = completed(tmp_path, f"{shell}_source")
    assert (source.returncode, source.stderr) == (0, "")
    assert "_ASNN_DEPLOY_COMPLETE" in source.stdout
    words = {"COMP_WORDS": "asnn-deploy tr", "COMP_CWORD": "tr" if shell == "fish" else "1"}
    found = completed(tmp_path, f"{shell}_complete", **words)
    assert (found.returncode, found.stderr) == (0, "")
    assert [name for name in COMMANDS if name in found.stdout] == ["train"]
    options = completed(
        tmp_path,
        f"{shell}_complete",
        COMP_WORDS="asnn-deploy train --pre",
        COMP_CWORD=words["COMP_CWORD"].replace("tr", "--pre").replace("1", "2"),
    )
    assert (options.returncode, options.stderr) == (0, "")
    assert {"--preset", "--precision"} <= set(options.stdout.replace(",", " ").replace("\t", " ").split())


def test_a_completion_that_click_refuses_is_click_s_exit_code(tmp_path):
    for instruction in ("nosuchshell_source", "bash_nosuch"):
        refused = completed(tmp_path, instruction)
        assert (refused.returncode, refused.stdout, refused.stderr) == (1, "", "")
