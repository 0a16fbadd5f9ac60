"""`report --profile` with a simulator: found by entry point, run beside the profile that it is held against."""

import json

import numpy as np
import pytest

from asnn_deploy.cli import run
from asnn_deploy.deploy.registry import SIMULATORS
from asnn_deploy.energy import PARTS
from asnn_deploy.energy.simulation import Simulation
from asnn_deploy.util.progress import track


class Stand:
    """A simulator that finds one joule for each sample."""

    name, chip, constant_based, source = "stand-in", "loihi1", "loihi1-davies-2018", "made up"

    def unavailable(self):
        return None

    def simulate(self, graph, images, trace, placement):
        assert set(placement.core_of) >= {neuron.name for neuron in graph.neurons}
        assert [len(spikes[0]) for spikes in trace.spikes.values()] == [len(images)] * len(graph.neurons)
        count = len(list(track(images, self.name)))
        parts = {part: np.zeros(count) for part in PARTS} | {"synapses": np.ones(count)}
        one = np.ones(count)
        return Simulation(self.name, "Stand-in", "0 nm", "made up", ("All",), (), parts, one, one, one, 1, 1, 1)


@pytest.fixture
def registered(monkeypatch):
    """Stand-ins for what is installed: one simulator that runs, one that does not."""

    absent = Stand()
    absent.unavailable = lambda: "not installed: it; pip install it"
    monkeypatch.setitem(SIMULATORS, "stand-in", Stand())
    monkeypatch.setitem(SIMULATORS, "absent", absent)


def test_a_simulated_profile_stands_beside_the_constant_based_one(registered, run_folder, tmp_path):
    out = tmp_path / "report"
    asked = ["--profile", "stand-in", "--simulate-samples", "2", "--limit", "4"]
    assert run(["report", str(run_folder), "--out", str(out), *asked]) == 0
    report = json.loads((out / "report.json").read_text())
    assert set(report["profiles"]) == {"loihi1-davies-2018", "stand-in"}
    assert "stand-in" in (out / "report.html").read_text()
    assert report["profiles"]["stand-in"]["energy_joules"] == {"low": 1.0, "mid": 1.0, "high": 1.0}
    found = report["simulated"]["stand-in"]
    assert (found["samples"], found["constant_based"]) == (2, "loihi1-davies-2018")
    assert found["ratio"] == pytest.approx(1 / found["constant_based_joules"]["mid"])


def test_a_simulator_that_is_not_installed_is_refused_before_anything_runs(registered, run_folder, tmp_path, capsys):
    out = tmp_path / "report"
    assert run(["report", str(run_folder), "--out", str(out), "--profile", "absent"]) == 3
    assert capsys.readouterr().err == "error: simulator 'absent' is not available: not installed: it; pip install it\n"
    assert not out.exists()


def test_an_unknown_name_gets_the_nearest_profile_or_simulator(registered, run_folder, tmp_path, capsys):
    assert run(["report", str(run_folder), "--out", str(tmp_path / "report"), "--profile", "stand-on"]) == 2
    assert (
        "unknown energy profile 'stand-on'; did you mean 'stand-in'? (allowed: absent, cpu" in capsys.readouterr().err
    )
