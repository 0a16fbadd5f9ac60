"""Training with few bits: what is trained is what is quantised, and the module in integers is the integer reference."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from runs import tiny_config
from torch import nn

from asnn_deploy.deploy.source import open_source
from asnn_deploy.engine.runner import run
from asnn_deploy.errors import BundleError, ConfigError
from asnn_deploy.ir.fixed_point import largest
from asnn_deploy.ir.layers import Conv, Linear
from asnn_deploy.ir.trace import Record
from asnn_deploy.models.fake_quantization import fake_quantized, rounded_weight, settled_clips
from asnn_deploy.models.lowering import lower
from asnn_deploy.quantizing import Quantization, quantize
from asnn_deploy.training.network import build_model
from asnn_deploy.training.train import train
from asnn_deploy.training.trained import load_run

CODINGS = [("direct", 3), ("hybrid-latency", 4), ("hybrid-embedding", 5), ("embedding-reference", 5)]


def warmed_up(bits, coding="hybrid-latency", steps=4, granularity="layer"):
    """A network for few bits with random leaks, gains and batch norms, factors of both signs."""
    torch.manual_seed(bits or 0)
    config = tiny_config(coding=coding, time_steps=steps, model__granularity=granularity, quantization__bits=bits)
    network = build_model(config, (2, 9, 8), 5)
    for name, parameter in network.named_parameters():
        if name.endswith(("leak", "scale")):
            nn.init.uniform_(parameter, 0.3, 0.9)
        elif name.endswith("gain"):
            nn.init.uniform_(parameter, 0.5, 2.5)
        elif "norms" in name and name.endswith("weight"):
            nn.init.uniform_(parameter, -1.5, 1.5)
    images = torch.randint(0, 256, (24, 2, 9, 8), dtype=torch.uint8)
    for _ in range(20):
        network.settle_clips()
        network(images)
    return network.eval(), images


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize(("coding", "steps"), CODINGS)
def test_what_is_trained_is_what_is_quantised(bits, coding, steps):
    """Batch norm, 1/255 and order-free grids in between: each weight keeps the integer that training saw."""
    network, _ = warmed_up(bits, coding, steps)
    fixed = quantize(replace(lower(network), quantization=Quantization(bits)))
    for name, module in network.layers.items():
        layer = fixed.by_name[name]
        if isinstance(layer, (Conv, Linear)):
            for t in range(steps):
                k = module.index[t]
                seen = fake_quantized(module.weights[k].weight, bits, module.clips[k]).detach().numpy()
                magnitudes = np.abs(seen).reshape(len(seen), -1).max(1)
                integers = np.rint(seen / magnitudes.reshape(-1, *(1,) * (seen.ndim - 1)) * largest(bits))
                sign = np.sign(module.norms[k].weight.detach().numpy()) if module.norms else np.ones(len(seen))
                assert np.array_equal(layer.weight.at(t), integers * sign.reshape(-1, *(1,) * (seen.ndim - 1))), name


@pytest.mark.parametrize("bits", [None, 2, 4])
@pytest.mark.parametrize("granularity", ["layer", "channel", "neuron"])
def test_the_module_in_integers_equals_the_integer_reference(bits, granularity):
    """Two implementations of the fixed-point arithmetic: torch integers and NumPy."""
    network, images = warmed_up(bits, granularity=granularity)
    fixed = quantize(replace(lower(network), quantization=Quantization(bits or 8)))
    network.fold(fixed)
    with torch.no_grad():
        logits, spikes = network.trace(images)
    trace = run(fixed, images.numpy(), Record(spikes=True))
    assert list(trace.spikes) == ["conv1", "conv2", "fc1"] == list(spikes)
    for name in spikes:
        assert np.array_equal(trace.spikes[name], spikes[name].numpy())
        assert 0.01 < trace.spikes[name].mean() < 0.9, name
    assert np.array_equal(trace.logits, logits.numpy())


def test_average_pooling_in_integers():
    network, images = warmed_up(3)
    network.layers["conv1_pool"].module = nn.AvgPool2d(2)
    fixed = quantize(replace(lower(network), quantization=Quantization(3)))
    network.fold(fixed)
    with torch.no_grad():
        logits, _ = network.trace(images)
    assert np.array_equal(run(fixed, images.numpy()).logits, logits.numpy())


def test_straight_through():
    weight = torch.randn(5, 3, 2, 2, requires_grad=True)
    clips = torch.linspace(0.5, 1.0, 5)
    rounded = fake_quantized(weight, 3, clips)
    assert np.allclose(rounded.detach().numpy(), rounded_weight(weight.detach().numpy(), 3, clips.numpy()), atol=1e-6)
    assert all(len(torch.unique(channel.detach().round(decimals=5))) <= 7 for channel in rounded)
    (rounded * torch.arange(60.0).reshape(5, 3, 2, 2)).sum().backward()
    assert torch.equal(weight.grad, torch.arange(60.0).reshape(5, 3, 2, 2)), "as if nothing had been rounded"
    assert (settled_clips(weight.detach().numpy(), 2) <= 1).all()


def test_a_run_with_few_bits(tmp_path, digits, run_folder):
    """Started from a trained run; folder, summary, float and integer forms agree with each other."""
    config = tiny_config(quantization__bits=3, training__epochs=1, training__learning_rate=1e-3)
    summary = train(config, digits, tmp_path / "run", start=run_folder)
    first = json.loads((run_folder / "summary.json").read_text())
    assert summary["test_accuracy_fixed"] > first["test_accuracy"] - 0.15, "it began where the run had ended"
    assert summary["quantization"] == {"bits": 3, "scales": "channel", "clips": {}}
    source = open_source(tmp_path / "run")
    fixed, images = source.deployment.fixed, digits.images["test"]
    assert all(np.abs(x.weight.values).max() == 3 for x in fixed.layers if isinstance(x, (Conv, Linear)))
    record = Record(spikes=True)
    whole, part = run(source.graph, images, record), run(fixed, images, record)
    assert np.mean(part.predictions == digits.labels["test"]) == summary["test_accuracy_fixed"]
    for name in whole.spikes:  # only leaks, gains and biases are left to round
        assert np.mean(whole.spikes[name] != part.spikes[name]) < 0.002, name
    network = load_run(tmp_path / "run").network
    network.fold(fixed)
    with torch.no_grad():
        _, spikes = network.trace(torch.from_numpy(images))
    assert all(np.array_equal(spikes[name].numpy(), part.spikes[name]) for name in part.spikes)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        (
            {"model__hidden": 24},
            ConfigError,
            "was trained with model.hidden = 16, now 24; start from a run of the same",
        ),
        ({"coding": "latency"}, ConfigError, "was trained with coding = hybrid-latency, now latency"),
        ({"quantization__scales": "layer"}, ConfigError, "quantization.bits = 4: training with few bits needs"),
    ],
)
def test_a_start_that_cannot_be(tmp_path, digits, run_folder, changes, error, message):
    with pytest.raises(error, match=message):
        train(tiny_config(quantization__bits=4, **changes), digits, tmp_path / "x", start=run_folder)
    assert not (tmp_path / "x").exists()


def test_a_start_that_is_no_run(tmp_path, digits):
    with pytest.raises(BundleError, match="not a run folder"):
        train(tiny_config(), digits, tmp_path / "x", start=tmp_path)


def test_resume_with_other_bits_is_refused(digits, run_folder):
    with pytest.raises(ConfigError, match=r"quantization.bits = None, now 4"):
        train(tiny_config(quantization__bits=4), digits, run_folder, resume=True)
