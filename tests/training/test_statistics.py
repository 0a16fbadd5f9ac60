"""Batch norm's statistics as they are deployed: measured on the training images, behind one another."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from runs import tiny_config, warmed_up

from asnn_deploy.input.data import Data, load_data
from asnn_deploy.models import statistics
from asnn_deploy.models.layers import Synapses
from asnn_deploy.models.statistics import settle_statistics
from asnn_deploy.training.config import make_config, merge
from asnn_deploy.training.loading import settling_images
from asnn_deploy.training.network import build_model
from asnn_deploy.training.presets import preset
from asnn_deploy.training.summary import APART
from asnn_deploy.training.train import train

SMALL = {"sew-resnet": {"model.widths": [4, 6]}, "spikformer": {"model.widths": [4, 8], "model.hidden": 8}, "lenet": {}}


def built(name):
    """A small network of each kind that spikes, and images."""
    torch.manual_seed(0)
    config = make_config(merge(preset(f"digits-{name}"), {"coding": "hybrid-latency"} | SMALL[name]), "small")
    return warmed_up(build_model(config, (1, 8, 8), 10), (1, 8, 8), 12)


def arriving(network, images):
    """What arrives at each norm in evaluation, at all steps and images: `[C, all]` by layer and pair, in float64."""
    found = {}

    def look(key):
        return lambda _norm, inputs: found.setdefault(key, []).append(inputs[0].double().transpose(0, 1).flatten(1))

    hooks = [
        norm.register_forward_pre_hook(look((name, k)))
        for name, layer in network.layers.items()
        if isinstance(layer, Synapses)
        for k, norm in enumerate(layer.norms)
    ]
    with torch.no_grad():
        network.trace(images)
    for hook in hooks:
        hook.remove()
    return {key: torch.cat(parts, 1) for key, parts in found.items()}


@pytest.mark.parametrize("name", SMALL)
def test_each_norm_has_the_statistics_of_what_arrives_as_deployed(name):
    """Behind the other norms as they are deployed, and each stem over its own steps alone."""
    network, images = built(name)
    settle_statistics(network.train(), images)
    assert network.training
    seen = arriving(network.eval(), images)
    assert {k for _, k in seen} == {0, 1}, "the stem has two norms"
    for (layer, k), x in seen.items():
        norm = network.layers[layer].norms[k]
        torch.testing.assert_close(norm.running_mean.double(), x.mean(1), rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(norm.running_var.double(), x.var(1, correction=0), rtol=1e-5, atol=1e-6)


def test_steps_that_share_weights_need_not_stand_in_a_row():
    network, images = built("lenet")
    stem = network.layers["conv1_synapses"]
    stem.index = [t % 2 for t in range(len(stem.index))]
    settle_statistics(network, images)
    seen = arriving(network, images)
    for k, norm in enumerate(stem.norms):
        torch.testing.assert_close(norm.running_mean.double(), seen["conv1_synapses", k].mean(1), rtol=1e-5, atol=1e-5)


def test_groups_have_the_statistics_of_all(monkeypatch):
    """To the last bits at the stem, which nothing is in front of; behind it, nearly."""
    network, images = built("lenet")
    settle_statistics(network, images)
    whole = {key: value.clone() for key, value in network.state_dict().items()}
    settle_statistics(network, images)
    assert all(torch.equal(whole[key], value) for key, value in network.state_dict().items()), "not deterministic"
    monkeypatch.setattr(statistics, "ROOM", 5 * statistics._largest_signal(network, images[:1]))
    settle_statistics(network, images)
    for key, value in network.state_dict().items():
        if key.startswith("layers.conv1"):
            torch.testing.assert_close(value, whole[key])
    assert not torch.equal(network.state_dict()["layers.fc1_synapses.norms.0.running_mean"], whole[key])


def test_which_images_are_measured(digits):
    assert np.array_equal(settling_images(tiny_config(), digits), digits.images["train"])
    limited = settling_images(tiny_config(training__limit=100), digits)
    assert len(limited) == 100
    assert settling_images(tiny_config(training__statistics="running"), digits) is None


def two_kinds(seed):
    """60 to 300 small pictures of two kinds, and as many for the test: a shape of 3x3 pixels anywhere, in noise."""
    rng = np.random.default_rng(seed)
    count = 2 * int(rng.integers(60, 301))
    labels = np.arange(count) % 2
    images = rng.integers(0, rng.integers(40, 160), (count, 1, 8, 8), dtype=np.uint8)
    shapes = rng.random((2, 3, 3)) < 0.5
    shapes[1] ^= rng.random((3, 3)) < 0.7
    for image, label, (row, column) in zip(images[:, 0], labels, rng.integers(0, 6, (count, 2))):
        image[row : row + 3, column : column + 3][shapes[label]] = rng.integers(170, 256)
    half = count // 2
    parts = {"train": slice(0, half), "test": slice(half, count)}
    return Data(
        f"two kinds {seed}", {k: images[at] for k, at in parts.items()}, {k: labels[at] for k, at in parts.items()}, 2
    )


def parted(config, data, folder):
    """By how much of the training images training mode and deployment part."""
    summary = train(config, data, folder)
    return abs(summary["train_accuracy"] - summary["train_accuracy_training_mode"])


@pytest.mark.parametrize(
    "seed", [seed if seed < 2 else pytest.param(seed, marks=pytest.mark.slow) for seed in range(20)]
)
def test_a_small_set_is_answered_as_deployed_as_it_was_in_training(seed, tmp_path, capfd):
    """Whatever the number of epochs: also with so few that a running average is far behind."""
    epochs = [4, 12, 25][seed % 3]
    config = make_config(merge(preset("digits-lenet"), {"training.epochs": epochs, "model.classes": 2}), "small")
    assert parted(config, two_kinds(seed), tmp_path / "run") <= APART
    assert "as deployed;" not in capfd.readouterr().err


@pytest.mark.parametrize(
    "name",
    [
        "digits-lenet",
        *(pytest.param(f"digits-{name}", marks=pytest.mark.slow) for name in ("sew-resnet", "spikformer")),
    ],
)
def test_every_small_preset_is_deployed_as_trained(name, tmp_path):
    config = make_config(merge(preset(name), {"training.epochs": 1}), name)
    assert parted(config, load_data("digits"), tmp_path / "run") <= APART


def test_running_averages_are_warned_about_in_one_line(tmp_path, capfd):
    """The reference code's way, which few batches lead astray."""
    config = make_config(
        merge(
            preset("digits-lenet"),
            {
                "training.epochs": 3,
                "model.classes": 2,
                "training.statistics": "running",
                "training.batch_norm": "step",
                "training.limit": 64,
            },
        ),
        "small",
    )
    data = two_kinds(3)
    assert parted(config, data, tmp_path / "run") > APART
    (line,) = [line for line in capfd.readouterr().err.splitlines() if "as deployed" in line]
    assert line.startswith("warning: of 64 training images, ")
    assert line.endswith("; train with training.statistics=deployed")
