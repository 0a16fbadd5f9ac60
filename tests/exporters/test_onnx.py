"""The exported file, run by ONNX's own reference evaluator, against the reference executor and a plain loop."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import onnx
import pytest
from asnn_exporters.onnx import exporter
from exactness import assert_order_free
from hypothesis import given, settings
from hypothesis import strategies as st
from networks.drawn import exact_graphs
from networks.features import NETWORKS, recurrent
from networks.lenet import small_lenet
from networks.making import CODING_STEPS, Maker, constant, random_inputs
from onnx.reference import ReferenceEvaluator

import asnn_deploy.ir.neurons
from asnn_deploy.deploy.registry import EXPORTERS
from asnn_deploy.engine import runner as reference
from asnn_deploy.errors import GraphError, InputError, UnsupportedError
from asnn_deploy.input.coding import input_code
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.layers import Conv, Flatten, Linear, Neuron, Readout
from asnn_deploy.ir.neurons import MODELS, NeuronModel
from asnn_deploy.ir.step_table import StepTable
from asnn_deploy.ir.trace import Record


def exported(graph, folder):
    assert exporter.write(graph, folder) == ["network.onnx"]
    return onnx.load(folder / "network.onnx")


def evaluate(model, graph, images):
    """(logits, spikes by layer) from ONNX's reference evaluator."""
    model = onnx.ModelProto.FromString(model.SerializeToString())
    for neuron in graph.spiking:
        info = onnx.helper.make_tensor_value_info(f"spikes/{neuron.name}", onnx.TensorProto.FLOAT, None)
        model.graph.output.append(info)
    logits, *spikes = ReferenceEvaluator(model).run(None, {"image": images})
    return logits, dict(zip((neuron.name for neuron in graph.spiking), spikes))


def assert_same(graph, folder, count=2):
    assert_order_free(graph)
    images = random_inputs(graph, count)
    expected = reference.run(graph, images, Record(spikes=True))
    logits, spikes = evaluate(exported(graph, folder), graph, images)
    for name, want in expected.spikes.items():
        assert spikes[name].shape == want.shape
        assert np.count_nonzero(spikes[name] != want) == 0, name
    assert logits.dtype == np.float32
    assert np.array_equal(logits, expected.logits)
    return expected


@pytest.mark.parametrize("granularity", ["layer", "channel", "neuron"])
@pytest.mark.parametrize(("coding", "steps"), CODING_STEPS.items())
def test_every_coding_and_granularity_is_exact(coding, steps, granularity, tmp_path):
    expected = assert_same(small_lenet(steps, coding, granularity=granularity), tmp_path)
    assert all(0 < spikes.mean() < 1 for spikes in expected.spikes.values())


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.__name__)
def test_every_kind_of_layer_edge_and_neuron_is_exact(network, tmp_path):
    assert_same(network(), tmp_path)


def test_the_file_agrees_with_a_plain_loop(tmp_path):
    """The equations written out once more, for one small network, in float32 scalars' order."""
    rng = np.random.default_rng(0)
    code = input_code("hybrid-latency", 3)
    w = (rng.integers(-9, 10, (4, 9)) / 64).astype(np.float32)
    leak, gain, scale = (rng.uniform(0.2, 1.2, 3).astype(np.float32) for _ in range(3))
    parameters = {"leak": StepTable.per_step(leak), "gain": StepTable.per_step(gain)}
    parameters["threshold"] = constant(0.75, 3)
    layers = [
        Flatten("flat"),
        Linear("fc", StepTable.constant(w, 3)),
        Neuron("lif", "lif", parameters),
        Linear("out", StepTable.constant(w[:, :4], 3)),
        Readout("answer", StepTable.per_step(scale)),
    ]
    graph = DeployGraph.chain((1, 3, 3), code, layers)
    images = random_inputs(graph, 5)
    v, logits = np.zeros((5, 4), np.float32), np.zeros((5, 4), np.float32)
    for t in range(3):
        frame = images if t == 0 else code.table[t][images]
        current = frame.reshape(5, 9).astype(np.float32) @ w.T
        v = leak[t] * v + gain[t] * current
        s = (v > np.float32(0.75)).astype(np.float32)
        v = v - s * np.float32(0.75)
        logits = logits + scale[t] * (s @ w[:, :4].T)
    found, spikes = evaluate(exported(graph, tmp_path), graph, images)
    assert np.array_equal(found, logits)
    assert np.array_equal(spikes["lif"][-1], s)


@given(graph=exact_graphs(), count=st.integers(1, 3))
@settings(max_examples=60)
def test_random_graphs_are_exact(graph, count, tmp_path_factory):
    assert_same(graph, tmp_path_factory.mktemp("onnx"), count)


@pytest.mark.parametrize("count", [1, 2, 7])
def test_one_file_takes_every_batch_size(count, tmp_path):
    assert_same(small_lenet(), tmp_path, count)


@pytest.mark.parametrize("network", [small_lenet, *NETWORKS], ids=lambda network: network.__name__)
def test_the_checker_and_strict_shape_inference_are_content(network, tmp_path):
    graph = network()
    model = exported(graph, tmp_path)
    onnx.checker.check_model(model, full_check=True)
    inferred = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    known = {info.name: info.type.tensor_type.shape for info in inferred.graph.value_info}
    for neuron in graph.spiking:
        sizes = [d.dim_value for d in known[f"spikes/{neuron.name}"].dim]
        assert sizes[0] == graph.time_steps
        assert tuple(sizes[2:]) == graph.shapes[neuron.name]


def test_the_file_says_what_it_is(tmp_path):
    graph = small_lenet()
    model = exported(graph, tmp_path)
    assert model.ir_version == 10
    assert [(o.domain, o.version) for o in model.opset_import] == [("", 18)]
    metadata = {p.key: p.value for p in model.metadata_props}
    assert metadata["time_steps"] == "4"
    assert metadata["coding"] == "hybrid-latency"
    assert metadata["created_by"].startswith("asnn-deploy ")
    assert "4 time steps" in model.doc_string
    assert [(i.name, i.type.tensor_type.elem_type) for i in model.graph.input] == [("image", onnx.TensorProto.UINT8)]
    assert [o.name for o in model.graph.output] == ["logits"]
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"


def test_initializers_carry_the_step_tables(tmp_path):
    graph = small_lenet(granularity="channel")
    model = exported(graph, tmp_path)
    constants = {i.name: onnx.numpy_helper.to_array(i) for i in model.graph.initializer}
    leak = graph.by_name["lif1"].parameters["leak"]
    assert np.array_equal(constants["lif1.leak"].reshape(4, 6), leak.expanded())
    assert np.array_equal(constants["conv2.weight"], graph.by_name["conv2"].weight.values[0])
    assert np.array_equal(constants["conv1.weight.1"], graph.by_name["conv1"].weight.values[1])


def names_within(graph):
    """Every name that a graph defines, and those of its bodies."""
    names = [v.name for v in (*graph.input, *graph.initializer)] + [o for node in graph.node for o in node.output]
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                names += names_within(attribute.g)
    return names


@pytest.mark.parametrize("network", [small_lenet, *NETWORKS], ids=lambda network: network.__name__)
def test_no_name_is_used_twice_bodies_included(network, tmp_path):
    names = names_within(exported(network(), tmp_path).graph)
    assert len(names) == len(set(names))


def test_a_neuron_layer_is_one_scan_and_so_is_a_loop(tmp_path):
    def scans(graph):
        return sum(node.op_type == "Scan" for node in exported(graph, tmp_path).graph.node)

    assert scans(small_lenet()) == 3
    assert scans(small_lenet(time_steps=9, coding="latency")) == 3
    assert scans(recurrent()) == 2


def test_the_same_network_gives_the_same_bytes(tmp_path):
    graph = recurrent()
    exporter.write(graph, tmp_path)
    first = (tmp_path / "network.onnx").read_bytes()
    exporter.write(graph, tmp_path)
    assert (tmp_path / "network.onnx").read_bytes() == first


def test_parameters_that_are_left_out_have_their_defaults(tmp_path):
    m = Maker()
    given_all = m.neuron("lif1")
    kept = {key: table for key, table in given_all.parameters.items() if key != "threshold"}
    conv = m.conv("a", 4, 2)
    tail = m.tail(4 * 36)
    images = None
    answers = []
    for neuron in (given_all, replace(given_all, parameters=kept)):
        graph = DeployGraph.chain((2, 6, 6), m.code(), [conv, neuron, *tail])
        images = random_inputs(graph, 2) if images is None else images
        answers.append(evaluate(exported(graph, tmp_path), graph, images)[0])
    assert np.array_equal(*answers)


def test_a_fixed_graph_is_refused(tmp_path):
    code = input_code("latency", 2)
    layers = [Flatten("flat"), Readout("out", StepTable.constant(np.int64(1), 2))]
    graph = DeployGraph.chain((1, 2, 2), code, layers, arithmetic="fixed")
    with pytest.raises(UnsupportedError, match=r"float32.*'fixed'; export the float graph"):
        exporter.write(graph, tmp_path)
    assert list(tmp_path.iterdir()) == []


@dataclass(frozen=True)
class Mystery(Flatten):
    """A kind of layer of someone else's."""

    kind: ClassVar[str] = "mystery"


def test_an_unknown_kind_of_layer_is_named(tmp_path):
    graph = DeployGraph.chain((1, 2, 2), input_code("latency", 2), [Mystery("odd"), Readout("out", constant(1, 2))])
    with pytest.raises(UnsupportedError, match=r"'odd' \(mystery\): ONNX export does not know this kind of layer"):
        exporter.write(graph, tmp_path)


def test_an_unknown_neuron_model_is_named(tmp_path, monkeypatch):
    m = Maker()
    odd = replace(m.neuron("lif1"), model="odd-lif")
    with pytest.raises(GraphError, match=r"'lif1'.*odd-lif"):
        exporter.write(m.chain([m.conv("a", 4, 2), odd]), tmp_path)

    class Integer(NeuronModel):
        name = "odd-lif"
        parameters = MODELS["lif"].parameters

    monkeypatch.setitem(asnn_deploy.ir.neurons.MODELS, "odd-lif", Integer())
    with pytest.raises(UnsupportedError, match=r"'lif1' \(neuron\): neuron model 'odd-lif' is defined in integers"):
        exporter.write(m.chain([m.conv("a", 4, 2), odd]), tmp_path)


def test_a_failed_write_is_one_line_and_leaves_the_old_file_whole(tmp_path, monkeypatch):
    exporter.write(small_lenet(), tmp_path)
    before = (tmp_path / "network.onnx").read_bytes()

    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full_disk)
    with pytest.raises(InputError, match=r"network.onnx: cannot be written \(No space left on device\)") as caught:
        exporter.write(recurrent(), tmp_path)
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["network.onnx"]
    assert (tmp_path / "network.onnx").read_bytes() == before


def test_a_missing_package_is_told(monkeypatch):
    assert EXPORTERS.available("onnx") is exporter
    monkeypatch.setattr("asnn_exporters.onnx.find_spec", lambda _: None)
    assert exporter.unavailable() == "the package onnx is not installed; pip install onnx"


def test_weights_that_no_step_uses_are_not_written(tmp_path):
    m = Maker()
    unused = StepTable(m.table(4, 2, 3, 3, values=3).values, [0, 2, 2, 0])
    graph = m.chain([Conv("a", unused, padding=(1, 1)), m.neuron("lif1")])
    model = exported(graph, tmp_path)
    assert {i.name for i in model.graph.initializer if i.name.startswith("a.")} == {"a.weight.0", "a.weight.2"}
    assert_same(graph, tmp_path)
