"""What `run` calls samples/s: those of batches after the first, in which kernels are compiled; or it says so."""

import json
import time

import numpy as np
import pytest

from asnn_deploy.cli import run
from asnn_deploy.cli.run_command import Timed
from asnn_deploy.deploy.protocols import Session, Target
from asnn_deploy.deploy.registry import TARGETS
from asnn_deploy.ir.trace import Trace

FIRST, OTHERS = 0.5, 0.05


class Slow(Session):
    """A session whose first batch takes long."""

    def __init__(self, classes):
        self.classes, self.seconds = classes, FIRST

    def run(self, images, record=None):
        time.sleep(self.seconds)
        self.seconds = OTHERS
        return Trace("slow", np.zeros((len(images), self.classes), np.float32), {})


class SlowTarget(Target):
    """It opens these."""

    name, arithmetic = "slow", "float32"

    def unavailable(self):
        return None

    def open(self, deployment, batch_size):
        return Slow(deployment.graph.classes)


@pytest.fixture
def shown(monkeypatch, run_folder, tmp_path, capsys):
    def call(limit):
        asked = ["--data", "digits", "--limit", str(limit), "--batch-size", "10", "--json", str(tmp_path / "run.json")]
        assert run(["run", str(run_folder), "--target", "slow", *asked]) == 0
        return json.loads((tmp_path / "run.json").read_text()), capsys.readouterr().out

    monkeypatch.setitem(TARGETS, "slow", SlowTarget())
    return call


def test_the_first_batch_is_not_part_of_the_speed(shown):
    figures, text = shown(30)
    assert figures["wall_seconds"] >= FIRST + 2 * OTHERS
    assert figures["samples_per_second"] > 30 / figures["wall_seconds"]
    assert "first batch" not in text


def test_where_it_is_the_speed_says_so(shown):
    figures, text = shown(10)
    assert figures["samples_per_second"] == pytest.approx(10 / figures["wall_seconds"])
    assert "samples/s in its first batch\n" in text


def test_the_speed_is_that_of_later_batches():
    timed = Timed(30, 10.0, 20, 4.0)
    assert (timed.warm, timed.samples_per_second) == (True, 5)
