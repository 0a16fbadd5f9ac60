"""The NIR target against the reference executor, which shares no code with it and reads no file."""

from __future__ import annotations

from contextlib import contextmanager

import nir
import numpy as np
import pytest
from asnn_exporters.nir import exporter
from asnn_targets.nir import target
from exactness import EVERYTHING, assert_same
from hypothesis import given, settings
from networks.drawn import sums_of_spikes_and_currents
from networks.formats import NETWORKS
from networks.lenet import small_lenet
from networks.making import constant, random_inputs

from asnn_deploy.deploy.deployment import Deployment
from asnn_deploy.engine.runner import run
from asnn_deploy.errors import BundleError, DataError, UnsupportedError
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.inputs import SequenceInput
from asnn_deploy.ir.layers import Linear, Readout
from asnn_deploy.ir.trace import Record


@contextmanager
def running(graph, path):
    """A session with a file."""
    with Deployment(graph, files={"nir": path}) as deployment, target.open(deployment, 8) as session:
        yield session


def compare(graph, folder, samples=6):
    exporter.write(graph, folder)
    images = random_inputs(graph, samples)
    expected = run(graph, images, record=EVERYTHING)
    with running(graph, folder / "network.nir") as session:
        found = session.run(images, EVERYTHING)
    assert_same(graph, images, found, expected)
    return expected


@pytest.mark.parametrize("name", NETWORKS)
def test_every_spike_and_logit_agrees_with_the_reference(name, tmp_path):
    trace = compare(NETWORKS[name], tmp_path)
    assert any(spikes.any() for spikes in trace.spikes.values())


@settings(max_examples=15)
@given(graph=sums_of_spikes_and_currents())
def test_any_small_network_agrees_with_the_reference(graph, tmp_path_factory):
    compare(graph, tmp_path_factory.mktemp("nir"), samples=3)


def test_logits_alone_need_no_labels(tmp_path):
    graph = small_lenet()
    exporter.write(graph, tmp_path)
    plain = nir.read(tmp_path / "network.nir")
    for node in plain.nodes.values():
        node.metadata.clear()
    nir.write(tmp_path / "plain.nir", plain)
    images = random_inputs(graph, 3)
    with running(graph, tmp_path / "plain.nir") as session:
        trace = session.run(images)
        np.testing.assert_array_equal(trace.logits, run(graph, images).logits)
        assert not trace.spikes
        assert trace.step_logits is None
        with pytest.raises(BundleError, match="no node is labelled as the spikes of layer 'lif1' at step 0"):
            session.run(images, Record(spikes=True))


def test_labels_do_not_enter_the_arithmetic(tmp_path):
    graph = small_lenet()
    exporter.write(graph, tmp_path)
    mislabelled = nir.read(tmp_path / "network.nir")
    for node in mislabelled.nodes.values():
        node.metadata.update(layer="lif1", step=0, role="potential")
    nir.write(tmp_path / "lies.nir", mislabelled)
    images = random_inputs(graph, 3)
    with running(graph, tmp_path / "lies.nir") as session:
        np.testing.assert_array_equal(session.run(images).logits, run(graph, images).logits)


def test_images_of_another_shape_are_refused(tmp_path):
    graph = small_lenet()
    exporter.write(graph, tmp_path)
    expected = r"images have shape \(1, 7, 8\), the network in .* takes \(1, 8, 8\)"
    with running(graph, tmp_path / "network.nir") as session, pytest.raises(DataError, match=expected):
        session.run(np.zeros((2, 1, 7, 8), np.uint8))


def opened(path, nodes, edges):
    """A session with a NIR graph by others."""
    nir.write(path, nir.NIRGraph(nodes, edges))
    with Deployment(small_lenet(), files={"nir": path}) as deployment:
        return target.open(deployment, 1)


ONES = np.ones(4, np.float32)


def test_primitives_as_others_write_them(tmp_path):
    """What our exporter never writes, but NIR allows: scalars for all axes, several summands, no hints at all."""
    rng = np.random.default_rng(0)
    weight = rng.integers(-3, 4, (2, 1, 3, 3)).astype(np.float32)
    nodes = {
        "in": nir.Input({"input": np.array([1, 5, 5])}),
        "conv": nir.Conv2d((5, 5), weight, 2, 1, 1, 1, np.float32([1, 2])),
        "pool": nir.SumPool2d(np.array([2, 2]), np.array([1, 1]), np.array([0, 0])),
        "flat": nir.Flatten({"input": np.array([2, 2, 2])}, 0, -1),
        "a": nir.Scale(2 * np.ones(8, np.float32)),
        "b": nir.Scale(3 * np.ones(8, np.float32)),
        "out": nir.Output({"output": np.array([8])}),
    }
    edges = [("in", "conv"), ("conv", "pool"), ("pool", "flat"), ("flat", "a"), ("flat", "b")]
    edges += [("a", "out"), ("b", "out"), ("flat", "out")]
    session = opened(tmp_path / "other.nir", nodes, edges)
    image = rng.integers(0, 256, (1, 1, 5, 5)).astype(np.uint8)
    padded = np.pad(image[0, 0].astype(int), 1)
    conv = [
        [[(padded[2 * y : 2 * y + 3, 2 * x : 2 * x + 3] * w[0]).sum() + bias for x in range(3)] for y in range(3)]
        for w, bias in zip(weight, (1, 2))
    ]
    sums = [[[np.array(c)[y : y + 2, x : x + 2].sum() for x in range(2)] for y in range(2)] for c in conv]
    np.testing.assert_array_equal(session.run(image).logits, 6 * np.float32(sums).reshape(1, -1))


def test_nodes_with_a_state_are_refused(tmp_path):
    nodes = {"in": nir.Input({"input": np.array([4])}), "cell": nir.LIF(ONES, ONES, ONES, ONES, ONES)}
    nodes["out"] = nir.Output({"output": np.array([4])})
    with pytest.raises(UnsupportedError, match="node 'cell' is a LIF, which this target cannot evaluate"):
        opened(tmp_path / "lif.nir", nodes, [("in", "cell"), ("cell", "out")])


def test_loops_are_refused(tmp_path):
    nodes = {"in": nir.Input({"input": np.array([4])}), "a": nir.Scale(ONES), "b": nir.Scale(ONES)}
    nodes["out"] = nir.Output({"output": np.array([4])})
    with pytest.raises(UnsupportedError, match="node 'a' is part of, or behind, a loop"):
        opened(tmp_path / "loop.nir", nodes, [("in", "a"), ("a", "b"), ("b", "a"), ("b", "out")])


def test_two_inputs_are_refused(tmp_path):
    nodes = {name: nir.Input({"input": np.array([4])}) for name in ("in", "too")}
    nodes["out"] = nir.Output({"output": np.array([4])})
    with pytest.raises(UnsupportedError, match="2 inputs and 1 outputs; this target takes one of each"):
        opened(tmp_path / "two.nir", nodes, [("in", "out"), ("too", "out")])


def test_every_frame_of_a_sequence_has_its_input(tmp_path):
    def sequence(steps):
        linear = Linear("fc", constant(np.ones((2, 3)), steps))
        readout = Readout("readout", constant(1, steps))
        return DeployGraph.chain((3,), SequenceInput(steps, "counts", 3.0), [linear, readout])

    exporter.write(sequence(2), tmp_path)
    with (
        Deployment(sequence(3), files={"nir": tmp_path / "network.nir"}) as deployment,
        pytest.raises(UnsupportedError, match="2 inputs and 1 outputs; this target takes one for each of .* 3 frames"),
    ):
        target.open(deployment, 1)


def test_named_padding_is_refused(tmp_path):
    conv = nir.Conv2d((4, 4), np.ones((1, 1, 3, 3), np.float32), 1, "same", 1, 1, np.zeros(1, np.float32))
    nodes = {"in": nir.Input({"input": np.array([1, 4, 4])}), "conv": conv}
    nodes["out"] = nir.Output({"output": np.array([1, 4, 4])})
    with pytest.raises(UnsupportedError, match="node 'conv' names its padding, 'same'; give numbers instead"):
        opened(tmp_path / "same.nir", nodes, [("in", "conv"), ("conv", "out")])


def test_what_is_no_nir_file_is_one_line(tmp_path):
    (tmp_path / "text.nir").write_text("hello")
    expected = r"text\.nir: cannot be read as a NIR file"
    with pytest.raises(BundleError, match=expected), running(small_lenet(), tmp_path / "text.nir"):
        pass


def test_it_exports_by_itself():
    graph = small_lenet()
    images = random_inputs(graph, 2)
    with Deployment(graph) as deployment, target.open(deployment, 2) as session:
        np.testing.assert_array_equal(session.run(images).logits, run(graph, images).logits)
