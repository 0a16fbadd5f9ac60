"""NIR files of other tools as files: damaged, foreign, old, unusual. Each is read, or refused in one line."""

from __future__ import annotations

import json
import pickle
import zipfile

import h5py
import numpy as np
import pytest
from asnn_exporters.nir.others import MEANING, graph_of, read_network
from asnn_exporters.nir.storage import load
from nir_errors import refused_by
from nir_files import PLAIN, affine, chain, conv, node, write

from asnn_deploy.errors import AsnnDeployError, BundleError
from asnn_deploy.ir.meaning import Meaning


def refused(path):
    return refused_by(read_network, path, BundleError)


# Files that are not NIR's


def pointer(path):
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 17584\n")


def archive(path):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("archive/data.pkl", b"x")


def cut(path):
    write(path, *PLAIN)
    path.write_bytes(path.read_bytes()[:-1000])


def scribbled(path):
    write(path, *PLAIN)
    content = path.read_bytes()
    path.write_bytes(content[:96] + b"\xff" * 4000 + content[4096:])


def without_node(path):
    with h5py.File(path, "w") as file:
        file["weights"] = 1.0


def empty_group(path):
    write(path, *PLAIN)
    with h5py.File(path, "a") as file:
        del file["node/nodes/output"], file["node/edges"], file["node/type"]
        file.create_group("node/nodes/output")


def stopped_in_a_node(path):
    write(path, *PLAIN)
    with h5py.File(path, "a") as file:
        del file["node/nodes/lif2/type"], file["node/edges"]


def without(*names):
    def make(path):
        write(path, *PLAIN)
        with h5py.File(path, "a") as file:
            for name in names:
                del file[f"node/{name}"]

    return make


def replaced(name, value):
    def make(path):
        write(path, *PLAIN)
        with h5py.File(path, "a") as file:
            del file[f"node/{name}"]
            file[f"node/{name}"] = value

    return make


def cyclic(path):
    write(path, *PLAIN)
    with h5py.File(path, "a") as file:
        file["node/nodes/fc1/nodes"] = file["node/nodes"]


def linked(path):
    write(path, *PLAIN)
    with h5py.File(path, "a") as file:
        file["node/nodes/fc1/input"] = h5py.ExternalLink("/etc/passwd", "x")


def huge(path):
    write(path, *PLAIN)
    with h5py.File(path, "a") as file:
        del file["node/nodes/fc1/weight"]
        file.create_dataset("node/nodes/fc1/weight", (1 << 20, 1 << 20), "f4", chunks=(1, 1 << 20))


def deep(path):
    graph = {"nodes": {"i": node("Input", shape=[1]), "o": node("Output", shape=[1])}, "edges": [("i", "o")]}
    for _ in range(40):
        graph = {"nodes": graph["nodes"] | {"g": graph}, "edges": [("i", "g"), ("g", "o")]}
    write(path, graph["nodes"], graph["edges"])


def badly_named(path):
    write(path, *PLAIN)
    with h5py.File(path, "a") as file:
        group = file["node/nodes"].create_group(b"\xff\xfe")
        group["type"] = "IF"


def single_node(path):
    with h5py.File(path, "w") as file:
        file["node/type"], file["node/r"] = "LIF", 1.0


FILES = {
    "missing": (lambda path: None, "no such file"),
    "folder": (lambda path: path.mkdir(), "not a file; expected a .nir file"),
    "empty": (lambda path: path.write_bytes(b""), "is empty; export it again"),
    "text": (lambda path: path.write_text("nodes: []"), "not a NIR file (it is not an HDF5 file)"),
    "Git LFS": (
        pointer,
        "not a NIR file (it is not an HDF5 file): it is a Git LFS pointer, which stands for the file; run `git lfs pull`",
    ),
    "zip": (
        archive,
        "not a NIR file (it is not an HDF5 file): it is a zip archive, as torch.save writes them; export the network with "
        "nir.write",
    ),
    "pickle": (
        lambda path: path.write_bytes(pickle.dumps({"nodes": []})),
        "not a NIR file (it is not an HDF5 file): it is a Python pickle; export the network with nir.write",
    ),
    "cut off": (cut, "bytes are there; copy or export it again"),
    "scribbled over": (scribbled, "cannot be read"),
    "no node": (
        without_node,
        "not a NIR file: it has no group 'node' (it holds 'weights'); export it with nir.write",
    ),
    "a single node": (single_node, "holds a single node of type 'LIF', expected a NIRGraph"),
    "no nodes": (
        without("nodes"),
        "the graph: it has no group 'nodes'; its exporter stopped while writing, export it again",
    ),
    "no edges": (without("edges"), "the graph: it has no 'edges'; its exporter stopped while writing, export it again"),
    "an empty group": (
        empty_group,
        "node 'output': is an empty group; its exporter stopped while writing; mend what stopped it and export the file "
        "again",
    ),
    "a node without type": (
        stopped_in_a_node,
        "node 'lif2': has no type (it holds 'r', 'tau', 'v_leak', 'v_threshold'); its exporter stopped while writing; mend what "
        "stopped it and export the file again",
    ),
    "edges of numbers": (
        replaced("edges", np.ones((3, 2))),
        "the graph: edges: has values of type float64, expected texts",
    ),
    "edges of three": (
        replaced("edges", np.array([["input", "fc1", "x"]], dtype="S")),
        "the graph: its edges have shape (1, 3), expected (number of edges, 2)",
    ),
    "edges not UTF-8": (
        replaced("edges", np.array([[b"\xff\xfe", b"fc1"]])),
        "the graph: edges: is not valid UTF-8; export the file again",
    ),
    "a name not UTF-8": (badly_named, "a name in it is not valid UTF-8; rename it and export the file again"),
    "type is a number": (
        replaced("nodes/lif1/type", 1.0),
        "node 'lif1': the type: has values of type float64, expected texts",
    ),
    "a node is an array": (
        replaced("nodes/lif1", 1.0),
        "node 'lif1': is an array, expected a group with type and fields",
    ),
    "unknown type": (
        replaced("nodes/lif1/type", "LIFF"),
        "node 'lif1': unknown type 'LIFF'; did you mean 'LIF'? (allowed: Affine, AvgPool2d, Conv1d, Conv2d, CubaLI, "
        "CubaLIF, Delay, Flatten, I, IF, Input, LI, LIF, Linear, NIRGraph, Output, Scale, SumPool2d, Threshold)",
    ),
    "groups in groups": (cyclic, "'nodes' is a group that stands elsewhere too"),
    "links": (linked, "'input' is a link to elsewhere"),
    "huge": (huge, "it unpacks to more than 16 GiB"),
    "deep": (deep, "graphs are nested more than 32 deep"),
}


@pytest.mark.parametrize("fault", FILES)
def test_what_is_no_file_of_nirs_is_said_by_name(tmp_path, fault):
    make, said = FILES[fault]
    make(tmp_path / "network.nir")
    message = refused(tmp_path / "network.nir")
    assert said in message
    if fault in ("missing", "empty", "no node", "an empty group"):
        assert message == said


@pytest.mark.parametrize("length", [0.02, 0.3, 0.6, 0.9, 0.999])
def test_a_file_cut_off_anywhere_is_refused(tmp_path, length):
    content = write(tmp_path / "whole.nir", *PLAIN).read_bytes()
    (tmp_path / "cut.nir").write_bytes(content[: int(len(content) * length)])
    assert f"is cut off: {int(len(content) * length)} of its {len(content)} bytes" in refused(tmp_path / "cut.nir")


# Fields


FIELDS = {
    "missing": ("lif", "tau", None, "is missing (its fields: 'r', 'v_leak', 'v_threshold'); export the file again"),
    "NaN": (
        "lif",
        "r",
        np.array([1.0, np.nan, 1.0, 1.0]),
        "holds NaN, infinity, or a number beyond float32; every number",
    ),
    "beyond float32": ("lif", "v_threshold", 1e300, "holds NaN, infinity, or a number beyond float32; every number"),
    "text": ("lif", "tau", "0.01", "holds '0.01', expected numbers"),
    "empty": ("lif", "tau", np.zeros((0,)), "is empty (shape (0,)), expected numbers"),
    "complex": ("lif", "tau", 1j, "has values of type complex128, expected numbers"),
    "a group": ("lif", "tau", {"x": 1.0}, "is a group, expected numbers"),
    "no time in float32": ("lif", "tau", 1e-300, "holds 1e-300; time constants must be positive"),
    "a time that is false": ("lif", "tau", False, "holds 0; time constants must be positive"),
    "no time": ("lif", "tau", 0.0, "holds 0; time constants must be positive"),
    "negative time": ("lif", "tau", [0.1, -0.1, 0.1, 0.1], "holds -0.1; time constants must be positive"),
    "negative delay": ("delay", "delay", -1e-4, "holds -0.0001; a delay is at least 0"),
    "axes of a weight": ("fc", "weight", np.ones(4), "has shape (4,), expected (outputs, inputs)"),
    "axes of a kernel": (
        "conv",
        "weight",
        np.ones((4, 4)),
        "has shape (4, 4), expected (outputs, inputs / groups, kernel)",
    ),
    "stride 0": ("conv", "stride", 0, "is 0, expected one number of at least 1"),
    "stride 1.5": ("conv", "stride", 1.5, "is 1.5, expected whole numbers up to"),
    "stride of two": ("conv", "stride", [1, 1], "is [1, 1], expected one number of at least 1"),
    "padding in words": ("conv", "padding", "some", "is 'some'; allowed: whole numbers, or of convolutions 'same' or"),
    "pool padded in words": (
        "pool",
        "padding",
        "same",
        "is 'same'; allowed: whole numbers, or of convolutions 'same' or",
    ),
    "padding below 0": ("conv", "padding", -1, "is -1, expected one number of at least 0"),
    "groups 0": ("conv", "groups", 0, "is 0, expected one whole number of at least 1"),
    "three kernel sizes": ("pool", "kernel_size", [2, 2, 2], "is [2, 2, 2], expected one or two numbers of at least 1"),
    "no kernel size": ("pool", "kernel_size", None, "is missing (its fields: none); export the file again"),
    "two start_dims": ("flatten", "start_dim", [0, 1], "is [0, 1], expected one whole number of at least"),
    "input_shape with channels": (
        "conv",
        "input_shape",
        [1, 4],
        "is [1, 4], expected 1 number(s): the spatial axes without",
    ),
    "shape 0": ("input", "shape", [4, 0], "is [4, 0]; each axis has at least 1 element, and all at most 2147483647"),
    "a shape that eats the machine": (
        "input",
        "shape",
        [1 << 30, 1 << 30],
        "is [1073741824, 1073741824]; each axis has",
    ),
    "shape of shapes": ("input", "shape", np.ones((2, 2)), "has shape (2, 2), expected one number, or a list of them"),
}
KINDS = {
    "lif": node("LIF"),
    "delay": node("Delay", delay=1e-4),
    "fc": affine(4, 4),
    "conv": conv(4, 4, 1),
    "pool": node("SumPool2d", kernel_size=2),
    "flatten": node("Flatten"),
    "input": node("Input", shape=[4]),
}


@pytest.mark.parametrize("fault", FIELDS)
def test_a_field_is_refused_by_its_node_and_name(tmp_path, fault):
    name, key, value, said = FIELDS[fault]
    nodes, edges = chain((4,), (4,), **{k: v for k, v in KINDS.items() if k == name and k != "input"})
    nodes[name] = KINDS[name] | {key: value}
    message = refused(write(tmp_path / "network.nir", nodes, edges))
    assert message.startswith(f"node '{name}' ({KINDS[name]['type']}): field '{key}' {said}")


def test_long_and_odd_names_stay_on_one_short_line(tmp_path):
    odd = "a\nb" * 2000
    nodes, edges = chain((4,), (4,), **{odd: node("LIF", tau=0.0)})
    assert len(refused(write(tmp_path / "network.nir", nodes, edges))) < 300


# Old and unusual files


def read(path, *network, **options):
    return graph_of(read_network(write(path / "network.nir", *network, **options)), Meaning())


def test_fields_that_old_files_lack(tmp_path):
    """v_reset, w_in, bias, input_shape, a pool's stride, the version."""
    lif, cuba = node("LIF", tau=0.01), node("CubaLIF")
    assert "v_reset" not in lif
    assert "w_in" not in cuba
    weights = [conv(4, 1, 3, 3), node("AvgPool2d", kernel_size=2), lif, cuba, node("Flatten", start_dim=0)]
    graph = read(tmp_path, *chain((1, 8, 8), (2,), *weights, affine(2, 36, bias=None)), version=None)
    pool = graph.by_name["1"]
    assert pool.stride == pool.kernel == (2, 2)
    assert graph.by_name["0"].bias is None
    assert graph.by_name["5"].bias is None


@pytest.mark.parametrize("number", [lambda n: n, lambda n: [n], lambda n: [n, n], lambda n: np.float64(n), np.uint8])
def test_numbers_and_lists_mean_the_same(tmp_path, number):
    given = {"stride": number(2), "padding": number(1), "dilation": number(1)}
    nodes = [conv(4, 2, 3, 3, groups=[2], **given), node("SumPool2d", kernel_size=number(2), stride=number(2))]
    graph = read(tmp_path, *chain((4, 9, 9), (4, 2, 2), *nodes))
    assert graph.by_name["0"].stride == graph.by_name["1"].stride == (2, 2)
    assert graph.by_name["0"].padding == (1, 1)
    assert graph.by_name["0"].groups == 2


@pytest.mark.parametrize("text", ["same", b"same", np.array([b"same"]), np.array(b"same")])
def test_texts_in_every_form(tmp_path, text):
    graph = read(tmp_path, *chain((1, 8), (1, 8), conv(1, 1, 3, padding=text)))
    assert graph.by_name["0"].padding == (1,)


def test_numbers_of_every_type_become_float32(tmp_path):
    types = {"tau": np.float64(0.002), "r": np.int64(1), "v_leak": np.float16(0), "v_threshold": True}
    network = chain((3,), (4,), affine(4, 3, bias=np.arange(4)), {**node("LIF"), **types})
    graph = read(tmp_path, *network)
    assert {str(t.dtype) for layer in graph.layers for t in layer.tables().values()} == {"float32"}
    assert graph == read(tmp_path, *chain((3,), (4,), affine(4, 3, bias=np.arange(4.0)), node("LIF")))


def test_the_network_keeps_parameters_as_they_stand(tmp_path):
    lif = node("LIF", tau=np.array(0.002), r=np.ones(1), v_threshold=np.ones(4))
    fields = read_network(write(tmp_path / "n.nir", *chain((4,), (4,), lif=lif))).nodes["lif"].fields
    assert {key: value.shape for key, value in fields.items()} == {
        "tau": (),
        "r": (1,),
        "v_leak": (),
        "v_threshold": (4,),
    }


def test_edges_may_be_written_as_numbers(tmp_path):
    path = write(
        tmp_path / "n.nir", {"0": node("Input", shape=[3]), "1": node("LIF"), "2": node("Output", shape=3)}, []
    )
    with h5py.File(path, "a") as file:
        del file["node/edges"]
        file["node/edges"] = [[0, 1], [1, 2]]
    assert [layer.name for layer in graph_of(read_network(path), Meaning()).layers] == ["1", "2"]


# Metadata


def test_metadata_of_every_kind_is_kept_or_left_out(tmp_path):
    notes = {"tool": "ours", "year": 2024, "rates": [0.5, 1.0], "more": {"a": "b"}, "odd": b"\xff", "complex": 1j}
    metadata = read_network(write(tmp_path / "n.nir", *PLAIN, notes)).metadata
    assert metadata == {"tool": "ours", "year": 2024, "rates": [0.5, 1.0], "more": {"a": "b"}, "odd": "�"}


def test_a_stated_meaning_is_read(tmp_path):
    stated = Meaning("norse", dt=1e-3, update="relaxing", feedback_reset="zero", assumed=("spikes",))
    metadata = read_network(write(tmp_path / "n.nir", *PLAIN, {MEANING: json.dumps(stated.to_json())})).metadata
    assert metadata[MEANING] == stated
    assert metadata[MEANING].assumed == stated.assumed


@pytest.mark.parametrize(
    "change",
    [
        {"dt": 0},
        {"dt": "fast"},
        {"dt": 10**400},
        {"dt": [1]},
        {"reset": "never"},
        {"reset": ["zero"]},
        {"spikes": 3},
        {"feedback_reset": "never"},
        {"feedback_reset": []},
        {"taus": "twice"},
        {"tool": 3},
        {"assumed": 3},
        {"mood": "good"},
    ],
)
def test_a_damaged_meaning_is_refused(tmp_path, change):
    stated = json.dumps(Meaning().to_json() | change)
    message = refused(write(tmp_path / "n.nir", *PLAIN, {MEANING: stated}))
    assert message.startswith(f"metadata {MEANING!r} states no rules by which to read the file (")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "3", '"zero"', "{}", "[" * 100_000, 3, ["{}"]])
def test_a_meaning_that_is_not_one_is_refused(tmp_path, text):
    assert "states no rules" in refused(write(tmp_path / "n.nir", *PLAIN, {MEANING: text}))


def test_flipped_bytes_end_in_a_network_or_one_line(tmp_path):
    """HDF5 keeps texts where nothing notices damage, and its reader can loop for ever over it."""
    content, draw = write(tmp_path / "n.nir", *PLAIN).read_bytes(), np.random.default_rng(0)
    damaged, outcomes = tmp_path / "damaged.nir", set()
    for _ in range(300):
        scribbled = bytearray(content)
        for place in draw.integers(0, len(content), 3):
            scribbled[place] ^= 1 << int(draw.integers(8))
        damaged.write_bytes(scribbled)
        outcomes.add(outcome(damaged))
    assert {"", "refused"} == {said and "refused" for said in outcomes}
    assert all(not said or (said.startswith(f"{damaged}: ") and "\n" not in said) for said in outcomes)


@pytest.mark.parametrize("length", [0, 8, 1 << 20, (1 << 64) - 1])
def test_damaged_heaps_of_texts_are_refused_before_hdf5_follows_them(tmp_path, length):
    path = write(tmp_path / "n.nir", *PLAIN)
    content = bytearray(path.read_bytes())
    first = content.index(b"GCOL") + 16
    content[first : first + 2] = bytes(2)  # free space of that length
    content[first + 8 : first + 16] = length.to_bytes(8, "little")
    path.write_bytes(content)
    assert refused(path) == "cannot be read as a NIR file (its texts are damaged); export it again"
    assert "its texts are damaged" in refused_by(load, path, BundleError)


def outcome(path):
    """What is said of a file; nothing if it is read."""
    try:
        read_network(path)
    except AsnnDeployError as error:
        return str(error)
    return ""
