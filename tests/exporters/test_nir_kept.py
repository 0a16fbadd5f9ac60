"""A bundle keeps a network of another tool in that tool's own nodes, and gives back the very graph."""

import json
from dataclasses import replace

import h5py
import numpy as np
import pytest
from asnn_exporters.nir import exporter, read
from asnn_exporters.nir.header import HEADER, digest
from asnn_exporters.nir.portable.kept import is_kept
from networks.lenet import small_lenet
from nir_errors import refused
from reading import CASES, NOT_READ, names, told

from asnn_deploy.deploy.bundle import NETWORK, write_bundle
from asnn_deploy.deploy.reading import Reading, settled
from asnn_deploy.deploy.source import open_source
from asnn_deploy.ir.quantization import Quantization

LONG = 100
"""Time steps; unrolled, a file would grow with them."""


def network(case, time_steps=LONG):
    graph = open_source(CASES / case / "network.nir", Reading(**told(case))).graph
    graph = settled(graph, np.ones((1, time_steps, *graph.input_shape), np.float32))
    return replace(graph, quantization=Quantization(6))


@pytest.mark.parametrize("case", [case for case in names() if case not in NOT_READ])
def test_every_tools_network_comes_back_as_it_was(case, tmp_path):
    graph = network(case)
    exporter.keep(graph, tmp_path)
    file = tmp_path / NETWORK
    assert is_kept(file)
    assert read(file) == graph
    assert file.stat().st_size < (CASES / case / "network.nir").stat().st_size + 20_000


def test_what_its_nodes_cannot_hold_is_unrolled(tmp_path):
    graph = network("snntorch-conv", 2)
    changing = graph.layers[0].with_tables(lambda table: type(table).per_step(np.stack([table.at(0), -table.at(0)])))
    graph = replace(graph, layers=(changing, *graph.layers[1:]))
    exporter.keep(graph, tmp_path)
    assert not is_kept(tmp_path / NETWORK)
    assert read(tmp_path / NETWORK) == graph


def test_networks_of_our_own_are_canonical_as_ever(tmp_path):
    for name, write in (("a", exporter.keep), ("b", exporter.write)):
        (tmp_path / name).mkdir()
        write(small_lenet(), tmp_path / name)
    assert (tmp_path / "a" / NETWORK).read_bytes() == (tmp_path / "b" / NETWORK).read_bytes()


def test_the_target_nir_runs_it_from_a_bundle(tmp_path):
    """Unrolled for it, as from the file."""
    graph = network("snntorch-rleaky-zero", 3)
    write_bundle(graph, "lava", tmp_path / "bundle", None, {})
    with open_source(tmp_path / "bundle").deployment as deployment:
        assert deployment.graph == graph
        assert not is_kept(deployment.file("nir"))
        assert read(deployment.file("nir")) == graph


def weight(file):
    file["node/nodes/fc1/weight"][0, 0] += 1


def header(change):
    def edit(file):
        remarks = file["node/metadata"]
        found = json.loads(remarks[HEADER][()])
        change(found)
        del remarks[HEADER], remarks["asnn_deploy_digest"]
        text = json.dumps(found)
        remarks[HEADER], remarks["asnn_deploy_digest"] = np.bytes_(text), np.bytes_(digest(text))

    return edit


def put(*keys, value):
    def change(found):
        for key in keys[:-1]:
            found = found[key]
        found[keys[-1]] = value

    return header(change)


@pytest.mark.parametrize(
    ("edit", "text"),
    [
        (lambda file: file["node/metadata"].pop("asnn_deploy_meaning"), "asnn_deploy_meaning"),
        (lambda file: file["node/metadata"].pop("asnn_deploy_digest"), "its header was changed"),
        (lambda file: file["node/nodes"].pop("lif1"), "lif1"),
        (put("dt", value=1.0), "its dt differ"),
        (put("edges", value=[]), "its edges differ"),
        (put("coding", "steps", "steps", value=-1), "the header claims -1 time steps"),
        (put("coding", "steps", "steps", value=10**12), "the header claims 1000000000000 time steps"),
        (put("coding", "steps", value=[]), "the header claims 0 time steps"),
        (put("quantization", value=3), "the header cannot be read"),
        (header(lambda found: found.pop("meaning")), "the header cannot be read"),
        (header(lambda found: found["layers"].reverse()), "its layers differ"),
    ],
)
def test_damage_is_refused_in_one_line(edit, text, tmp_path):
    exporter.keep(network("snntorch-leaky-zero", 3), tmp_path)
    with h5py.File(tmp_path / NETWORK, "r+") as file:
        edit(file)
    assert text in refused(tmp_path / NETWORK)
