"""Images prepared by the host, and thresholds learnt on the data."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from networks.lenet import small_lenet
from networks.making import random_inputs

import asnn_deploy
from asnn_deploy.errors import ConfigError, GraphError
from asnn_deploy.input.coding import input_code
from asnn_deploy.input.levels import check_levels, equal_mass
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.images import InputCode
from asnn_deploy.ir.preprocessing import layernorm_sigmoid, prepare
from asnn_deploy.ir.serialize import load_graph, save_graph


@given(arrays(np.uint8, (3, 2, 4, 5)))
def test_layer_norm_and_sigmoid_are_torchs(images):
    x = torch.from_numpy(images).double() / 255
    expected = 255 * torch.sigmoid(torch.nn.functional.layer_norm(x, x.shape[1:]))
    found = layernorm_sigmoid(images)
    assert found.dtype == np.uint8
    assert np.abs(found - expected.numpy()).max() <= 0.5 + 1e-6  # the nearest level, or a middle's other side


def test_each_image_is_prepared_by_itself():
    images = np.random.default_rng(0).integers(0, 256, (4, 1, 6, 6)).astype(np.uint8)
    whole = prepare("layernorm-sigmoid", images)
    assert all(np.array_equal(prepare("layernorm-sigmoid", images[i : i + 1])[0], whole[i]) for i in range(4))


def test_an_even_image_is_grey_and_raw_images_stay():
    assert (layernorm_sigmoid(np.full((1, 1, 3, 3), 77, np.uint8)) == 128).all()
    images = np.arange(9, dtype=np.uint8).reshape(1, 1, 3, 3)
    assert prepare("raw", images) is images


def test_unknown_preparations_are_refused():
    with pytest.raises(ConfigError, match="did you mean 'layernorm-sigmoid'"):
        prepare("layernorm", np.zeros((1, 1, 2, 2), np.uint8))
    with pytest.raises(GraphError, match="preparation"):
        InputCode("latency", np.zeros((1, 256)), np.zeros(1, bool), "whitened")


def with_code(graph, code):
    return DeployGraph(graph.input_shape, code, graph.layers, graph.edges)


def test_users_images_are_prepared_on_the_way_in(tmp_path):
    """By `run`, for every target, and after every format."""
    graph = small_lenet()
    plain = with_code(graph, input_code("hybrid-latency", 4))
    network = with_code(graph, input_code("hybrid-latency", 4, preparation="layernorm-sigmoid"))
    images = random_inputs(graph, 5)
    ready = layernorm_sigmoid(images).transpose(0, 2, 3, 1)
    expected = asnn_deploy.run(plain, ready)
    save_graph(tmp_path / "graph.npz", network)
    back = load_graph(tmp_path / "graph.npz")
    assert back == network
    assert back != plain
    for target in ("reference", "nir", "onnxruntime"):
        found = asnn_deploy.run(back, images.transpose(0, 2, 3, 1), target=target)
        assert np.array_equal(found.logits, expected.logits)


@given(arrays(np.uint8, st.integers(1, 200)))
def test_levels_are_the_share_of_bright_pixels_that_are_no_brighter(pixels):
    levels = equal_mass(pixels)
    check_levels(levels)
    bright = pixels[pixels > 0]
    for p in set(bright.tolist()):
        assert levels[p] == np.rint(255 * np.mean(bright <= p))
    assert levels[0] == 0
    assert levels[255] == 255


def test_every_step_fires_for_the_same_mass():
    """Of bright pixels, but for ties: latency frames over 5 steps on a skewed spread of pixels."""
    rng = np.random.default_rng(0)
    bright = (1 + 254 * rng.beta(0.5, 4, 20_000)).astype(np.uint8)
    code = input_code("hybrid-latency", 6, equal_mass(np.concatenate([np.zeros(5000, np.uint8), bright])))
    even = input_code("hybrid-latency", 6)
    shares, evens = ([c.table[t][bright].mean() for t in range(1, 6)] for c in (code, even))
    assert max(shares) - min(shares) < 0.15
    assert min(evens) < 0.001 < 0.1 < min(shares)
    assert np.array_equal(code.table[0], np.arange(256)), "the analog step sends the pixel itself"


def test_no_levels_are_even_levels():
    for name, steps in (("latency", 5), ("hybrid-embedding", 5)):
        assert input_code(name, steps, range(256)) == input_code(name, steps)
    assert equal_mass(np.zeros(10, np.uint8)) == list(range(256))


@pytest.mark.parametrize("levels", [[], [0] * 255, [*range(255), 0], [-1, *range(1, 256)], [*range(255), 256]])
def test_levels_that_are_none_are_refused(levels):
    with pytest.raises(ConfigError, match="levels: "):
        check_levels(levels)
