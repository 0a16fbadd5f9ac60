"""What training writes down: rates, warnings by name, energy, TensorBoard; and the means behind them."""

from __future__ import annotations

import csv
import importlib.util
import json

import numpy as np
import pytest
import torch
from runs import tiny_config

from asnn_deploy.energy import Counter, energy, load_profile
from asnn_deploy.engine.runner import run
from asnn_deploy.errors import MissingDependency
from asnn_deploy.ir.trace import Record
from asnn_deploy.models.lowering import lower
from asnn_deploy.training.module import TrainingModule
from asnn_deploy.training.tally import Tally
from asnn_deploy.training.train import train
from asnn_deploy.training.trained import load_run


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_means_are_of_samples_not_of_batches():
    tally = Tally()
    tally.add("a", torch.tensor(1.0), 3)
    tally.add("a", torch.tensor(5.0), 1)
    tally.add("b", torch.tensor([1.0, 2.0]), 2)
    tally.add("b", torch.tensor([3.0, 0.0]), 2)
    means = tally.means()
    assert float(means["a"]) == 2.0
    assert means["b"].tolist() == [2.0, 1.0]


def test_rates_and_energy_are_the_trained_networks(digits, tmp_path):
    """Rates of the last epoch are those of the whole test set; energy is the counter's on the first test samples."""
    summary = train(tiny_config(monitor__energy=True, monitor__samples=20), digits, tmp_path / "run")
    network = load_run(tmp_path / "run").network
    with torch.no_grad():
        _, spikes = network.trace(torch.from_numpy(digits.images["test"]))
    found = {(row["layer"], int(row["step"])): float(row["rate"]) for row in rows(tmp_path / "run" / "rates.csv")[-9:]}
    for name, fired in spikes.items():
        for t in range(3):
            assert found[name, t] == pytest.approx(float(fired[t].double().mean()), abs=1e-4)
    graph, images = lower(network), digits.images["test"][:20]
    counter = Counter(graph)
    counter.add(images, run(graph, images, Record(spikes=True, step_logits=True)))
    counts = counter.result()
    last = rows(tmp_path / "run" / "metrics.csv")[-1]
    assert float(last["sops"]) == pytest.approx(counts.total("acs") + counts.total("macs"))
    assert float(last["energy_joules"]) == pytest.approx(
        energy(load_profile("horowitz-45nm"), counts).energy_joules.mid
    )
    assert float(last["gradient_norm"]) > 0
    assert float(last["test_accuracy"]) == pytest.approx(summary["test_accuracy"], abs=0.02)


def test_dead_and_saturated_layers_are_named_once(digits, tmp_path, monkeypatch, capfd):
    begin = TrainingModule.on_validation_epoch_start

    def spoiled(self):
        begin(self)
        with torch.no_grad():
            self.network.layers["conv2_synapses"].norms[0].bias.fill_(-1e4)
            self.network.layers["fc1_synapses"].norms[0].bias.fill_(1e4)

    monkeypatch.setattr(TrainingModule, "on_validation_epoch_start", spoiled)
    train(tiny_config(training__epochs=3), digits, tmp_path / "run")
    warnings = [line for line in capfd.readouterr().err.splitlines() if line.startswith("warning:")]
    assert len(warnings) == 2
    assert warnings[0].startswith("warning: epoch 1: never fires: layer 'conv2'; nothing behind it learns; lower")
    assert warnings[1].startswith("warning: epoch 1: fires at nearly every step: layer 'fc1'; it says nothing; lower")


def test_tensorboard_without_its_package_is_refused(digits, tmp_path, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "tensorboard" else find(name, *a))
    with pytest.raises(MissingDependency, match="needs the package tensorboard; pip install 'asnn-deploy"):
        train(tiny_config(monitor__tensorboard=True), digits, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_tensorboard_event_files(digits, tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(tiny_config(monitor__tensorboard=True), digits, tmp_path / "run")
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    metrics = rows(tmp_path / "run" / "metrics.csv")
    for key in ("train_loss", "test_accuracy", "gradient_norm"):
        found = [(event.step, event.value) for event in events.Scalars(key)]
        assert [step for step, _ in found] == [0, 1, 2]
        assert np.allclose([value for _, value in found], [float(row[key]) for row in metrics], rtol=1e-6)
    assert len(events.Scalars("rate/conv1/step2")) == 3


def test_energy_of_a_network_that_cannot_be_deployed_is_no_number(digits, tmp_path, monkeypatch):
    from asnn_deploy.errors import LoweringError
    from asnn_deploy.training import monitor

    def refused(network):
        raise LoweringError("not now")

    monkeypatch.setattr(monitor, "lower", refused)
    train(tiny_config(monitor__energy=True, training__epochs=1), digits, tmp_path / "run")
    assert rows(tmp_path / "run" / "metrics.csv")[0]["sops"] == "nan"
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["epochs"] == 1
