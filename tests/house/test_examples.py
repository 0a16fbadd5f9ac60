"""The examples that train, as their users start them, at tiny size."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def started(name, *arguments):
    result = subprocess.run(
        [sys.executable, str(ROOT / "examples" / name), *arguments],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert result.returncode == 0, result.stderr[-2000:]
    return result


def test_prices(tmp_path):
    tiny = ["--epochs", "1", "--train-limit", "200", "--seeds", "1", "--prices", "0", "30"]
    started("sop_penalty.py", *tiny, "--out", str(tmp_path / "price"))
    found = json.loads((tmp_path / "price.json").read_text())
    free, priced = found["rows"]
    assert (free["price"], priced["price"]) == (0, 30)
    assert priced["sops"] < free["sops"]
    assert (tmp_path / "price.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("script", "package"),
    [("optuna_search.py", "optuna"), pytest.param("ray_search.py", "ray", marks=pytest.mark.slow)],
)
def test_searches(script, package, tmp_path):
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    out = str(tmp_path / "search")
    started(script, "--trials", "2", "--epochs", "1", "--train-limit", "100", "--out", out)
    points = json.loads((tmp_path / "search.json").read_text())
    assert len(points) == 2
    assert all(
        point.keys() >= {"time_steps", "coding", "width", "price", "energy_joules", "test_accuracy"} for point in points
    )
    assert (tmp_path / "search.png").read_bytes().startswith(b"\x89PNG")
    if package == "optuna":  # it goes on where it was
        started(script, "--trials", "3", "--epochs", "1", "--train-limit", "100", "--out", out)
        assert json.loads((tmp_path / "search.json").read_text())[:2] == points


def test_a_search_chooses_by_images_of_the_training_split(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    import trial

    seen = []

    def train(config, data, folder):
        seen.append(config.training.validation)
        folder.mkdir()
        (folder / "metrics.csv").write_text("energy_joules\n1e-6\n")
        return {"validation_accuracy": 0.5, "test_accuracy": 0.75}

    monkeypatch.setattr(trial, "train", train)
    found = trial.trial({"time_steps": 2, "coding": "direct", "width": 1, "price": 0.1}, "digits-lenet", None, 1, None)
    assert found == {"accuracy": 0.5, "test_accuracy": 0.75, "energy_joules": 1e-6}
    assert seen[0] > 0


def test_the_front_is_what_nothing_beats(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    from trial import front

    points = [
        {"accuracy": accuracy, "energy_joules": joules}
        for accuracy, joules in [(0.5, 3.0), (0.9, 2.0), (0.8, 1.0), (0.95, 4.0), (0.7, 1.0)]
    ]
    assert [point["accuracy"] for point in front(points)] == [0.8, 0.9, 0.95]
