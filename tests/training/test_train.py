import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from runs import tiny_config
from safetensors.torch import load_file, save_file

from asnn_deploy.engine.runner import run
from asnn_deploy.errors import BundleError, ConfigError, DataError, TrainingError
from asnn_deploy.input.data import load_data
from asnn_deploy.ir.trace import Record
from asnn_deploy.models.lowering import lower
from asnn_deploy.models.network import exact_sums
from asnn_deploy.training.config import make_config
from asnn_deploy.training.loading import balanced, batch_of_tests
from asnn_deploy.training.module import TrainingModule
from asnn_deploy.training.presets import PRESETS, preset
from asnn_deploy.training.train import choose_device, settle, train
from asnn_deploy.training.trained import load_run, new_network


def rows(folder):
    with open(folder / "metrics.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_a_run_folder_holds_what_the_contract_says(run_folder):
    names = {path.name for path in run_folder.iterdir()}
    assert names == {
        "config.yaml",
        "model.safetensors",
        "network.npz",
        "metrics.csv",
        "summary.json",
        "rates.csv",
        "curve.png",
        "checkpoints",
    }
    summary = json.loads((run_folder / "summary.json").read_text())
    assert summary["preset"] == "digits-lenet"
    assert summary["parameters"] == sum(p.numel() for p in load_run(run_folder).network.parameters())
    assert 0.3 < summary["test_accuracy"] <= 1
    assert summary["samples_per_second"] > 0
    assert [row["epoch"] for row in rows(run_folder)] == ["0", "1", "2"]
    snapping = summary["snapping"]
    assert 0 <= snapping["spikes_changed"] < snapping["spikes"] / 10
    assert (run_folder / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_training_learns_and_is_seeded(tmp_path, digits, run_folder):
    again = train(tiny_config(), digits, tmp_path / "again")
    first = json.loads((run_folder / "summary.json").read_text())
    assert again["test_accuracy"] == first["test_accuracy"]
    ours, theirs = load_file(tmp_path / "again" / "model.safetensors"), load_file(run_folder / "model.safetensors")
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    leaks = [value for key, value in theirs.items() if key.endswith("leak")]
    assert any((leak != 0.5).any() for leak in leaks), "leaks are learned"


def test_plain_lif_keeps_its_leaks(tmp_path, digits):
    train(tiny_config(model__neuron="lif", training__epochs=1), digits, tmp_path / "lif")
    weights = load_file(tmp_path / "lif" / "model.safetensors")
    assert all((value == 0.5).all() for key, value in weights.items() if key.endswith(("leak", "gain")))


def test_a_run_resumed_with_more_epochs_is_on_their_curve(tmp_path, digits):
    """The first epoch has the whole learning rate, however many follow; the others have that of the longer run."""
    train(tiny_config(training__epochs=1), digits, tmp_path / "run")
    train(tiny_config(training__epochs=3), digits, tmp_path / "run", resume=True)
    train(tiny_config(training__epochs=3), digits, tmp_path / "whole")
    assert rows(tmp_path / "run") == rows(tmp_path / "whole")
    assert [row["epoch"] for row in rows(tmp_path / "run")] == ["0", "1", "2"]


RANDOM = {
    "augmentation__flip": True,
    "augmentation__rotation": 20,
    "augmentation__crop_padding": 1,
    "augmentation__mixup": 1.0,
    "training__epochs": 4,
}


class Killed(BaseException):
    """What no handler catches, as a killed process runs none."""


@pytest.mark.parametrize("epoch", [1, 2, 3])
def test_a_resumed_run_ends_bit_for_bit_as_one_that_never_stopped(epoch, tmp_path, digits, monkeypatch):
    """Weights, optimiser, metrics: whatever epoch is cut off in its middle, order, augmentation and mixup go on."""
    config = tiny_config(**RANDOM)
    train(config, digits, tmp_path / "whole")
    step = TrainingModule.training_step

    def killed(self, batch, index):
        if self.current_epoch == epoch and index == 3:
            raise Killed
        return step(self, batch, index)

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(TrainingModule, "training_step", killed)
        train(config, digits, tmp_path / "cut")
    torch.manual_seed(99)
    train(config, digits, tmp_path / "cut", resume=True)
    whole, cut = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "cut"))
    assert all(torch.equal(whole[key], cut[key]) for key in whole)
    assert rows(tmp_path / "whole") == rows(tmp_path / "cut")
    states = [torch.load(tmp_path / name / "checkpoints" / "last.ckpt", weights_only=True) for name in ("whole", "cut")]
    first, second = (state["optimizer_states"][0]["state"] for state in states)
    assert all(torch.equal(first[i]["exp_avg_sq"], second[i]["exp_avg_sq"]) for i in first)


def test_a_training_that_diverges_stops_there_and_names_the_layer(tmp_path, digits, monkeypatch):
    step = TrainingModule.training_step

    def poisoned(self, batch, index):
        if self.current_epoch == 1 and index == 2:
            with torch.no_grad():
                self.network.layers["fc1_synapses"].weights[0].weight[0, 0] = float("nan")
                self.network.layers["fc2_synapses"].weights[0].weight[0, 0] = float("inf")
        return step(self, batch, index)

    with monkeypatch.context() as patched, pytest.raises(TrainingError) as caught:
        patched.setattr(TrainingModule, "training_step", poisoned)
        train(tiny_config(), digits, tmp_path / "run")
    text = str(caught.value)
    assert "at epoch 1, step 2; NaN or infinity came from first of all layer 'fc1_synapses'" in text
    assert "the checkpoint after epoch 0 is whole; lower training.learning_rate (now 0.005)" in text
    assert caught.value.exit_code == 3
    train(tiny_config(), digits, tmp_path / "run", resume=True)
    assert [row["epoch"] for row in rows(tmp_path / "run")] == ["0", "1", "2"]


@pytest.mark.parametrize(("samples", "processes", "size"), [(257, 2, 257), (512, 2, 256), (360, 4, 256), (258, 3, 258)])
def test_every_process_has_images_of_every_test_batch(samples, processes, size, digits):
    """One of them without any would leave the others waiting."""
    some = replace(digits, labels={"test": digits.labels["test"].repeat(2)[:samples]})
    assert batch_of_tests(some, 256, processes) == size
    few = replace(digits, labels={"test": digits.labels["test"][:1]})
    with pytest.raises(DataError, match=f"1 test images for {processes} processes; lower training.devices"):
        batch_of_tests(few, 256, processes)


@pytest.mark.parametrize(
    "changes",
    [
        {"training__precision": "bf16"},
        {"training__batch_norm": "step"},
        {"training__reset_gradient": "detached"},
        {"model__learned": ["leak", "gain", "threshold", "readout"], "model__granularity": "channel"},
    ],
    ids=["bf16", "batch norm by step", "reset detached", "thresholds learned"],
)
def test_what_is_trained_otherwise_is_deployed_exactly_all_the_same(changes, tmp_path, digits):
    train(tiny_config(**changes), digits, tmp_path / "run")
    trained, images = load_run(tmp_path / "run"), digits.images["test"][:50]
    config, graph = trained.config, lower(trained.network, trained.config.dt)
    trained.network.fold(graph)
    with exact_sums():
        logits, spikes = trained.network.trace(torch.from_numpy(images))
    deployed = run(graph, images, Record(spikes=True))
    for name, fired in spikes.items():
        assert np.array_equal(fired.numpy(), deployed.spikes[name])
    assert np.array_equal(logits.numpy(), deployed.logits)
    if "threshold" in config.model.learned:
        assert any((neuron.parameters["threshold"].values != 1).any() for neuron in graph.neurons)
    network = new_network(config).layers
    assert network["conv1_synapses"].norm_by_step == (config.training.batch_norm == "step")
    assert network["conv1"].cell.p.attached == (config.training.reset_gradient != "detached")


def test_workers_change_nothing(tmp_path, digits, monkeypatch):
    """Neither in a run that nothing disturbs, nor in one that is resumed after an epoch, and cut in mid-epoch."""
    step, config = TrainingModule.training_step, tiny_config(**RANDOM | {"training__workers": 2, "training__epochs": 3})

    def killed(self, batch, index):
        if self.current_epoch == 1 and index == 3:
            raise Killed
        return step(self, batch, index)

    train(tiny_config(**RANDOM | {"training__epochs": 3}), digits, tmp_path / "alone")
    config.training.checkpoint_minutes = 0
    train(config, digits, tmp_path / "helped")
    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(TrainingModule, "training_step", killed)
        train(config, digits, tmp_path / "cut")
    train(config, digits, tmp_path / "cut", resume=True)
    config.training.epochs = 1
    train(config, digits, tmp_path / "longer")
    config.training.epochs = 3
    train(config, digits, tmp_path / "longer", resume=True)
    alone = load_file(tmp_path / "alone" / "model.safetensors")
    for name in ("helped", "cut", "longer"):
        weights = load_file(tmp_path / name / "model.safetensors")
        assert all(torch.equal(alone[key], weights[key]) for key in alone), name


def test_resume_with_another_architecture_is_refused(run_folder, digits, tmp_path):
    shutil.copytree(run_folder, tmp_path / "run")
    before = sorted((p, p.read_bytes()) for p in (tmp_path / "run").rglob("*") if p.is_file())
    with pytest.raises(ConfigError, match=r"trained with model.hidden = 16, now 24; resume with the same, or train"):
        train(tiny_config(model__hidden=24), digits, tmp_path / "run", resume=True)
    with pytest.raises(ConfigError, match=r"trained with time_steps = 3, now 4"):
        train(tiny_config(time_steps=4), digits, tmp_path / "run", resume=True)
    assert sorted((p, p.read_bytes()) for p in (tmp_path / "run").rglob("*") if p.is_file()) == before
    with pytest.raises(BundleError, match="nothing to resume"):
        train(tiny_config(), digits, tmp_path / "absent", resume=True)


def test_an_interrupted_run_can_be_resumed(tmp_path):
    command = [
        sys.executable,
        "-c",
        "from asnn_deploy.cli import main; main()",
        "train",
        "--preset",
        "digits-lenet",
        "--out",
        str(tmp_path / "run"),
        "--set",
        "model.widths=[4, 4]",
        "--train-limit",
        "100",
    ]
    process = subprocess.Popen(
        [*command, "--epochs", "5000"], stderr=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    while not (tmp_path / "run" / "checkpoints" / "last.ckpt").exists():  # the suite's time limit ends what hangs
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode == 130
    assert err.strip().splitlines()[-1] == "error: interrupted"
    assert "Traceback" not in err
    assert not (tmp_path / "run" / "model.safetensors").exists()
    done = len(rows(tmp_path / "run"))
    resumed = subprocess.run([*command, "--resume", "--epochs", str(done + 2)], capture_output=True, text=True)
    assert resumed.returncode == 0, resumed.stderr
    assert len(rows(tmp_path / "run")) >= done + 1
    assert (tmp_path / "run" / "model.safetensors").exists()


def test_what_is_set_must_fit_the_data(digits):
    with pytest.raises(
        DataError, match=r"images are \(1, 8, 8\) .*model.input_shape is \(3, 32, 32\); give other data"
    ):
        settle(tiny_config(model__input_shape=[3, 32, 32]), digits)
    with pytest.raises(
        DataError, match="has 10 classes, model.classes is 4; give other data, or set model.classes=null"
    ):
        settle(tiny_config(model__classes=4), digits)
    assert settle(tiny_config(model__classes=12), digits).model.classes == 12  # labels may leave out the last classes
    named = replace(digits, class_names=tuple("abcdefghij"))
    with pytest.raises(DataError, match="has 10 classes, model.classes is 12"):
        settle(tiny_config(model__classes=12), named)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_take_shape_and_classes_from_the_data(name, digits):
    two = replace(digits, classes=2, labels={split: labels % 2 for split, labels in digits.labels.items()})
    settled = settle(make_config(preset(name), name), two).model
    assert (settled.input_shape, settled.classes) == ((1, 8, 8), 2)


def test_images_too_small_for_the_poolings(digits, tmp_path):
    with pytest.raises(ConfigError, match="4 poolings needs images of at least 16x16 pixels, found 8x8"):
        train(tiny_config(model__widths=[2, 2, 2, 2]), digits, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_cuda_asked_for_and_absent(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="training.device = cuda: no CUDA device"):
        choose_device("cuda")
    assert choose_device("auto") == "cpu"


def test_a_limit_takes_the_same_share_of_each_class():
    labels = np.repeat([0, 1, 2], [50, 30, 20])
    chosen = labels[balanced(labels, 30)]
    assert np.bincount(chosen).tolist() == [10, 10, 10]
    assert len(balanced(labels, None)) == len(balanced(labels, 1000)) == 100


@pytest.fixture
def copied(run_folder, tmp_path):
    shutil.copytree(run_folder, tmp_path / "run")
    return tmp_path / "run"


def test_a_missing_or_damaged_model_is_one_line(copied):
    weights = copied / "model.safetensors"
    whole = weights.read_bytes()
    for damage in (whole[: len(whole) // 2], b"", b"not safetensors"):
        weights.write_bytes(damage)
        with pytest.raises(BundleError, match="model.safetensors: damaged") as caught:
            load_run(copied)
        assert "\n" not in str(caught.value)
    weights.unlink()
    with pytest.raises(BundleError, match="missing; the training has not finished"):
        load_run(copied)
    (copied / "config.yaml").unlink()
    with pytest.raises(BundleError, match="not a run folder"):
        load_run(copied)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("layers.readout.scale"), "lacks 'layers.readout.scale'"),
        (lambda t: t.update({"layers.readout.scale": torch.ones(9)}), r"has shape \(9,\), config.yaml needs \(3,\)"),
        (lambda t: t.update({"foreign": torch.ones(1)}), "holds 'foreign', which the network"),
    ],
)
def test_foreign_weights_are_named(copied, change, message):
    tensors = load_file(copied / "model.safetensors")
    change(tensors)
    save_file(tensors, copied / "model.safetensors")
    with pytest.raises(BundleError, match=message):
        load_run(copied)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["digits-sew-resnet", "digits-spikformer"])
def test_the_papers_networks_learn_digits(name, tmp_path):
    """As `train --preset` does: at least 95 %, and as much in integers."""
    config = make_config(preset(name), name)
    summary = train(config, load_data(config.data), tmp_path / "run")
    assert summary["test_accuracy"] >= 0.95
    assert summary["test_accuracy_fixed"] >= 0.95
