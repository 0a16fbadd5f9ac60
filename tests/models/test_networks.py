"""The networks of the papers: their sizes, that they are deployed as they are trained, and what they refuse."""

import numpy as np
import pytest
import runs
import torch
import torchvision
from networks.making import CODING_STEPS
from neuron_steps import float_step
from runs import tiny_config
from torch import nn
from torch.nn import functional

from asnn_deploy.analysis.order_free import analyse
from asnn_deploy.engine.runner import run
from asnn_deploy.errors import ConfigError
from asnn_deploy.input.coding import input_code
from asnn_deploy.ir.graph import INPUT
from asnn_deploy.ir.neurons import lif
from asnn_deploy.ir.trace import Record
from asnn_deploy.models.builder import Builder
from asnn_deploy.models.config import ModelConfig
from asnn_deploy.models.lowering import lower
from asnn_deploy.quantizing import quantize
from asnn_deploy.training.config import make_config, merge
from asnn_deploy.training.network import build_model
from asnn_deploy.training.presets import preset

SMALL = {
    "lenet": {"model.widths": [4, 6], "model.hidden": 12, "model.time_kernel": 3},
    "sew-resnet": {"model.widths": [4, 6], "model.depth": 1},
    "spikformer": {"model.widths": [4, 8], "model.depth": 1, "model.heads": 2, "model.hidden": 12, "model.patch": 2},
}


def configured(name, shape=(2, 8, 8), **changes):
    dotted = {key.replace("__", "."): value for key, value in changes.items()}
    return build_model(tiny_config(**{"model.name": name, **SMALL[name], **dotted}), shape, 5)


def plain(preset_name, **model):
    """A preset's network with plain LIF neurons and one input coding: what the papers count."""
    values = merge(preset(preset_name), {"coding": "direct", "model.neuron": "lif", **model})
    return make_config(values, preset_name)


def learned(network):
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def test_the_reference_lenet_has_the_layers_of_its_code():
    """Source: the reference code of ASNN, `lenet_spiking.py`: two stems, 48 and 64 channels, 1024 -> 256 -> 100."""
    config = make_config(preset("cifar-lenet"), "preset")
    assert config.data.split(":")[0] == "cifar100"
    assert config.time_steps == 7
    stems = [nn.Conv2d(3, 32, 3), nn.Conv2d(3, 32, 3), nn.BatchNorm2d(32), nn.BatchNorm2d(32)]
    convolutions = [nn.Conv2d(32, 48, 3), nn.BatchNorm2d(48), nn.Conv2d(48, 64, 3), nn.BatchNorm2d(64)]
    linear = [nn.Linear(1024, 256), nn.BatchNorm1d(256), nn.Linear(256, 100)]
    per_step = 2 * 4 * 7 + 7  # leak and gain of four layers, and the readout's scale
    expected = sum(p.numel() for layer in (*stems, *convolutions, *linear) for p in layer.parameters()) + per_step
    assert learned(build_model(config, (3, 32, 32), 100)) == expected


@pytest.mark.parametrize("stem", ["cifar", "imagenet"])
def test_sew_resnet_18_has_the_parameters_of_resnet_18(stem):
    """SEW-ResNet exchanges rectifiers for neurons without weights (Fang et al. 2021, section 4), so the count is that
    of He et al. 2016's ResNet-18, of which torchvision has an implementation of its own."""
    theirs = torchvision.models.resnet18(num_classes=10)
    if stem == "cifar":
        theirs.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    ours = build_model(plain("cifar-sew-resnet18", **{"model.stem": stem}), (3, 32, 32), 10)
    assert learned(ours) == learned(theirs)


def test_sew_resnet_18_for_imagenet():
    ours = build_model(plain("cifar-sew-resnet18", **{"model.stem": "imagenet"}), (3, 224, 224), 1000)
    assert learned(ours) == 11_689_512  # torchvision's documentation of resnet18
    assert ours.layers["pool"].module.kernel_size == (7, 7)


@pytest.mark.parametrize(
    ("depth", "width", "millions"),
    [(4, 256, 4.15), (2, 384, 5.76), (4, 384, 9.32)],
)
def test_spikformer_has_the_parameters_of_the_paper(depth, width, millions):
    """Zhou et al. 2023, table of results on CIFAR: Spikformer-4-256, -2-384 and -4-384, in millions, cut off."""
    sizes = {"model.widths": [width // 8, width // 4, width // 2, width], "model.hidden": 4 * width}
    network = build_model(
        plain("cifar-spikformer", **{"model.depth": depth, **sizes, "model.heads": 8}), (3, 32, 32), 10
    )
    assert learned(network) // 10_000 / 100 == millions


def test_half_the_threshold_is_twice_the_input():
    """Why attention is scaled by 0.25 for the authors' 0.125 and threshold of 0.5."""
    rng = np.random.default_rng(0)
    states = [{"v": np.zeros(100)}] * 2
    for _ in range(20):
        x = rng.integers(0, 40, 100)
        fired = []
        for i, (scale, threshold) in enumerate([(0.125, 0.5), (0.25, 1.0)]):
            p = {"leak": np.float64(0.5), "gain": np.float64(0.5), "threshold": np.float64(threshold), "bias": 0.0}
            spikes, states[i] = float_step(lif.model, states[i], x * scale, p)
            fired.append(spikes)
        assert np.array_equal(*fired)
        assert fired[0].any()


def warmed_up(name, **changes):
    torch.manual_seed(0)
    return runs.warmed_up(configured(name, **changes), (2, 8, 8), 16)


@pytest.mark.parametrize("neuron", ["asnn", "lif"])
@pytest.mark.parametrize(("coding", "steps"), CODING_STEPS.items())
@pytest.mark.parametrize("name", SMALL)
def test_what_is_trained_is_what_is_deployed(name, coding, steps, neuron):
    """Every spike, in floats and in integers, of the module and of the executors."""
    network, images = warmed_up(name, coding=coding, time_steps=steps, model__neuron=neuron)
    graph = lower(network)
    assert all(entry.exact for entries in analyse(graph).values() for entry in entries)
    for deployed in (graph, quantize(graph)):
        network.fold(deployed)
        with torch.no_grad():
            logits, spikes = network.trace(images)
        trace = run(deployed, images.numpy(), Record(spikes=True))
        assert list(trace.spikes) == list(spikes)
        for layer, fired in spikes.items():
            assert np.array_equal(fired.numpy().astype(bool), trace.spikes[layer]), layer
        assert np.array_equal(logits.numpy(), trace.logits)
        assert sum(fired.any() for fired in trace.spikes.values()) > len(spikes) / 2


def test_a_convolution_over_time_is_the_causal_one_of_torch():
    """As Conv3d computes it on zeros before the first step; its weight's oldest step comes first."""
    torch.manual_seed(0)
    network = configured("lenet", time_steps=5).eval()
    synapses = network.layers["conv2_synapses"]
    x = torch.randint(0, 2, (5, 3, 4, 4, 4)).float()  # [T, B, C, H, W]
    weight, bias = synapses.weights[0].weight, synapses.weights[0].bias
    depth = weight.shape[1] // x.shape[2]
    kernel = weight.unflatten(1, (depth, -1)).movedim(1, 2).flip(2)  # [out, in, D, KH, KW]
    video = functional.pad(x.permute(1, 2, 0, 3, 4), (1, 1, 1, 1, depth - 1, 0))
    expected = functional.conv3d(video, kernel, bias).permute(2, 0, 1, 3, 4)
    found = synapses.apply_at(0, network.layers["conv2_recent"](x).flatten(0, 1)).unflatten(0, (5, 3))
    assert depth == 3
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("segment", [1, 2, 3])
def test_a_convolution_over_time_reads_the_segment_before(segment):
    network = configured("lenet", time_steps=5).eval()
    images = torch.randint(0, 256, (3, 2, 8, 8), dtype=torch.uint8)
    whole, parts = network.step_logits(images), network.step_logits(images, segment)
    assert torch.equal(whole, parts)
    weight = network.layers["conv2_synapses"].weights[0].weight
    slopes = [torch.autograd.grad(x.square().sum(), weight)[0] for x in (whole, parts)]
    torch.testing.assert_close(*slopes)


def test_several_steps_of_the_input_are_refused():
    build = Builder(ModelConfig(), input_code("hybrid-latency", 4), (2, 8, 8))
    with pytest.raises(ConfigError, match="'first_recent': reads several steps of the input"):
        build.conv("first", INPUT, 4, depth=2)


def test_a_hybrid_coding_has_two_stems():
    hybrid, direct = (configured("sew-resnet", coding=coding) for coding in ("hybrid-latency", "direct"))
    assert len(hybrid.layers["stem_synapses"].weights) == 2
    assert len(direct.layers["stem_synapses"].weights) == 1
    assert len(hybrid.layers["stage1_block1_conv1_synapses"].weights) == 1


@pytest.mark.parametrize("learned", [[], ["leak"], ["gain"], ["readout"]])
def test_single_ingredients_are_learned_alone(learned):
    network = configured("sew-resnet", model__learned=learned)
    trained = {"leak": "leak", "gain": "gain", "scale": "readout"}
    for key, parameter in network.named_parameters():
        kind = trained.get(key.rpartition(".")[2])
        if kind:
            assert parameter.requires_grad == (kind in learned), key


@pytest.mark.parametrize(
    ("name", "shape", "changes", "text"),
    [
        ("spikformer", (2, 8, 8), {"model__heads": 3}, "block1_attention.*model.heads = 3 .* width of 8"),
        ("spikformer", (2, 8, 9), {}, "model.patch = 2 does not divide the image of 8x9"),
        ("spikformer", (2, 8, 8), {"model__patch": 3}, "model.patch = 3 is not a power of two up to 4"),
        ("spikformer", (2, 8, 8), {"model__patch": 8}, "model.patch = 8 is not a power of two up to 4"),
        ("sew-resnet", (2, 8, 8), {"time_steps": 1}, "hybrid-latency"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(name, shape, changes, text):
    with pytest.raises(ConfigError, match=text):
        configured(name, shape, **changes)


def test_a_residual_of_other_shape_is_refused_with_both_shapes():
    build = Builder(ModelConfig(), input_code("direct", 1), (3, 8, 8))
    x = build.conv("a", INPUT, 4)
    y = build.conv("b", x, 4, stride=2)
    with pytest.raises(ConfigError, match=r"'sum': adds 'a' of shape \(4, 8, 8\) and 'b' of shape \(4, 4, 4\)"):
        build.add("sum", x, y)


def test_a_window_larger_than_the_image_is_refused():
    build = Builder(ModelConfig(), input_code("direct", 1), (3, 8, 8))
    with pytest.raises(ConfigError, match=r"'pool': a window of 9 does not fit what arrives, \(3, 8, 8\)"):
        build.max_pool("pool", INPUT, 9, 9)
