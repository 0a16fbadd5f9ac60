"""CONTRIBUTING.md's neuron, network, loss and coding in trainings: named by a configuration, and on every target."""

import csv
import json

import pytest
import torch
import yaml
from contributed import EXAMPLES
from runs import tiny_config

from asnn_deploy.cli import run
from asnn_deploy.deploy.registry import EXPORTERS, TARGETS
from asnn_deploy.errors import ConfigError
from asnn_deploy.training.config import make_config, merge
from asnn_deploy.training.losses import LOSSES
from asnn_deploy.training.network import build_model
from asnn_deploy.training.presets import preset
from asnn_deploy.training.train import train
from asnn_deploy.training.trained import load_run

SMALL = {"widths": [6, 8], "hidden": 16}
TRAINING = {"epochs": 3, "batch_size": 32, "threads": 1}
RUNNABLE = {name for name in TARGETS if not TARGETS.reason(name)} - {"lava-stock"}
FIXED = {name for name in RUNNABLE if TARGETS.find(name).arithmetic == "fixed"}


def asnn(*arguments):
    return run([str(a) for a in arguments])


def verified(source, folder, *arguments):
    """What `verify` finds of each target."""
    assert asnn("verify", source, *arguments, "--json", folder / "verify.json") == 0
    return json.loads((folder / "verify.json").read_text())["targets"]


@pytest.fixture
def inhibited_run(installed, tmp_path):
    """CONTRIBUTING.md's neuron, and a run folder of a network on digits whose configuration names it."""
    neuron = installed("neurons/inhibited.py").find("inhibited")
    config = {"time_steps": 3, "model": {**SMALL, "neuron": "inhibited"}, "training": TRAINING}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(config))
    assert asnn("train", tmp_path / "mine.yaml", "--data", "digits", "--out", tmp_path / "run") == 0
    return neuron, tmp_path / "run"


def test_a_neuron_trains_and_reaches_every_target(inhibited_run, tmp_path, monkeypatch, capsys):
    neuron, folder = inhibited_run
    rows = list(csv.DictReader((folder / "metrics.csv").open()))
    assert float(rows[-1]["train_loss"]) < float(rows[0]["train_loss"])
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["neuron"] == "inhibited"
    assert min(summary["test_accuracy"], summary["test_accuracy_fixed"]) > 0.3
    learned = dict(load_run(folder).network.named_parameters())
    for key in ("leak", "gain", "recovery", "feedback"):
        tables = [value for name, value in learned.items() if name.endswith(f".{key}")]
        assert len(tables) == 3
        assert all(torch.all(table[-1] != neuron.parameters[key].initial) for table in tables)

    targets = verified(folder, tmp_path, "--limit", 30)
    assert set(targets) == RUNNABLE
    assert {name for name, found in targets.items() if not found["exact"]} <= {"reference-fixed"}
    assert all(sum(layer["per_step_spikes"]) > 0 for found in targets.values() for layer in found["layers"])
    for exporter in ("nir", "onnx", "lava"):
        if not EXPORTERS.reason(exporter):
            assert asnn("export", folder, "--target", exporter, "--out", tmp_path / exporter) == 0
            assert all(
                found["exact"]
                for found in verified(tmp_path / exporter, tmp_path, "--limit", 5, "--target", "nir").values()
            )

    monkeypatch.delattr(type(neuron), "quantized")
    capsys.readouterr()
    targets = verified(folder, tmp_path, "--limit", 5)
    reason = "neuron model 'inhibited' has no integer definition (its method `quantized`)"
    said = capsys.readouterr().err
    assert set(targets) == RUNNABLE - FIXED
    assert all(found["exact"] for found in targets.values())
    assert all(f"note: target {name!r} left out: {reason}" in said for name in FIXED)
    assert asnn("run", folder, "--target", "reference-fixed", "--limit", 5) == 2
    said = capsys.readouterr().err
    assert reason in said
    assert said.count("\n") == 1


def test_a_neuron_without_a_beginning_is_refused(installed):
    installed("neurons/inhibited.py", text=EXAMPLES["neurons/inhibited.py"].replace(", initial=-0.25", ""))
    config = tiny_config(model__neuron="inhibited")
    with pytest.raises(ConfigError, match="'inhibited': parameter 'feedback' has no value to begin training with"):
        build_model(config, (1, 8, 8), 10)


def test_a_network_and_a_coding_are_one_file(installed, tmp_path, digits):
    installed("networks/strided.py")
    installed("coding/complement.py")
    with pytest.raises(ConfigError, match="model.window = 1: input should be greater than or equal to 2"):
        make_config({"model": {"name": "strided", "window": 1}}, "x")
    changes = {"model.name": "strided", "model.widths": [6, 8], "model.window": 4, "coding": "complement"}
    config = make_config(merge(preset("digits-lenet"), changes), "x")
    assert "hidden" not in config.model.model_dump()
    network = build_model(config, (1, 8, 8), 10)
    weights = sum(p.numel() for name, p in network.named_parameters() if name.endswith("weight") and p.dim() == 4)
    assert weights == 4 * 4 * (6 + 6 * 8)
    small = make_config(merge(config.model_dump(mode="json"), {"training.epochs": 3, "time_steps": 4}), "x")
    summary = train(small, digits, tmp_path / "run")
    assert summary["test_accuracy"] > 0.3
    settled = small.model.model_copy(update={"input_shape": (1, 8, 8), "classes": 10})
    assert load_run(tmp_path / "run").config.model == settled
    targets = verified(tmp_path / "run", tmp_path, "--limit", 10, "--target", "norse", "--target", "nir")
    assert all(found["exact"] for found in targets.values())


def test_a_loss_is_one_file(installed, tmp_path, digits):
    installed("losses/squared.py")
    with pytest.raises(ConfigError, match="loss.height = 0: input should be greater than 0"):
        make_config({"loss": {"name": "squared", "height": 0}}, "x")
    config = tiny_config(loss__name="squared", loss__height=2.0)
    summands, labels = torch.tensor([[[0.5, 1.0]], [[0.5, -2.0]]]), torch.tensor([1])
    expected = (1.0**2 + (-1.0 - 2.0) ** 2) / 2
    assert LOSSES.find("squared")(summands, labels, config.loss).item() == expected
    assert LOSSES.find("squared")(summands, torch.tensor([[0.0, 1.0]]), config.loss).item() == expected
    assert train(config, digits, tmp_path / "run")["test_accuracy"] > 0.3
    assert load_run(tmp_path / "run").config.loss.height == 2.0
