"""The NIR exporter: reading undoes writing, any reader of NIR computes the network, and what cannot be written."""

from __future__ import annotations

import os
from dataclasses import replace

import h5py
import nir
import numpy as np
import pytest
from asnn_exporters.nir import exporter, read
from asnn_exporters.nir.nodes import to_nir
from asnn_exporters.nir.unroll import unroll
from exactness import assert_order_free
from hypothesis import given, settings
from networks.drawn import sums_of_spikes_and_currents
from networks.formats import NETWORKS, convolutional, one_dimensional, recurrent, residual
from networks.lenet import small_lenet
from networks.making import Maker, constant, random_inputs
from nir_errors import unwritable

from asnn_deploy.engine.runner import run
from asnn_deploy.errors import InputError
from asnn_deploy.input.coding import input_code
from asnn_deploy.ir.graph import DeployGraph, Edge
from asnn_deploy.ir.layers import Flatten, Linear, Pool, Product, Readout
from asnn_deploy.ir.step_table import StepTable
from asnn_deploy.ir.trace import Record

# Round trips


@pytest.mark.parametrize("name", NETWORKS)
def test_reading_gives_the_graph_that_was_written(name, tmp_path):
    assert exporter.write(NETWORKS[name], tmp_path) == ["network.nir"]
    assert read(tmp_path / "network.nir") == NETWORKS[name]


@settings(max_examples=15)
@given(graph=sums_of_spikes_and_currents())
def test_any_small_network_comes_back(graph, tmp_path_factory):
    folder = tmp_path_factory.mktemp("nir")
    exporter.write(graph, folder)
    assert exporter.read(folder / "network.nir") == graph


def test_a_default_threshold_is_a_node_and_no_table(tmp_path):
    graph = convolutional(lif=Maker(0, 3).neuron("lif", threshold=False))
    exporter.write(graph, tmp_path)
    assert (nir.read(tmp_path / "network.nir").nodes["lif.t00.spikes"].threshold == 1).all()
    assert read(tmp_path / "network.nir") == graph


def test_a_file_depends_on_the_network_alone(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        exporter.write(convolutional(), tmp_path / name)
    assert (tmp_path / "a/network.nir").read_bytes() == (tmp_path / "b/network.nir").read_bytes()


def test_a_signal_that_never_arrives(tmp_path):
    """A delay longer than the run: the layers before it compute nothing, and are read back all the same."""
    graph = recurrent()
    edges = tuple(Edge(e.source, e.target, 9 if e.delay else 0) for e in graph.edges)
    late = DeployGraph(graph.input_shape, graph.code, graph.layers, edges)
    exporter.write(late, tmp_path)
    assert read(tmp_path / "network.nir") == late


# What others see


def test_nodes_are_named_by_layer_step_and_role(tmp_path):
    m = Maker(0, 2)
    layers = [
        m.linear("fc", 2, 4, bias=False),
        m.neuron("lif"),
        Readout("readout", constant(0.5, 2)),
    ]
    graph = DeployGraph.chain((4,), input_code("hybrid-latency", 2), layers)
    exporter.write(graph, tmp_path)
    found = nir.read(tmp_path / "network.nir")
    assert sorted(found.nodes) == [
        "fc.t00", "fc.t01", "input", "input.level128", "lif.t00.gain", "lif.t00.potential", "lif.t00.reset",
        "lif.t00.spikes", "lif.t01.gain", "lif.t01.leak", "lif.t01.potential", "lif.t01.spikes", "output",
        "readout.t00.summand", "readout.t01", "readout.t01.summand",
    ]  # fmt: skip
    assert {a for a, b in found.edges if b == "lif.t01.leak"} == {"lif.t00.potential", "lif.t00.reset"}
    assert found.nodes["lif.t01.leak"].metadata["role"] == "leak"


def naive(graph, images):
    """Every node's value: textbook definitions, position by position, sums in float64 and rounded once."""
    sources = {name: sorted(a for a, b in graph.edges if b == name) for name in graph.nodes}
    values = {}

    def windows(node, x, kernel, dilation):
        padding, stride = (np.broadcast_to(v, len(kernel)) for v in (node.padding, node.stride))
        x = np.pad(x, [(0, 0), (0, 0), *((p, p) for p in padding)])
        for position in np.ndindex(*map(int, node.output_type["output"][1:])):
            starts = [i * s for i, s in zip(position, stride)]
            cut = tuple(slice(a, a + d * (k - 1) + 1, d) for a, k, d in zip(starts, kernel, dilation))
            yield position, x[(..., *cut)].astype(np.float64)

    def apply(node, x):
        kind, shape = type(node).__name__, (len(x), *map(int, node.output_type["output"]))
        if kind == "Scale":
            return x * node.scale
        if kind == "Threshold":
            return np.where(x > node.threshold, np.float32(1), np.float32(0))
        if kind in ("Linear", "Affine"):
            return np.einsum("oi,bi->bo", node.weight.astype(np.float64), x) + getattr(node, "bias", 0)
        if kind in ("Flatten", "Output"):
            return x.reshape(shape)
        y = np.zeros(shape)
        if kind in ("Conv1d", "Conv2d"):
            assert node.groups == 1
            kernel = node.weight.shape[2:]
            for at, window in windows(node, x, kernel, np.broadcast_to(node.dilation, len(kernel))):
                y[(..., *at)] = np.tensordot(window, node.weight, (range(1, x.ndim), range(1, x.ndim))) + node.bias
            return y
        for at, window in windows(node, x, node.kernel_size, np.ones_like(node.kernel_size)):
            y[(..., *at)] = window.sum((2, 3)) / (np.prod(node.kernel_size) if kind == "AvgPool2d" else 1)
        return y

    def value(name):
        if name not in values:
            total = images.astype(np.float32) if not sources[name] else np.float32(0)
            for source in sources[name]:
                total = total + value(source)
            node = graph.nodes[name]
            values[name] = total if type(node).__name__ == "Input" else apply(node, total).astype(np.float32)
        return values[name]

    for name in sorted(graph.nodes):
        value(name)
    return values


@pytest.mark.parametrize(
    "name",
    [
        "coding hybrid-latency", "coding embedding", "coding hybrid-embedding-reference", "per neuron", "weights per step",
        "groups", "oblong kernel",
        "max pool with padding", "average pool", "bias per neuron", "reset to zero", "cuba-lif", "recurrent",
        "delayed spikes",
        "residual", "1-D max", "counts",
    ],
)  # fmt: skip
def test_any_reader_of_nir_computes_the_network(name, tmp_path):
    graph = NETWORKS[name]
    assert_order_free(graph)
    exporter.write(graph, tmp_path)
    plain = nir.read(tmp_path / "network.nir", type_check=True)
    assert [len(plain.inputs), len(plain.outputs)] == [1, 1]
    images = random_inputs(graph, 3)
    expected = run(graph, images, record=Record(spikes=True))
    values = naive(plain, images)
    for layer, spikes in expected.spikes.items():
        for t, fired in enumerate(spikes):
            node = f"{layer}.t{t:02d}.spikes"
            np.testing.assert_array_equal(values[node], fired, err_msg=node)
    np.testing.assert_array_equal(values["output"].reshape(len(images), -1), expected.logits)


def test_nirtorch_computes_the_network(tmp_path):
    """A reader by others: nirtorch's interpreter on torch's own modules."""
    nirtorch, torch = pytest.importorskip("nirtorch"), pytest.importorskip("torch")

    class Pointwise(torch.nn.Module):
        def __init__(self, function, value):
            super().__init__()
            self.function, self.value = function, torch.from_numpy(np.array(value))

        def forward(self, x):
            return self.function(x, self.value)

    def weighted(module, node):
        module.weight.data, module.bias.data = torch.from_numpy(node.weight), torch.from_numpy(node.bias)
        return module

    def conv(node):
        channels, geometry = node.weight.shape[1::-1], (node.stride, node.padding, node.dilation)
        return weighted(torch.nn.Conv2d(*channels, node.weight.shape[2], *map(tuple, geometry)), node)

    def summed(x, size):
        return torch.nn.functional.avg_pool2d(x, tuple(size.tolist()), divisor_override=1)

    modules = {
        nir.Input: lambda _: torch.nn.Identity(),
        nir.Output: lambda _: torch.nn.Identity(),
        nir.Scale: lambda node: Pointwise(torch.mul, node.scale),
        nir.Threshold: lambda node: Pointwise(lambda x, level: (x > level).float(), node.threshold),
        nir.Conv2d: conv,
        nir.Affine: lambda node: weighted(torch.nn.Linear(*node.weight.shape[::-1]), node),
        nir.SumPool2d: lambda node: Pointwise(summed, node.kernel_size),
        nir.Flatten: lambda node: torch.nn.Flatten(int(node.start_dim), int(node.end_dim)),
    }
    graph = small_lenet(3)
    exporter.write(graph, tmp_path)
    images = random_inputs(graph, 8)
    with torch.no_grad():
        found = nirtorch.nir_to_torch(nir.read(tmp_path / "network.nir"), modules)(torch.from_numpy(np.float32(images)))
    np.testing.assert_array_equal(found[0].numpy(), run(graph, images).logits)


# The file


def test_equal_arrays_are_stored_once(tmp_path):
    graph = small_lenet(8)
    exporter.write(graph, tmp_path)
    nir.write(tmp_path / "plain.nir", to_nir(unroll(graph).nodes, {}))
    assert (tmp_path / "network.nir").stat().st_size < 0.4 * (tmp_path / "plain.nir").stat().st_size
    with h5py.File(tmp_path / "network.nir") as file:
        assert file["node/nodes/fc1.t00/weight"] == file["node/nodes/fc1.t07/weight"]
        assert file["node/nodes/conv1.t00/weight"] != file["node/nodes/conv1.t01/weight"]


def test_a_failed_write_leaves_the_old_file_whole(tmp_path, monkeypatch):
    path = tmp_path / exporter.write(convolutional(), tmp_path)[0]
    before = path.read_bytes()

    def full(*_args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(InputError, match=r"network.nir: cannot be written \(No space left on device\)"):
        exporter.write(recurrent(), path.parent)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


def test_writing_into_no_folder_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        exporter.write(convolutional(), tmp_path / "file")


# What cannot be written


def test_products_are_refused(tmp_path):
    graph = residual()
    layers = [Product(layer.name, "chw,chw->chw") if layer.name == "twice" else layer for layer in graph.layers]
    product = DeployGraph(graph.input_shape, graph.code, tuple(layers), graph.edges)
    message = unwritable(product, tmp_path, dialect="canonical")
    assert message == (
        "layer 'twice' (product): NIR's primitives have no product of two signals; "
        "write it in the dialect extended, for readers that know it"
    )


def test_the_largest_of_large_counts_or_currents_is_refused(tmp_path):
    graph = convolutional(middle=[Pool("sums", "sum", (9, 9), (1, 1), (2, 2)), Pool("most", "max", (1, 1), (1, 1))])
    refusal = unwritable(graph, tmp_path)
    assert "layer 'most' (pool): takes the largest of counts up to 81 from 'sums'; here at most 64" in refusal
    currents = convolutional(before=[Pool("most", "max", (1, 1), (1, 1))])
    assert "layer 'most' (pool): NIR can take the largest of spikes and counts only" in unwritable(currents, tmp_path)


def test_uneven_kernels_are_refused(tmp_path):
    graph = convolutional(conv=Maker(0, 3).conv("conv", 4, 2, (2, 3)))
    assert "layer 'conv' (conv): kernel (2, 3): NIR's type check knows square kernels" in unwritable(graph, tmp_path)


def test_float64_tables_are_refused(tmp_path):
    graph = one_dimensional("max")
    layers = [
        replace(layer, scale=layer.scale.astype(np.float64)) if layer.kind == "readout" else layer
        for layer in graph.layers
    ]
    double = DeployGraph(graph.input_shape, graph.code, tuple(layers), graph.edges)
    assert "layer 'readout' (readout): scale is float64, NIR files hold float32" in unwritable(double, tmp_path)


def test_other_neuron_models_are_refused(tmp_path):
    lif = replace(Maker(0, 3).neuron("lif"), model="izhikevich")
    assert "layer 'lif' (neuron): unknown neuron model 'izhikevich'" in unwritable(convolutional(lif=lif), tmp_path)


def test_integer_graphs_are_refused(tmp_path):
    layers = [
        Flatten("flatten"),
        Linear("fc", StepTable.constant(np.ones((2, 4), np.int64), 2)),
        Readout("readout", StepTable.constant(np.int64(1), 2)),
    ]
    graph = DeployGraph.chain((1, 2, 2), input_code("latency", 2), layers, arithmetic="fixed")
    assert unwritable(graph, tmp_path) == "NIR holds float32 networks; export the float graph, not the quantised one"


def test_dialects(tmp_path):
    assert "did you mean 'canonical'" in unwritable(convolutional(), tmp_path, dialect="cannonical")
