"""Distillation and its teachers, the price on synaptic operations."""

from __future__ import annotations

import csv
import math
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from runs import tiny_config

from asnn_deploy.energy import Counter
from asnn_deploy.engine.runner import run
from asnn_deploy.errors import BundleError, ConfigError
from asnn_deploy.ir.trace import Record
from asnn_deploy.models.lowering import lower
from asnn_deploy.training.distillation import distillation
from asnn_deploy.training.network import build_model
from asnn_deploy.training.sop_penalty import sop_penalty
from asnn_deploy.training.teacher import load_teacher
from asnn_deploy.training.train import train


def softmax(row, temperature):
    total = sum(math.exp(x / temperature) for x in row)
    return [math.exp(x / temperature) / total for x in row]


@pytest.mark.parametrize("temperature", [1.0, 3.5])
def test_distillation_is_its_equation(temperature):
    generator = torch.Generator().manual_seed(0)
    summands, taught = torch.randn(4, 3, 5, generator=generator).double(), torch.randn(3, 5, generator=generator)
    expected = 0.0
    for ours, theirs in zip(summands.sum(0).tolist(), taught.tolist()):
        p, q = softmax(theirs, temperature), softmax(ours, temperature)
        expected += temperature**2 * sum(a * math.log(a / b) for a, b in zip(p, q)) / 3
    assert float(distillation(summands, taught, temperature)) == pytest.approx(expected, rel=1e-6)
    assert float(distillation(summands, summands.sum(0), temperature)) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("coding", ["direct", "hybrid-latency"])
def test_traffic_is_what_the_counter_counts(coding):
    """The share of synaptic operations, but for the image's border: of a network without one, it is the counter's."""
    torch.manual_seed(0)
    config = tiny_config(coding=coding, model__widths=[6])
    network = build_model(config, (1, 8, 8), 10)
    images = torch.randint(0, 256, (40, 1, 8, 8), dtype=torch.uint8)
    for _ in range(20):
        network(images)
    network.eval()
    graph = lower(network)
    counter = Counter(graph)
    counter.add(images.numpy(), run(graph, images.numpy(), Record(spikes=True, step_logits=True)))
    counts = {layer.name: layer for layer in counter.result().layers}
    linear = [counts["fc1_synapses"], counts["fc2_synapses"]]  # they have no border
    sops = sum(layer.total("acs") + layer.total("macs") for layer in linear)
    dense = config.time_steps * (6 * 16 * 16 + 16 * 10)
    network.fold(graph)
    _, traffic = network.watched(images)
    assert traffic.shape == (3,)
    assert float(sop_penalty(traffic).detach()) == pytest.approx(sops / dense, rel=1e-5)
    assert 0 < sops < dense


def rows(folder, name="metrics.csv"):
    with open(folder / name, newline="") as file:
        return list(csv.DictReader(file))


def test_a_price_makes_spikes_rarer_and_segments_change_nothing(digits, tmp_path):
    found = {}
    for name, changes in {
        "free": {},
        "priced": {"loss__sop_penalty": 3.0},
        "in parts": {"loss__sop_penalty": 3.0, "training__segment": 1},
    }.items():
        step = {"training__precision": "64", "training__batch_norm": "step"}
        config = tiny_config(monitor__energy=True, **step, **changes)
        train(config, digits, tmp_path / name)
        found[name] = rows(tmp_path / name)[-1]
    assert float(found["priced"]["sops"]) < 0.8 * float(found["free"]["sops"])
    assert float(found["priced"]["energy_joules"]) < float(found["free"]["energy_joules"])
    for key, value in found["priced"].items():
        assert float(found["in parts"][key]) == pytest.approx(float(value), rel=1e-6), key


def ann(path, classes=10, width=64):
    """A linear network as ONNX."""
    rng = np.random.default_rng(0)
    weights = helper.make_tensor("w", TensorProto.FLOAT, (width, classes), rng.normal(size=width * classes))
    nodes = [helper.make_node("Flatten", ["x"], ["flat"]), helper.make_node("MatMul", ["flat", "w"], ["y"])]
    images = helper.make_tensor_value_info("x", TensorProto.FLOAT, list("nchw"))
    logits = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", classes])
    graph = helper.make_graph(nodes, "ann", [images], [logits], [weights])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return np.array(weights.float_data).reshape(width, classes)


def test_an_onnx_file_teaches(digits, tmp_path):
    weights = ann(tmp_path / "ann.onnx")
    teacher = load_teacher(tmp_path / "ann.onnx", digits, 10, "raw")
    images = digits.images["test"][:7]
    found = teacher.logits(torch.from_numpy(images)).numpy()
    assert np.allclose(found, images.reshape(7, -1) / 255 @ weights, atol=1e-4)


def test_a_run_of_more_steps_teaches(run_folder, digits, tmp_path):
    """Taught by nothing but a run, a network answers as the run does: more often than its labels would make it."""
    teacher = load_teacher(run_folder, digits, 10, "raw")
    images = torch.from_numpy(digits.images["test"])
    taught = teacher.logits(images).argmax(1)
    config = tiny_config(time_steps=2, loss__teacher=str(run_folder), loss__teacher_share=1.0, training__epochs=4)
    shuffled = digits.labels["train"][np.random.default_rng(0).permutation(len(digits.labels["train"]))]
    wrong = replace(digits, labels=digits.labels | {"train": shuffled})
    summary = train(config, wrong, tmp_path / "run")
    assert summary["test_accuracy"] > 0.5
    labels = torch.from_numpy(digits.labels["test"])
    assert (taught == labels).float().mean() > 0.5


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "no such file"),
        (lambda path: path.write_bytes(b"nothing"), "not readable as ONNX"),
        (lambda path: ann(path, classes=3), r"answers \(2, 3\) for 2 images, needed are 10 logits for each"),
        (lambda path: ann(path, width=9), r"cannot read images \(1, 8, 8\)"),
    ],
)
def test_what_cannot_teach_is_refused(make, message, digits, tmp_path):
    make(tmp_path / "ann.onnx")
    with pytest.raises((BundleError, ConfigError), match=message):
        train(tiny_config(loss__teacher=str(tmp_path / "ann.onnx")), digits, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_folder_that_is_no_run_is_refused(digits, tmp_path):
    with pytest.raises(BundleError, match="not a run folder"):
        load_teacher(tmp_path, digits, 10, "raw")
