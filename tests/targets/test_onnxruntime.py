"""onnxruntime on the exported file against the reference executor: every spike, potential and logit, bit for bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
from asnn_targets.onnxruntime import target
from exactness import EVERYTHING, assert_order_free, assert_same
from networks.features import NETWORKS, inexact_sums, recurrent, residual, scaled_currents
from networks.lenet import small_lenet
from networks.making import CODING_STEPS, random_inputs

from asnn_deploy.deploy.deployment import Deployment
from asnn_deploy.deploy.registry import TARGETS
from asnn_deploy.engine import runner as reference
from asnn_deploy.errors import BundleError, TargetError
from asnn_deploy.ir.layers import Conv, Linear, Scale
from asnn_deploy.ir.trace import Record
from asnn_deploy.util.machine import threads


def assert_exact(graph, images):
    """Every spike, potential and logit, bit for bit, which only networks whose sums need no order promise."""
    assert_order_free(graph)
    assert_same(graph, images, run(graph, images), reference.run(graph, images, EVERYTHING))


def run(graph, images, record=EVERYTHING, path=None):
    files = {"onnx": path} if path else None
    with Deployment(graph, files=files) as deployment, target.open(deployment, len(images)) as session:
        return session.run(images, record)


@pytest.mark.parametrize("granularity", ["layer", "channel", "neuron"])
@pytest.mark.parametrize(("coding", "steps"), CODING_STEPS.items())
def test_every_coding_and_granularity_is_exact(coding, steps, granularity):
    graph = small_lenet(steps, coding, granularity=granularity, channels=3, size=12)
    images = random_inputs(graph, 4)
    assert_exact(graph, images)


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.__name__)
def test_every_kind_of_layer_edge_and_neuron_is_exact(network):
    graph = network()
    images = random_inputs(graph, 4)
    assert_exact(graph, images)


@pytest.mark.parametrize("network", [scaled_currents, inexact_sums, residual], ids=lambda network: network.__name__)
def test_wide_layers_are_exact(network):
    """Channels in multiples of 16 take onnxruntime's blocked kernels, which fuse what stands next to a convolution."""
    graph = widened(network(), 8)
    images = random_inputs(graph, 3)
    assert_exact(graph, images)


def widened(graph, times):
    """The graph with each convolution's output channels repeated, and what reads them repeated and scaled alike."""

    def repeat(table, axis):
        return table.map(lambda value: np.repeat(value, times, axis))

    layers = []
    for layer in graph.layers:
        source = graph.inputs_of[layer.name][0].source
        if isinstance(layer, Conv):
            weight = repeat(layer.weight, 0)
            if source != "input":
                weight = repeat(weight, 1).map(lambda value: value / np.float32(times))
            layer = replace(layer, weight=weight, bias=layer.bias and repeat(layer.bias, 0))
        elif isinstance(layer, Linear) and graph.shapes[source][0] > 16:
            layer = replace(layer, weight=repeat(layer.weight, 1))
        elif isinstance(layer, Scale) and layer.factor.shape:
            layer = replace(layer, factor=repeat(layer.factor, 0))
        layers.append(layer)
    return replace(graph, layers=tuple(layers))


@pytest.mark.parametrize("level", ["ORT_DISABLE_ALL", "ORT_ENABLE_BASIC", "ORT_ENABLE_EXTENDED", "ORT_ENABLE_ALL"])
def test_the_file_alone_is_exact_at_every_optimisation_level(level):
    """What someone gets who loads the file without this package."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    for graph in (small_lenet(), residual(), recurrent()):
        assert_order_free(graph)
        images = random_inputs(graph, 3)
        with Deployment(graph) as deployment:
            path = str(deployment.file("onnx"))
            session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        (logits,) = session.run(None, {"image": images})
        assert np.array_equal(logits, reference.run(graph, images).logits)


def test_the_potentials_would_show_a_fused_multiply_add():
    """With one rounding less the potentials differ; so their equality above means three separate roundings."""
    graph = small_lenet(granularity="neuron")
    trace = run(graph, random_inputs(graph, 4))
    neuron = graph.by_name["lif1"]
    leak, gain = (neuron.parameters[key].expanded()[:, None] for key in ("leak", "gain"))
    before = trace.potentials["lif1"][:-1]
    x = np.random.default_rng(0).integers(-64, 64, before.shape).astype(np.float32) / 64
    separate = leak[1:] * before + gain[1:] * x
    fused = (leak[1:].astype(np.float64) * before + (gain[1:] * x).astype(np.float64)).astype(np.float32)
    assert np.count_nonzero(separate != fused) > separate.size // 100


def test_one_session_takes_every_batch_size_and_slices_large_ones():
    graph = small_lenet()
    images = random_inputs(graph, 9)
    expected = reference.run(graph, images, EVERYTHING)
    with Deployment(graph) as deployment, target.open(deployment, 9) as session:
        for count in (1, 3, 9):
            assert np.array_equal(session.run(images[:count]).logits, expected.logits[:count])
        session.slice = 4
        assert_same(graph, images, session.run(images, EVERYTHING), expected)


def test_what_is_not_asked_for_is_not_recorded():
    graph = small_lenet()
    images = random_inputs(graph, 2)
    plain = run(graph, images, Record())
    assert (plain.target, dict(plain.spikes), dict(plain.potentials)) == ("onnxruntime", {}, {})
    assert plain.step_logits is None
    only_spikes = run(graph, images, Record(spikes=True))
    assert list(only_spikes.spikes) == ["lif1", "lif2", "lif3"]
    assert not only_spikes.potentials


def test_the_exported_file_keeps_its_one_output():
    graph = small_lenet()
    with Deployment(graph) as deployment, target.open(deployment, 1) as session:
        before = deployment.file("onnx").read_bytes()
        session.run(random_inputs(graph, 1), EVERYTHING)
        assert deployment.file("onnx").read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"not a network", b"\x08\x0a\x12\x04oops"], ids=["empty", "text", "cut off"])
def test_a_damaged_file_is_one_line(content, tmp_path, capfd):
    path = tmp_path / "network.onnx"
    path.write_bytes(content)
    graph = small_lenet()
    with pytest.raises(BundleError, match=r"network.onnx: .*; export it again") as caught:
        run(graph, random_inputs(graph, 1), path=path)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_a_truncated_file_is_one_line(tmp_path):
    graph = small_lenet()
    path = tmp_path / "network.onnx"
    with Deployment(graph) as deployment:
        path.write_bytes(deployment.file("onnx").read_bytes()[:-500])
    with pytest.raises(BundleError, match=r"network.onnx: .*; export it again"):
        run(graph, random_inputs(graph, 1), path=path)


def test_a_missing_file_is_one_line(tmp_path):
    graph = small_lenet()
    with pytest.raises(BundleError, match=r"absent.onnx: cannot be read \(No such file"):
        run(graph, random_inputs(graph, 1), path=tmp_path / "absent.onnx")


def test_another_networks_file_is_refused():
    other, graph = small_lenet(size=12, classes=7), small_lenet()
    message = r"not this network's file: it has image .*12, 12.*logits .*7.*expected"
    with Deployment(other) as deployment, pytest.raises(BundleError, match=message):
        run(graph, random_inputs(graph, 1), path=deployment.file("onnx"))


def test_a_file_without_the_values_to_record_is_refused(tmp_path):
    graph = small_lenet()
    path = tmp_path / "network.onnx"
    helper = onnx.helper
    zeros = onnx.numpy_helper.from_array(np.zeros((1, 5), np.float32))
    node = helper.make_node("Constant", [], ["logits"], value=zeros)
    image = helper.make_tensor_value_info("image", onnx.TensorProto.UINT8, ["batch", 1, 8, 8])
    logits = helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, [1, 5])
    proto = helper.make_graph([node], "other", [image], [logits])
    model = helper.make_model(proto, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, path)
    for record, value in [(Record(spikes=True), "spikes/lif1"), (Record(potentials=True), "potentials/lif1")]:
        with pytest.raises(BundleError, match=rf"holds no value '{value}' to record; export it again"):
            run(graph, random_inputs(graph, 1), record, path)


def test_images_of_the_wrong_shape_are_one_line():
    graph = small_lenet()
    with pytest.raises(TargetError, match=r"onnxruntime failed on .*network.onnx: .*[Gg]ot: 9") as caught:
        run(graph, np.zeros((1, 1, 9, 8), np.uint8))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("given", "expected"), [("3", 3), ("0", None), ("many", None), ("", None)])
def test_threads_follow_the_environment(given, expected, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", given)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 2, 3, 4})
    assert threads() == (expected or 5)


def test_missing_packages_are_told(monkeypatch):
    assert TARGETS.available("onnxruntime") is target
    monkeypatch.setattr("asnn_targets.onnxruntime.find_spec", lambda _: None)
    assert target.unavailable() == "not installed: onnxruntime, onnx; pip install onnxruntime onnx"
