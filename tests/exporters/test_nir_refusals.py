"""NIR files that lie, are damaged, or are not ours: each refused in one line."""

from __future__ import annotations

import json
from dataclasses import replace

import h5py
import nir
import numpy as np
import pytest
from asnn_exporters.nir import exporter, read
from asnn_exporters.nir.header import DIGEST, HEADER, UNUSED, digest, kept_aside, metadata
from asnn_exporters.nir.nodes import to_nir
from asnn_exporters.nir.unroll import unroll
from networks.formats import convolutional
from nir_errors import refused

from asnn_deploy.ir.layers import Pool


@pytest.fixture
def written(tmp_path):
    """The path of a small network's file, and the network."""
    graph = convolutional(middle=[Pool("pool")])
    return tmp_path / exporter.write(graph, tmp_path)[0], graph


# Hints that lie


def change(path, edit):
    """Rewrite a file with its NIR graph edited."""
    graph = nir.read(path)
    edit(graph)
    nir.write(path, graph)


def edit_weight(graph):
    graph.nodes["conv.t01"].weight[0, 0, 0, 0] += 1


def edit_leak(graph):
    graph.nodes["lif.t02.leak"].scale[:] = 0.5


def edit_label(graph):
    graph.nodes["fc.t01"].metadata["layer"] = "conv"


def edit_step(graph):
    graph.nodes["fc.t01"].metadata["step"] = 2


def edit_type(graph):
    node = graph.nodes["lif.t00.spikes"]
    graph.nodes["lif.t00.spikes"] = nir.Scale(node.threshold, metadata=node.metadata)


def edit_edge(graph):
    graph.edges[graph.edges.index(("lif.t01.spikes", "pool.t01.sum"))] = ("lif.t00.spikes", "pool.t01.sum")


def edit_hints(graph):
    graph.nodes["lif.t00.spikes"].metadata.clear()


def edit_types(graph):
    graph.nodes["lif.t00.spikes"].metadata["step"] = "0"


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (edit_weight, "node 'conv.t01' was changed after the file was written (its type, a parameter or an input)"),
        (edit_leak, "node 'lif.t02.leak' was changed after"),
        (edit_label, "node 'fc.t01': its hints lie, they are those of 'conv.t01'"),
        (edit_step, "node 'fc.t01': its hints lie, they are those of 'fc.t02'"),
        (edit_edge, "node 'pool.t01.sum' was changed after"),
        (edit_type, "node 'lif.t00.spikes' was changed after"),
        (edit_hints, "node 'lif.t00.spikes' lacks its hints (layer, step and role in its metadata)"),
        (edit_types, "node 'lif.t00.spikes' lacks its hints"),
    ],
)
def test_a_node_that_was_changed_is_named(written, edit, expected):
    path, _ = written
    change(path, edit)
    assert expected in refused(path)


def forge(path, graph, edit):
    """Write a network whose nodes were edited before their digests were made, so that only the comparison can tell."""
    unrolled = unroll(graph)
    nodes = dict(unrolled.nodes)
    edit(nodes)
    nir.write(path, to_nir(nodes, metadata(graph, "canonical", about="", **{UNUSED: kept_aside(unrolled.unused)})))


def with_parameter(key, index, value):
    def edit(node):
        parameters = {name: np.array(array) for name, array in node.parameters.items()}
        parameters[key][index] = value
        return replace(node, parameters=parameters)

    return edit


@pytest.mark.parametrize(
    ("name", "edit", "expected"),
    [
        ("lif.t00.reset", with_parameter("scale", (0, 0, 0), -2), "node 'lif.t00.reset' its scale differs"),
        ("lif.t01.leak", with_parameter("scale", (1, 2, 3), 7), "node 'lif.t01.leak' its scale differs"),
        ("conv.t01", with_parameter("bias", 0, 1), "node 'conv.t01' its bias differs"),
        ("input.level085", with_parameter("threshold", (0, 0, 0), 3), "node 'input.level085' its threshold differs"),
        (
            "fc.t02",
            lambda node: replace(node, sources=("flatten.t01",)),
            "node 'flatten.t02' leads nowhere",
        ),
        (
            "pool.t01.sum",
            lambda node: replace(node, sources=("lif.t01.spikes", "lif.t00.spikes")),
            "node 'pool.t01.sum' reads 'lif.t00.spikes', 'lif.t01.spikes', expected 'lif.t01.spikes'",
        ),
        ("fc.t00", lambda node: replace(node, sources=()), "node 'fc.t00' has no input"),
    ],
)
def test_nodes_that_do_not_fit_the_hints_are_named(tmp_path, name, edit, expected):
    graph = convolutional(middle=[Pool("pool")])

    def apply(nodes):
        nodes[name] = edit(nodes[name])

    forge(tmp_path / "forged.nir", graph, apply)
    assert expected in refused(tmp_path / "forged.nir")


def edit_header(path, edit):
    def apply(graph):
        header = json.loads(graph.metadata[HEADER])
        edit(header)
        text = json.dumps(header)
        graph.metadata.update({HEADER: text, DIGEST: digest(text)})

    change(path, apply)


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (lambda h: h["layers"][0].update(stride=[2, 2]), "cannot be read (layer 'fc' (linear)"),
        (lambda h: h["layers"][0].update(padding=[1.0, 1.0]), "the network cannot be read"),
        (lambda h: h["layers"][0].update(padding=[10**30, 1]), "the header cannot be read"),
        (lambda h: h["layers"][0].update(padding="no"), "the header cannot be read"),
        (lambda h: h["layers"][0].update(groups=0), "node 'conv.t00': its weight cannot be read"),
        (lambda h: h["layers"][0].update(colour="red"), "the header cannot be read"),
        (lambda h: h["layers"][1].update(reset="zero"), "node 'lif.t00.lift' is missing"),
        (
            lambda h: h["layers"][1].update(kind="scale"),
            "node 'lif.t00.threshold', which holds the threshold of layer 'lif', is missing",
        ),
        (lambda h: h["layers"][1].update(kind=[]), "the header cannot be read"),
        (lambda h: h["layers"][1]["tables"].update(leak=[5]), "node 'lif.t00.leak': its scale cannot be read"),
        (lambda h: h["layers"][1]["tables"].pop("leak"), "the header cannot be read (layer 'lif'"),
        (lambda h: h["layers"][2].update(mode="sum"), "node 'pool.t00' is a Threshold, expected SumPool2d"),
        (lambda h: h["edges"].pop(), "the header cannot be read"),
        (lambda h: h["edges"][2].__setitem__(2, 1), "node"),
        (lambda h: h["edges"][2].__setitem__(2, 10**40), "node"),
        (lambda h: h["coding"]["steps"].pop(), "node 'output' reads 'readout.t02', expected 'readout.t01'"),
        (lambda h: h["coding"].update(steps=["analog"] * 100_000), "its hints"),
        (lambda h: h["coding"]["steps"][0].append([300, 1]), "the header's coding is not as asnn-deploy writes it"),
        (
            lambda h: h.update(edges=[[a, b, float(c)] for a, b, c in h["edges"]]),
            "the header cannot be read (delay 0.0 of the edge",
        ),
        (lambda h: h["coding"]["steps"].__setitem__(0, 5), "the header cannot be read"),
        (lambda h: h.update(dt=-1), "the header cannot be read (dt = -1 s, must be positive and finite)"),
        (lambda h: h.pop("edges"), "the header cannot be read"),
        (lambda h: h.update(format=1), "has format 1, this version reads format 3"),
        (
            lambda h: h.update(dialect="compact"),
            "is in the 'compact' dialect, only canonical and extended can be read back",
        ),
    ],
)
def test_a_header_that_lies_is_refused(written, edit, expected):
    path, _ = written
    edit_header(path, edit)
    assert expected in refused(path)


@pytest.mark.parametrize("text", ["no json", "[]", "[" * 100_000])
def test_a_header_that_is_no_header_is_refused(written, text):
    path, _ = written
    change(path, lambda graph: graph.metadata.update({HEADER: text, DIGEST: digest(text)}))
    assert "its header is damaged" in refused(path)


def test_a_header_that_was_changed_is_refused(written):
    path, _ = written
    change(path, lambda graph: graph.metadata.update({HEADER: graph.metadata[HEADER].replace("0.001", "0.002")}))
    assert refused(path) == "its header was changed after the file was written; export it again"


def test_a_file_that_nir_wrote_again_is_read(written):
    path, graph = written
    change(path, lambda _: None)
    assert read(path) == graph


# Files that are damaged or not ours


@pytest.mark.parametrize("keep", [0.0, 0.01, 0.3, 0.9])
def test_a_truncated_file_is_one_line(written, keep):
    path, _ = written
    path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
    assert refused(path)


def test_no_file_a_folder_and_a_text(tmp_path):
    assert refused(tmp_path / "none.nir") == "no such file"
    assert refused(tmp_path) == "not a file; expected a .nir file"
    (tmp_path / "text.nir").write_text("hello")
    assert refused(tmp_path / "text.nir") == "not a NIR file (it is not an HDF5 file)"


def test_hdf5_without_nir(tmp_path):
    with h5py.File(tmp_path / "other.nir", "w") as file:
        file["data"] = np.arange(5)
    assert "cannot be read as a NIR file" in refused(tmp_path / "other.nir")


def test_a_single_nir_node(tmp_path):
    nir.write(tmp_path / "node.nir", nir.Scale(np.ones(3)))
    assert "cannot be read as a NIR file" in refused(tmp_path / "node.nir")


def test_a_graph_by_others(tmp_path):
    ones = np.ones(4, np.float32)
    graph = nir.NIRGraph.from_list(nir.Affine(np.eye(4, dtype=np.float32), ones), nir.LIF(ones, ones, ones, ones, ones))
    nir.write(tmp_path / "other.nir", graph)
    assert refused(tmp_path / "other.nir") == (
        "was not written by asnn-deploy; NIR graphs by others cannot be deployed yet"
    )


def test_a_node_that_we_never_write(written):
    path, _ = written

    def edit(graph):
        shape = graph.nodes["lif.t00.spikes"].threshold.shape
        ones = np.ones(shape, np.float32)
        graph.nodes["lif.t00.spikes"] = nir.IF(ones, ones, ones)

    change(path, edit)
    assert refused(path) == "node 'lif.t00.spikes' is a IF, which asnn-deploy never writes"


def test_a_dangling_edge(written):
    path, _ = written
    with h5py.File(path, "a") as file:
        edges = [*file["node/edges"][()].tolist(), [b"nowhere", b"output"]]
        del file["node/edges"]
        file["node/edges"] = edges
    assert "'nowhere' which does not exist" in refused(path)


def test_other_float_types(written):
    path, _ = written

    def edit(graph):
        graph.nodes["conv.t00"].weight = graph.nodes["conv.t00"].weight.astype(np.float64)

    change(path, edit)
    assert refused(path) == "node 'conv.t00': its weight is float64, expected float32"


def test_nan(tmp_path):
    def edit(nodes):
        nodes["lif.t01.leak"] = with_parameter("scale", ..., np.nan)(nodes["lif.t01.leak"])

    forge(tmp_path / "nan.nir", convolutional(), edit)
    assert "holds NaN or infinity" in refused(tmp_path / "nan.nir")


def test_a_file_that_unpacks_to_too_much(written):
    path, _ = written
    with h5py.File(path, "a") as file:
        del file["node/nodes/lif.t00.gain/scale"]
        file.create_dataset("node/nodes/lif.t00.gain/scale", (10**12,), np.float32, chunks=(2**20,))
    assert "it unpacks to more than 16 GiB" in refused(path)


def test_a_file_that_leads_elsewhere(written):
    path, _ = written
    with h5py.File(path, "a") as file:
        file["node/nodes/more"] = h5py.ExternalLink("other.h5", "/")
    assert "'more' is a link to elsewhere" in refused(path)


def test_a_file_that_contains_itself(written):
    path, _ = written
    with h5py.File(path, "a") as file:
        file["node/nodes/input/loop"] = file["node"]
    assert "is a group that stands elsewhere too" in refused(path)
