"""Where compiled kernels are kept: in the user's cache, bounded, and nowhere if that is not safe or not there."""

import os
import stat
import subprocess
import sys

import pytest

from asnn_deploy.engine import compiler
from asnn_deploy.util.machine import user_cache

KERNEL = "from asnn_deploy.engine.compiler import compiled\n\n@compiled\ndef kernel(x):\n    return x + {value}\n"
CALL = "from kernels import kernel; print(kernel(1), *(sum(n.values()) for n in kernel.stats[1:]))"
ALONE = pytest.mark.skipif(not hasattr(os, "getuid"), reason="files have no owner here")


@pytest.fixture
def package(tmp_path):
    folder = tmp_path / "package"
    folder.mkdir()
    (folder / "kernels.py").write_text(KERNEL.format(value=1))
    return folder


def process(code, folder, environment):
    """Run code in a process that stands in a folder of the test's."""
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment, cwd=folder)


def called(package, **environment):
    """What a process prints that calls the kernel: its answer, whether it was found on disk, whether compiled."""
    code = f"import sys; sys.dont_write_bytecode = True; sys.path.insert(0, {str(package)!r}); {CALL}"
    kept = {key: value for key, value in os.environ.items() if key not in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME")}
    environment = kept | {key: str(value) for key, value in environment.items()}
    result = process(code, package, environment)
    return [int(word) for word in result.stdout.split()]


def test_kernels_are_kept_for_the_user_and_not_in_the_package(package, tmp_path):
    cache = tmp_path / "cache"
    assert called(package, XDG_CACHE_HOME=cache) == [2, 0, 1]
    assert called(package, XDG_CACHE_HOME=cache) == [2, 1, 0]
    assert [path.name for path in package.iterdir()] == ["kernels.py"]
    assert any((cache / "asnn-deploy" / "kernels").rglob("*.nbi"))


def test_two_installations_of_the_same_code_share_them(package, tmp_path):
    other = tmp_path / "other" / "package"
    other.mkdir(parents=True)
    (other / "kernels.py").write_text(KERNEL.format(value=1))
    os.utime(other / "kernels.py", (1, 1))
    cache = tmp_path / "cache"
    assert [called(folder, XDG_CACHE_HOME=cache) for folder in (package, other, package)] == [
        [2, 0, 1],
        [2, 1, 0],
        [2, 1, 0],
    ]


def test_the_environment_says_where(package, tmp_path):
    cache = tmp_path / "numba"
    assert called(package, NUMBA_CACHE_DIR=cache, XDG_CACHE_HOME=tmp_path / "unused") == [2, 0, 1]
    assert any(cache.rglob("*.nbi"))
    assert not (tmp_path / "unused").exists()
    assert called(package, NUMBA_CACHE_DIR=cache) == [2, 1, 0]


def test_old_states_of_the_code_are_removed(package, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(compiler, "KEPT", 3)
    root = compiler.kernels_folder()
    for age in range(5):
        (root / f"old-{age}").mkdir(parents=True)
        os.utime(root / f"old-{age}", (100 - age, 100 - age))
    root.chmod(0o700)
    locator = compiler.UserLocator(test_old_states_of_the_code_are_removed, str(package / "kernels.py"))
    for _ in range(2):
        locator.ensure_cache_path()
        states = sorted(path.name for path in root.iterdir())
        assert [name for name in states if name.startswith("old")] == ["old-0", "old-1"]
        assert len(states) == 3


@ALONE
@pytest.mark.parametrize("damage", ["others may write", "a file", "someone else's"])
def test_a_folder_that_is_not_the_user_s_alone_is_not_used(package, tmp_path, damage):
    """What stands in the cache is unpickled."""
    root = tmp_path / "cache" / "asnn-deploy" / "kernels"
    root.parent.mkdir(parents=True)
    if damage == "a file":
        root.write_text("")
    else:
        root.mkdir()
        root.chmod(0o777 if damage == "others may write" else 0o755)
    if damage == "someone else's":
        if os.getuid():
            pytest.skip("only root gives folders away")
        os.chown(root, 12345, -1)
    for _ in range(2):
        assert called(package, XDG_CACHE_HOME=tmp_path / "cache") == [2, 0, 1]
    assert damage == "a file" or list(root.iterdir()) == []


@ALONE
def test_a_cache_that_cannot_be_written_is_no_error(package, tmp_path):
    (tmp_path / "file").write_text("")
    assert called(package, XDG_CACHE_HOME=tmp_path / "file") == [2, 0, 1]
    assert called(package, HOME="relative") == [2, 0, 1]


@ALONE
def test_the_folder_is_the_user_s_alone(tmp_path, package, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    before = os.umask(0)
    try:
        compiler.UserLocator(test_the_environment_says_where, str(package / "kernels.py")).ensure_cache_path()
    finally:
        os.umask(before)
    assert stat.S_IMODE(compiler.kernels_folder().stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {"XDG_CACHE_HOME": "/x"}, "/x"),
        ("linux", {"XDG_CACHE_HOME": "relative"}, "/home/me/.cache"),
        ("linux", {}, "/home/me/.cache"),
        ("darwin", {"XDG_CACHE_HOME": "/x"}, "/home/me/Library/Caches"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local"),
        ("win32", {}, "/home/me/AppData/Local"),
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="paths of other systems")
def test_the_folder_of_each_system(monkeypatch, platform, variables, expected):
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in ({"HOME": "/home/me"} | variables).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    assert str(user_cache()) == expected


HEARD = """
from asnn_deploy.util import progress
begun = []
original = progress.Phase.__init__
progress.Phase.__init__ = lambda phase, name, *more: (begun.append(name), original(phase, name, *more))[1]
from kernels import kernel
print(kernel(1), len(begun), *begun)
"""


def test_compilation_is_said_when_it_happens_and_only_then(package, tmp_path):
    def heard():
        code = f"import sys; sys.path.insert(0, {str(package)!r}); {HEARD}"
        environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
        run = process(code, tmp_path, environment)
        return run.stdout.strip()

    assert [heard(), heard()] == ["2 1 compiling kernels, once", "2 0"]
