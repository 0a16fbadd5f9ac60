"""Lava Processes against the reference executor: every spike, potential and logit."""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from collections import namedtuple
from dataclasses import replace
from itertools import pairwise

import naive
import numpy as np
import psutil
import pytest
from asnn_targets.lava import fixed_target, session, target
from asnn_targets.lava.partition import cut_positions
from exactness import EVERYTHING, assert_order_free
from hypothesis import given, settings
from networks.drawn import image_graphs
from networks.features import NETWORKS, delayed_edges, recurrent, residual
from networks.lenet import small_lenet
from networks.making import random_inputs

from asnn_deploy.deploy.deployment import Deployment
from asnn_deploy.deploy.registry import TARGETS
from asnn_deploy.engine import runner as reference
from asnn_deploy.errors import GraphError, InputError, MissingDependency
from asnn_deploy.ir.layers import Neuron

BOTH = [target, fixed_target]
needs_lava = pytest.mark.skipif(target.unavailable() is not None, reason=str(target.unavailable()))


def name_of(thing):
    return getattr(thing, "name", None) or getattr(thing, "__name__", None)


def opened(chosen, graph, batch_size=8, **options):
    return replace(chosen, **options).open(Deployment(graph), batch_size)


def finest(graph, _costs, _count):
    """A stage for every place where a graph may be cut."""
    edges = [0, *cut_positions(graph), len(graph.layers)]
    return [tuple(layer.name for layer in graph.layers[a:b]) for a, b in pairwise(edges)]


def version_for(chosen, graph):
    return Deployment(graph).fixed if chosen.arithmetic == "fixed" else graph


def assert_same(found, expected, name):
    assert found.target == name
    assert found.logits.dtype == expected.logits.dtype
    assert np.array_equal(found.logits, expected.logits)
    assert np.array_equal(found.step_logits, expected.step_logits)
    assert list(found.spikes) == list(expected.spikes)
    for layer, spikes in expected.spikes.items():
        assert found.spikes[layer].dtype == np.uint8
        assert np.array_equal(found.spikes[layer], spikes), layer
        assert found.potentials[layer].dtype == expected.potentials[layer].dtype
        assert np.array_equal(found.potentials[layer], expected.potentials[layer]), layer


def check_against_reference(chosen, graph, images, **options):
    assert_order_free(version_for(chosen, graph))
    with opened(chosen, graph, len(images), **options) as lava:
        found = lava.run(images, EVERYTHING)
    assert_same(found, reference.run(version_for(chosen, graph), images, EVERYTHING), chosen.name)


@needs_lava
@pytest.mark.parametrize("chosen", BOTH, ids=name_of)
@pytest.mark.parametrize(
    ("coding", "steps", "granularity"),
    [
        ("direct", 3, "layer"),
        ("latency", 4, "channel"),
        ("hybrid-latency", 4, "neuron"),
        ("embedding", 4, "layer"),
        ("hybrid-embedding", 5, "channel"),
        ("embedding-reference", 6, "layer"),
        ("hybrid-embedding-reference", 6, "neuron"),
    ],
)
def test_codings_and_granularities_are_exact(chosen, coding, steps, granularity):
    graph = small_lenet(steps, coding, granularity=granularity, channels=3)
    check_against_reference(chosen, graph, random_inputs(graph, 5), rows=2, stages=3)


@needs_lava
@pytest.mark.parametrize("network", [residual, recurrent, delayed_edges], ids=name_of)
def test_residual_recurrent_and_delayed_edges_are_exact(network, monkeypatch):
    monkeypatch.setattr(session, "partition", finest)
    graph = network()
    check_against_reference(target, graph, random_inputs(graph, 5), rows=2)


@needs_lava
@settings(max_examples=4)
@given(image_graphs())
def test_random_networks_are_exact_in_integers(graph):
    check_against_reference(fixed_target, graph, random_inputs(graph, 5), rows=3, stages=2)


@needs_lava
@pytest.mark.parametrize("chosen", BOTH, ids=name_of)
def test_a_second_executor_agrees(chosen):
    """Value by value from the documented equations, sharing no code with the stages."""
    graph = small_lenet(time_steps=3, size=4)
    images = random_inputs(graph, 2)
    with opened(chosen, graph) as lava:
        found = lava.run(images, EVERYTHING)
    for i, image in enumerate(images):
        spikes, potentials, logits = naive.run(version_for(chosen, graph), image)
        assert found.logits[i].tolist() == [float(x) for x in logits]
        for layer in spikes:
            assert np.array_equal(found.spikes[layer][:, i], spikes[layer])
            assert np.array_equal(found.potentials[layer][:, i], potentials[layer])


@needs_lava
@pytest.mark.parametrize("chosen", BOTH, ids=name_of)
def test_batches_stream_through_one_session(chosen):
    """Different images, short batches, batches of several messages and none at all: as if each ran alone."""
    graph = small_lenet()
    parts = [random_inputs(graph, n, seed=n) for n in (7, 1, 3, 7, 6)]
    with opened(chosen, graph, 7, rows=3) as lava:
        pids = None
        for images in parts:
            expected = reference.run(version_for(chosen, graph), images, EVERYTHING)
            assert_same(lava.run(images, EVERYTHING), expected, chosen.name)
            assert pids in (None, lava.pids)  # the network is built once
            pids = lava.pids
        nobody = lava.run(parts[0][:0], EVERYTHING)
        assert nobody.logits.shape == (0, 5)
        assert nobody.spikes["lif1"].shape == (graph.time_steps, 0, *graph.shapes["lif1"])
        assert lava.pids == pids
        answer = lava.run(parts[0])
        assert pids != lava.pids  # what is recorded has changed
        assert np.array_equal(answer.logits, reference.run(version_for(chosen, graph), parts[0]).logits)
        assert (answer.spikes, answer.potentials, answer.step_logits) == ({}, {}, None)


@needs_lava
def test_the_processes_are_light():
    """No torch and no thread pools in Lava's processes; no Lava in this one."""
    graph = small_lenet()
    loaded = "lava.magma" in sys.modules
    with opened(target, graph) as lava:
        lava.run(random_inputs(graph, 2))
        assert len(lava.pids) == lava._form.lanes * (len(lava._form.stages) + 1)
        for pid in lava.pids:
            process = psutil.Process(pid)
            assert process.environ()["OMP_NUM_THREADS"] == "1"
            assert not [file.path for file in process.memory_maps() if "torch" in file.path]
            assert process.memory_info().rss < 300e6
    assert ("lava.magma" in sys.modules) == loaded


@needs_lava
def test_a_long_temporary_folder(tmp_path, monkeypatch):
    """The socket in it would have too long a path."""
    folder = tmp_path / ("long" * 25)
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    images = random_inputs(small_lenet(), 2)
    with opened(target, small_lenet()) as lava:
        assert np.array_equal(lava.run(images).logits, reference.run(small_lenet(), images).logits)


@needs_lava
def test_more_images_than_the_session_was_opened_for():
    graph = small_lenet()
    with (
        opened(target, graph, 4) as lava,
        pytest.raises(InputError, match=r"target 'lava': 5 images, opened for .* 4$"),
    ):
        lava.run(random_inputs(graph, 5))


def test_an_unknown_neuron_model_is_refused_before_anything_starts():
    graph = small_lenet()
    layers = tuple(
        Neuron(layer.name, "izhikevich", layer.parameters) if isinstance(layer, Neuron) else layer
        for layer in graph.layers
    )
    with pytest.raises(GraphError, match="izhikevich"):
        opened(target, replace(graph, layers=layers))


def test_both_are_found_by_their_entry_points():
    assert TARGETS.find("lava") is target
    assert TARGETS.find("lava-fixed") is fixed_target
    assert [chosen.arithmetic for chosen in BOTH] == ["float32", "fixed"]


def test_other_pythons_are_told_the_remedy(monkeypatch):
    Version = namedtuple("Version", "major minor micro releaselevel serial")
    monkeypatch.setattr(sys, "version_info", Version(3, 12, 1, "final", 0))
    assert target.unavailable() == (
        "lava-nc 0.10.0 needs Python 3.10, this is 3.12; make the environment with Python 3.10 (everything else works here)"
    )
    with pytest.raises(
        MissingDependency, match=r"^target 'lava-fixed' is not available: lava-nc 0\.10\.0 needs Python 3\.10"
    ):
        TARGETS.available("lava-fixed")


def test_a_missing_package_is_told_the_remedy(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 10, 13, "final", 0))
    monkeypatch.setattr("asnn_targets.lava.find_spec", lambda name: None)
    assert target.unavailable() == "lava-nc is not installed; run: pip install lava-nc==0.10.0"
    assert importlib.util.find_spec("asnn_targets.lava")


def test_there_is_a_network_for_each_kind_of_layer():
    kinds = {layer.kind for network in NETWORKS for layer in network().layers}
    assert kinds >= {"conv", "linear", "scale", "pool", "flatten", "neuron", "add", "product", "readout"}
