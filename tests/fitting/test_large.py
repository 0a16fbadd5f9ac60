"""Networks as large as people train can be placed; how quickly, `benchmarks/fit.py` measures."""

import pytest

from asnn_deploy.fitting import fit, load_chip
from asnn_deploy.fitting.placement import integers
from asnn_deploy.models.lowering import lower
from asnn_deploy.training.config import make_config
from asnn_deploy.training.network import build_model
from asnn_deploy.training.presets import preset


@pytest.mark.parametrize(("chip", "fits"), [("loihi1", False), ("loihi2", True)])
def test_the_reference_network(chip, fits):
    graph = integers(lower(build_model(make_config(preset("cifar-lenet"), "preset"), (3, 32, 32), 100).eval()))
    found = fit(graph, load_chip(chip)).to_json()
    assert found["fits"] is fits
    assert found["capacity"]["fits"] is True


@pytest.mark.parametrize("size", [32, pytest.param(64, marks=pytest.mark.slow)])
def test_a_residual_network_of_eighteen_layers(size):
    network = build_model(make_config(preset("cifar-sew-resnet18"), "preset"), (3, size, size), 10)
    graph = integers(lower(network.eval()))
    for chip in ("loihi1", "loihi2"):
        found = fit(graph, load_chip(chip)).to_json()
        assert found["capacity"]["fits"] is False
        assert found["capacity"]["binding"]["constraint"] == "cores"
