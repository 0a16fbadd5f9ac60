"""Losses against their equations, written out in Python numbers."""

from __future__ import annotations

import math

import pytest
import torch
from runs import tiny_config

from asnn_deploy.errors import ConfigError
from asnn_deploy.training.losses import LOSSES
from asnn_deploy.training.network import build_model
from asnn_deploy.training.train import train

T, B, C = 4, 3, 5


def drawn():
    generator = torch.Generator().manual_seed(0)
    labels = torch.tensor([1, 4, 0])
    shares = torch.rand(B, C, generator=generator)
    return torch.randn(T, B, C, generator=generator).double(), labels, (shares / shares.sum(1, keepdim=True)).double()


def entropy(logits, shares, smoothing):
    """`-sum y log softmax(x)` with smoothed y, the mean over samples; plain numbers."""
    total = 0.0
    for row, share in zip(logits, shares):
        norm = math.log(sum(math.exp(x) for x in row))
        total -= sum(((1 - smoothing) * y + smoothing / C) * (x - norm) for x, y in zip(row, share))
    return total / len(logits)


def one_hot(labels):
    return [[float(c == label) for c in range(C)] for label in labels.tolist()]


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_of_the_answer(smoothing):
    summands, labels, shares = drawn()
    config = LOSSES["cross-entropy"].section(label_smoothing=smoothing)
    answers = summands.sum(0).tolist()
    for targets, plain in ((labels, one_hot(labels)), (shares, shares.tolist())):
        found = LOSSES["cross-entropy"](summands, targets, config)
        assert float(found) == pytest.approx(entropy(answers, plain, smoothing), rel=1e-12)


@pytest.mark.parametrize("weights", [None, [0.0, 1.0, 2.0, 5.0]])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_temporal_efficient_training(weights, smoothing):
    summands, labels, _ = drawn()
    tet = LOSSES["tet"]
    config = tet.section(name="tet", label_smoothing=smoothing, spread=0.3, step_weights=weights)
    found = tet(summands, labels, config)
    outputs = (summands * T).tolist()
    each = [entropy(output, one_hot(labels), smoothing) for output in outputs]
    w = weights or [1.0] * T
    entropies = sum(a * b for a, b in zip(w, each)) / sum(w)
    squares = [(x - 1) ** 2 for output in outputs for row in output for x in row]
    assert float(found) == pytest.approx(0.7 * entropies + 0.3 * sum(squares) / len(squares), rel=1e-12)


def test_the_summands_add_up_to_the_answer():
    torch.manual_seed(0)
    network = build_model(tiny_config(), (1, 8, 8), 10)
    torch.nn.init.uniform_(network.answer.scale, 0.5, 1.5)
    images = torch.randint(0, 256, (6, 1, 8, 8), dtype=torch.uint8)
    summands = network.eval().step_logits(images)
    assert summands.shape == (3, 6, 10)
    assert torch.allclose(summands.sum(0), network(images))


def test_training_with_tet_learns(tmp_path, digits):
    config = tiny_config(loss__name="tet", loss__label_smoothing=0.05, loss__step_weights=[1, 1, 2])
    assert train(config, digits, tmp_path / "run")["test_accuracy"] > 0.3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss__step_weights": [1, 1, 1]}, "belongs to loss.name = tet"),
        ({"loss__name": "tet", "loss__step_weights": [1]}, "needed are 3 numbers"),
        ({"loss__name": "tet", "loss__step_weights": [0, 0, 0]}, "not all 0"),
    ],
)
def test_step_weights_that_do_not_fit(changes, message, tmp_path, digits):
    with pytest.raises(ConfigError, match=message):
        train(tiny_config(**changes), digits, tmp_path / "run")
    assert not (tmp_path / "run").exists()
