"""Trained module to graph: exact where promised, refused by name where not."""

import numpy as np
import pytest
import runs
import torch
from networks.making import CODING_STEPS
from runs import tiny_config
from torch import nn

from asnn_deploy.analysis.order_free import analyse
from asnn_deploy.engine.runner import run
from asnn_deploy.errors import LoweringError
from asnn_deploy.ir.trace import Record
from asnn_deploy.models.cells import LIFParameters
from asnn_deploy.models.layers import PerStep, Synapses
from asnn_deploy.models.lowering import lower
from asnn_deploy.training.network import build_model


def warmed_up(seed=0, **changes):
    torch.manual_seed(seed)
    return runs.warmed_up(build_model(tiny_config(**changes), (2, 9, 8), 5), (2, 9, 8), 32)


@pytest.mark.parametrize(("coding", "steps"), CODING_STEPS.items())
@pytest.mark.parametrize("granularity", ["layer", "channel", "neuron"])
def test_the_module_with_snapped_weights_equals_the_reference(coding, steps, granularity):
    network, images = warmed_up(coding=coding, time_steps=steps, model__granularity=granularity)
    graph = lower(network)
    assert all(e.exact for entries in analyse(graph).values() for e in entries)
    network.fold(graph)
    with torch.no_grad():
        logits, spikes = network.trace(images)
    trace = run(graph, images.numpy(), Record(spikes=True))
    assert list(trace.spikes) == ["conv1", "conv2", "fc1"] == list(spikes)
    for name in spikes:
        assert np.array_equal(trace.spikes[name], spikes[name].numpy())
        assert 0.01 < trace.spikes[name].mean() < 0.9, name
    assert np.array_equal(trace.logits, logits.numpy())


def test_a_reset_to_zero_is_lowered_too():
    """As on Loihi's own neurons; the same weights spike otherwise than with a reset by subtraction."""
    rates = {}
    for reset in ("zero", "subtract"):
        network, images = warmed_up(coding="latency", time_steps=6, model__reset=reset)
        graph = lower(network)
        assert {neuron.reset for neuron in graph.neurons} == {reset}
        network.fold(graph)
        with torch.no_grad():
            logits, spikes = network.trace(images)
        trace = run(graph, images.numpy(), Record(spikes=True))
        assert all(np.array_equal(trace.spikes[name], spikes[name].numpy()) for name in spikes)
        assert np.array_equal(trace.logits, logits.numpy())
        rates[reset] = trace.spikes["fc1"].mean()
    assert 0.01 < rates["zero"] < rates["subtract"]


def test_snapping_hardly_moves_the_module():
    network, images = warmed_up()
    with torch.no_grad():
        logits, _ = network.trace(images)
    rough = run(lower(network, snapped=False), images.numpy()).logits
    assert np.abs(rough - logits.numpy()).max() < 0.2
    graph, unsnapped = lower(network), lower(network, snapped=False)
    for a, b in zip(graph.layers, unsnapped.layers):
        if a.kind in ("conv", "linear"):
            assert np.abs(a.weight.values - b.weight.values).max() < 1e-3 * np.abs(b.weight.values).max()


def test_hybrid_stems_are_one_table_with_two_weights():
    network, _ = warmed_up(coding="hybrid-latency", time_steps=5)
    stem = lower(network).by_name["conv1_synapses"]
    assert stem.weight.values.shape[0] == 2
    assert stem.weight.index.tolist() == [0, 1, 1, 1, 1]


def test_static_parameters_are_one_value():
    network = build_model(tiny_config(model__neuron="lif"), (2, 9, 8), 5).eval()
    for layer in lower(network).neurons:
        assert [len(table.values) for table in layer.parameters.values()] == [1, 1, 1]


@pytest.mark.parametrize(
    ("name", "module", "message"),
    [
        (
            "conv1_pool",
            PerStep(nn.Softmax(dim=1)),
            r"module 'layers.conv1_pool.module' \(torch.nn.modules.activation.Softmax\) cannot be deployed; deployable: .*MaxPool2d",
        ),
        ("conv1_pool", PerStep(nn.MaxPool2d(2, ceil_mode=True)), "ceil_mode"),
        ("conv1_pool", PerStep(nn.AvgPool2d(2, count_include_pad=False)), "count_include_pad"),
        ("flatten", PerStep(nn.Flatten(2)), "must flatten all axes but the batch"),
        ("conv1", LIFParameters(3), r"module 'layers.conv1' \(asnn_deploy.models.cells.LIFParameters\)"),
        (
            "conv2_synapses",
            Synapses(lambda: nn.Conv2d(6, 8, 3, padding=1, padding_mode="circular"), None, [0, 0, 0]),
            "only Linear, and",
        ),
        (
            "conv2_synapses",
            Synapses(lambda: nn.Conv2d(6, 8, 3, padding="same"), None, [0, 0, 0]),
            "padding of zeros given as numbers",
        ),
    ],
)
def test_refusals_name_path_and_type(name, module, message):
    network, _ = warmed_up()
    network.layers[name] = module
    with pytest.raises(LoweringError, match=message) as caught:
        lower(network)
    assert "\n" not in str(caught.value)


def test_diverged_weights_are_refused():
    network, _ = warmed_up()
    network.layers["fc2_synapses"].weights[0].weight.data[0, 0] = float("nan")
    with pytest.raises(LoweringError, match=r"'layers.fc2_synapses' holds NaN.*lower the learning rate"):
        lower(network)
