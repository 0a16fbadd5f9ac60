"""The validation split, and the epoch that is deployed by it."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from runs import tiny_config
from safetensors.torch import load_file

from asnn_deploy.errors import ConfigError, DataError
from asnn_deploy.training.monitor import Monitor
from asnn_deploy.training.processes import weights
from asnn_deploy.training.train import train
from asnn_deploy.training.validation import with_validation

BEST = {"training__validation": 0.2, "training__deploy": "best", "training__epochs": 4, "training__limit": 200}


def split(data, share, seed=0):
    return with_validation(data, tiny_config(training__validation=share, training__seed=seed).training)


def test_the_same_share_of_each_class_is_taken_out(digits):
    parts = split(digits, 0.2)
    counts = {name: np.bincount(labels) for name, labels in parts.labels.items()}
    whole = np.bincount(digits.labels["train"])
    assert np.array_equal(counts["validation"], np.round(0.2 * whole))
    assert np.array_equal(counts["validation"] + counts["train"], whole)
    together = np.concatenate([parts.images["train"], parts.images["validation"]])
    assert sorted(map(bytes, together)) == sorted(map(bytes, digits.images["train"])), "no image twice, none lost"
    assert parts.images["test"] is digits.images["test"]
    assert split(digits, 0) is digits


def test_the_seed_draws_the_split(digits):
    first, again, other = (split(digits, 0.1, seed).images["validation"] for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_class_keeps_an_image_to_train_on(digits):
    few = replace(
        digits,
        images={k: v[:5] for k, v in digits.images.items()},
        labels={k: np.array([0, 0, 0, 0, 1]) for k in digits.labels},
    )
    parts = split(few, 0.99)
    assert [sorted(parts.labels[k]) for k in ("train", "validation")] == [[0, 1], [0, 0, 0]]
    with pytest.raises(DataError, match="validation = 0.1 takes no image of any class out of 5 training images; raise"):
        split(few, 0.1)


def test_the_best_epoch_without_a_split_is_refused(digits, tmp_path):
    with pytest.raises(ConfigError, match="best epoch is chosen on a validation split.*; set training.validation=0.1"):
        train(tiny_config(training__deploy="best"), digits, tmp_path / "run")
    assert not (tmp_path / "run").exists()


SCRIPTED = [(0.5, 0.1), (0.9, 0.3), (0.9, 0.2), (0.8, 0.1)]
"""Validation accuracy and loss of each epoch: the third has the lower loss of the two most accurate."""


@pytest.fixture
def scripted(monkeypatch):
    """The weights at the end of each epoch, of trainings whose validation comes out as scripted."""
    kept, finish = {}, Monitor.on_train_epoch_end

    def spying(self, trainer, module):
        finish(self, trainer, module)
        kept[trainer.current_epoch] = weights(module.network)
        self.rows[-1] |= dict(zip(("validation_accuracy", "validation_loss"), SCRIPTED[trainer.current_epoch]))

    monkeypatch.setattr(Monitor, "on_train_epoch_end", spying)
    return kept


def assert_deployed(folder, epoch, kept):
    assert json.loads((folder / "summary.json").read_text())["deployed_epoch"] == epoch
    found = load_file(folder / "model.safetensors")
    assert all(torch.equal(found[key], value) for key, value in kept[epoch].items())
    assert any(not torch.equal(found[key], value) for key, value in kept[epoch - 1].items())


def test_the_best_epochs_weights_are_deployed(digits, tmp_path, scripted):
    train(tiny_config(**BEST), digits, tmp_path / "best")
    assert_deployed(tmp_path / "best", 2, scripted)
    train(tiny_config(**BEST | {"training__deploy": "last"}), digits, tmp_path / "last")
    assert_deployed(tmp_path / "last", 3, scripted)


class Killed(BaseException):
    """What no handler catches."""


@pytest.mark.parametrize("epoch", [1, 3])
def test_a_killed_run_still_has_its_best_weights(epoch, digits, tmp_path, scripted, monkeypatch):
    """Though they are of an epoch before the one that it was killed in."""
    finish = Monitor.on_train_epoch_end

    def killed(self, trainer, module):
        if trainer.current_epoch == epoch:
            raise Killed
        finish(self, trainer, module)

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(Monitor, "on_train_epoch_end", killed)
        train(tiny_config(**BEST), digits, tmp_path / "run")
    train(tiny_config(**BEST), digits, tmp_path / "run", resume=True)
    assert_deployed(tmp_path / "run", 2, scripted)


def test_the_test_split_decides_nothing(digits, tmp_path):
    """With test labels at random, the same weights are deployed: those of the best row of the table."""
    rng = np.random.default_rng(0)
    muddled = replace(digits, labels=digits.labels | {"test": rng.permutation(digits.labels["test"])})
    for name, data in (("as it is", digits), ("muddled", muddled)):
        summary = train(tiny_config(**BEST), data, tmp_path / name)
        with open(tmp_path / name / "metrics.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        scores = [(float(row["validation_accuracy"]), -float(row["validation_loss"])) for row in rows]
        assert summary["deployed_epoch"] == scores.index(max(scores))
        assert summary["validation_samples"] == len(split(digits, 0.2).labels["validation"])
        assert summary["validation_accuracy"] == pytest.approx(max(scores)[0], abs=0.01)
    ours, theirs = (load_file(tmp_path / name / "model.safetensors") for name in ("as it is", "muddled"))
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


@pytest.mark.parametrize("change", [{"training__validation": 0.3}, {"training__deploy": "last"}])
def test_a_run_is_resumed_with_its_own_split_and_choice(change, digits, tmp_path):
    """Other images would have been trained on; weights of epochs that are over are not there any more."""
    train(tiny_config(**BEST | {"training__epochs": 1}), digits, tmp_path / "run")
    (key,) = change
    with pytest.raises(ConfigError, match=f"trained with {key.replace('__', '.')} = .*, now .*; resume with the same"):
        train(tiny_config(**BEST | change), digits, tmp_path / "run", resume=True)
