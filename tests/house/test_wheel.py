"""What a wheel installs: three packages with names of their own, and nothing beside them."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def contents(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-c", f"from hatchling.build import build_wheel; build_wheel({str(folder)!r})"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = folder.glob("*.whl")
    return zipfile.ZipFile(wheel).namelist()


def test_top_level_names(contents):
    tops = {name.split("/")[0] for name in contents}
    assert {name for name in tops if not name.endswith(".dist-info")} == {
        "asnn_deploy",
        "asnn_exporters",
        "asnn_targets",
    }


def test_everything_that_runs_is_in_it(contents):
    for root, package in ((".", "asnn_deploy"), ("exporters", "asnn_exporters"), ("targets", "asnn_targets")):
        base = ROOT / root
        for path in (base / package).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                assert path.relative_to(base).as_posix() in contents
    assert "asnn_deploy/py.typed" in contents
    assert any(name.endswith(".toml") for name in contents)
