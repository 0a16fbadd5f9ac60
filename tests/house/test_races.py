"""Two processes at one folder: what one has made, the other neither removes nor overwrites."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from asnn_deploy.cli import run
from asnn_deploy.deploy.bundle import claimed_folder, write_bundle
from asnn_deploy.deploy.source import open_source
from asnn_deploy.errors import InputError
from asnn_deploy.util.files import holding_folder, making_folder, replacing_folder

TRAIN = ["train", "--preset", "digits-lenet", "--set", "model.widths=[4, 4]", "--train-limit", "60"]
PROGRAM = [sys.executable, "-c", "from asnn_deploy.cli import main; main()"]


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


class Other:
    """Another process that trains into a folder; it starts, or runs to its end, when it is called."""

    def __init__(self, folder: Path, ends: bool) -> None:
        self.folder, self.ends, self.process = folder, ends, None

    def __call__(self) -> None:
        command = [*PROGRAM, *TRAIN, "--out", str(self.folder), "--epochs", "1" if self.ends else "5000"]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        if self.ends:
            subprocess.run(command, check=True, capture_output=True, env=environment)
            self.before = contents(self.folder)
            return
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment)
        deadline = time.monotonic() + 200
        while not (self.folder / "checkpoints" / "last.ckpt").exists():
            assert self.process.poll() is None, self.process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def survived(self) -> None:
        """The run is whole: untouched, or still being trained and then resumed to its end."""
        if self.ends:
            assert contents(self.folder) == self.before
            return
        assert self.process.poll() is None
        self.process.send_signal(signal.SIGINT)
        _, err = self.process.communicate(timeout=100)
        assert (self.process.returncode, err.decode().splitlines()[-1]) == (130, "error: interrupted")
        with open(self.folder / "metrics.csv") as file:
            epochs = len(file.readlines()) - 1
        assert run(["train", "--resume", "--out", str(self.folder), "--epochs", str(epochs + 1)]) == 0
        assert json.loads((self.folder / "summary.json").read_text())["epochs"] == epochs + 1


def held_at(monkeypatch, owner: object, name: str, concerns, other) -> None:
    """Let `other` run exactly before this process first calls a function on what it `concerns`."""
    real, done = getattr(owner, name), []

    def held(*arguments, **options):
        if not done and concerns(arguments[0]):
            done.append(True)
            other()
        return real(*arguments, **options)

    monkeypatch.setattr(owner, name, held)


@pytest.mark.parametrize(
    ("where", "ends"),
    [("making the folder", False), ("opening the lock", True), ("locking", False), ("locking", True)],
)
def test_the_second_training_leaves_the_first_one_whole(monkeypatch, tmp_path, capsys, where, ends):
    folder = tmp_path / "run"
    other = Other(folder, ends)
    owner, name, concerns = {
        "making the folder": (Path, "mkdir", lambda path: path == folder),
        "opening the lock": (os, "open", lambda path: path == folder / ".lock"),
        "locking": (fcntl, "flock", lambda descriptor: True),
    }[where]
    try:
        with monkeypatch.context() as patched:
            held_at(patched, owner, name, concerns, other)
            assert run([*TRAIN, "--out", str(folder), "--epochs", "1"]) == 2
        reason = "holds a run already; resume it, or" if ends else "another process is writing to it; wait"
        assert f"error: {folder}: {reason}" in capsys.readouterr().err
        other.survived()
    finally:
        if other.process is not None:
            other.process.kill()


def test_a_training_that_fails_removes_its_own_files_only(monkeypatch, tmp_path, digits):
    from asnn_deploy.training import train as module

    def fails(*_arguments):
        (tmp_path / "deep" / "run" / "metrics.csv").write_text("half")
        (tmp_path / "deep" / "run" / "notes.txt").write_text("somebody's")
        raise InputError("no")

    from runs import tiny_config

    monkeypatch.setattr(module, "_fit", fails)
    with pytest.raises(InputError, match="no"):
        module.train(tiny_config(), digits, tmp_path / "deep" / "run")
    assert list(contents(tmp_path)) == [tmp_path / "deep" / "run" / "notes.txt"]


def test_a_lock_survives_the_end_of_the_process_that_made_its_file(monkeypatch, tmp_path):
    """Whoever has opened the file before it was unlinked holds a lock on nothing, and must not believe it."""
    first = holding_folder(tmp_path)
    first.__enter__()
    held_at(monkeypatch, fcntl, "flock", lambda descriptor: True, lambda: first.__exit__(None, None, None))
    with holding_folder(tmp_path):
        assert (tmp_path / ".lock").exists()
        with pytest.raises(InputError, match="another process is writing to it"), holding_folder(tmp_path):
            pass
    assert list(tmp_path.iterdir()) == []


def test_locking_writes_through_no_link(tmp_path):
    (tmp_path / "precious").write_text("text")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / ".lock").symlink_to(tmp_path / "precious")
    with pytest.raises(InputError, match="cannot be written"), holding_folder(tmp_path / "folder"):
        pass
    assert (tmp_path / "precious").read_text() == "text"


def test_only_folders_that_were_made_go_again(tmp_path):
    (tmp_path / "there").mkdir()
    with making_folder(tmp_path / "there" / "a" / "b"):
        (tmp_path / "there" / "a" / "note").write_text("somebody's")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a", "note", "there"]


def test_what_takes_a_bundles_place_meanwhile_stays(monkeypatch, tmp_path, run_folder):
    """An export takes its time; a folder that has come to its place by then is another's."""
    out = tmp_path / "bundle"
    source = open_source(run_folder)
    with source.deployment:
        write_bundle(source.graph, "nir", out, None, {})

        def anothers() -> None:
            shutil.rmtree(out)
            shutil.copytree(run_folder, out)

        held_at(monkeypatch, os, "replace", lambda path: Path(path) == out, anothers)
        with pytest.raises(InputError, match=f"^{out}: exists and was not made by this command"):
            write_bundle(source.graph, "nir", out, None, {})
    assert {path.relative_to(out) for path in contents(out)} == {
        p.relative_to(run_folder) for p in contents(run_folder)
    }
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_a_refused_replacement_leaves_no_trace(tmp_path):
    def no(_path: Path) -> None:
        raise InputError("no")

    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "old").write_text("old")
    with pytest.raises(InputError, match="no"), replacing_folder(tmp_path / "folder", no) as new:
        (new / "new").write_text("new")
    assert list(contents(tmp_path)) == [tmp_path / "folder" / "old"]


@pytest.mark.parametrize(
    ("arguments", "marker"),
    [
        (["sweep", "{run}", "--bits", "4"], "sweep.json"),
        (["report", "{run}", "--limit", "5"], "report.json"),
        (["quickstart"], ".asnn-deploy-quickstart"),
    ],
)
def test_one_command_writes_to_a_folder_at_a_time(tmp_path, run_folder, capsys, arguments, marker):
    out = tmp_path / "out"
    with claimed_folder(out, marker):
        assert run([*(a.format(run=run_folder) for a in arguments), "--out", str(out)]) == 2
        assert f"error: {out}: another process is writing to it" in capsys.readouterr().err
        assert [path.name for path in out.iterdir()] == [".lock"]
    assert not out.exists()


def test_a_sweeps_outdated_training_goes_and_nothing_next_to_it(tmp_path, run_folder):
    arguments = ["sweep", str(run_folder), "--bits", "4", "--qat", "--out", str(tmp_path / "out"), "--qat-epochs"]
    assert run([*arguments, "1"]) == 0
    (tmp_path / "out" / "qat-4" / "notes.txt").write_text("somebody's")
    assert run([*arguments, "2"]) == 0
    assert json.loads((tmp_path / "out" / "qat-4" / "summary.json").read_text())["epochs"] == 2
    assert (tmp_path / "out" / "qat-4" / "notes.txt").read_text() == "somebody's"
