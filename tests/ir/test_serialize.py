import json
import pickle
from dataclasses import replace

import numpy as np
import pytest
from asnn_exporters.nir import exporter, read
from hypothesis import given, settings
from membranes import FIRINGS, spelled
from networks.drawn import exact_graphs
from networks.lenet import small_lenet
from networks.making import constant, firing_neuron, linked, static_neuron

from asnn_deploy.errors import BundleError, InputError
from asnn_deploy.ir.inputs import SequenceInput
from asnn_deploy.ir.layers import Linear, Readout
from asnn_deploy.ir.serialize import fingerprint, load_graph, save_graph
from asnn_deploy.ir.step_table import StepTable
from asnn_deploy.quantizing import quantize


@settings(max_examples=25)
@given(exact_graphs())
def test_round_trip(tmp_path_factory, graph):
    path = tmp_path_factory.mktemp("graph") / "g.npz"
    for version in (graph, quantize(graph)):
        save_graph(path, version)
        assert load_graph(path) == version
        assert fingerprint(load_graph(path)) == fingerprint(version)
    assert fingerprint(version) != fingerprint(graph)


def test_a_fingerprint_is_of_what_a_network_computes():
    """However its tables are stored; another weight, leak, coding or choice of bits is another network."""
    graph = small_lenet(3, "hybrid-latency")
    layers = [
        replace(x, **{key: StepTable(t.expanded(), np.arange(3)) for key, t in x.tables().items()})
        if x.kind != "neuron"
        else replace(x, parameters={k: StepTable(t.expanded(), np.arange(3)) for k, t in x.parameters.items()})
        for x in graph.layers
    ]
    stored_otherwise = replace(graph, layers=tuple(layers))
    assert stored_otherwise == graph
    others = [
        small_lenet(3, "latency"),
        small_lenet(4, "hybrid-latency"),
        replace(graph, dt=graph.dt * 2),
        replace(graph, quantization=replace(graph.quantization, bits=4)),
        *(
            replace(graph, layers=tuple(replace(y, weight=y.weight.map(np.negative)) if y is x else y for y in layers))
            for x in layers
            if "weight" in x.tables()
        ),
    ]
    prints = [fingerprint(one) for one in (graph, stored_otherwise, *others)]
    assert prints[0] == prints[1]
    assert len(set(prints)) == 1 + len(others)


@pytest.mark.parametrize("firing", FIRINGS, ids=spelled)
def test_how_neurons_fire_is_kept(firing, tmp_path):
    """In graph files, NIR files and pickles; neurons that fire otherwise are others."""
    neuron = firing_neuron("lif", 2, firing, minimum=-0.5, reset_potential=0.25, initial=0.5)
    graph = chained(neuron)
    save_graph(tmp_path / "g.npz", graph)
    found = [load_graph(tmp_path / "g.npz"), pickle.loads(pickle.dumps(graph))]
    (name,) = exporter.write(graph, tmp_path)
    found.append(read(tmp_path / name))
    for other in found:
        assert other == graph
        assert other.by_name["lif"].firing == firing
        assert (other.by_name["lif"].firing.at, other.by_name["lif"].firing.many) == (firing.at, firing.many)
        assert hash(other.by_name["lif"]) == hash(neuron)
    others = [firing_neuron("lif", 2, f, minimum=-0.5, reset_potential=0.25, initial=0.5) for f in FIRINGS]
    assert [spelled(other.firing) for other in others if other == neuron] == [spelled(firing)]


def test_files_from_before_neurons_could_fire_otherwise_read_as_they_did(tmp_path):
    graph = chained(static_neuron("lif", 2, reset="zero"))
    save_graph(tmp_path / "g.npz", graph)
    with np.load(tmp_path / "g.npz") as stored:
        entries = dict(stored)
    header = json.loads(entries["header"].tobytes())
    for layer in header["layers"]:
        for key in ("comparison", "spiking"):
            layer.pop(key, None)
    del header["meaning"]
    entries["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    np.savez(tmp_path / "old.npz", **entries)
    assert load_graph(tmp_path / "old.npz") == graph


def chained(neuron):
    """A small network of these neurons."""
    layers = (
        Linear("synapses", constant(np.ones((2, 2), np.float32), 2)),
        neuron,
        Linear("out", constant(np.ones((2, 2), np.float32), 2)),
        Readout("readout", constant(1.0, 2)),
    )
    return linked((2,), SequenceInput(2), layers, {})


def test_damaged_files_are_one_line(tmp_path):
    path = tmp_path / "g.npz"
    save_graph(path, small_lenet())
    whole = path.read_bytes()
    for damage in (whole[: len(whole) // 2], b"", b"no zip at all", whole[:-30]):
        path.write_bytes(damage)
        with pytest.raises(BundleError, match="not a readable graph file") as caught:
            load_graph(path)
        assert "\n" not in str(caught.value)
    with pytest.raises(BundleError, match="not a readable graph file"):
        load_graph(tmp_path / "absent.npz")


def test_pickles_are_not_read(tmp_path):
    path = tmp_path / "g.npz"
    np.savez(path, header=np.array([{"format": 2}], dtype=object))
    with pytest.raises(BundleError, match="not a readable graph file"):
        load_graph(path)


def test_another_format_version(tmp_path):
    path = tmp_path / "g.npz"
    np.savez(path, header=np.frombuffer(b'{"format": 99}', dtype=np.uint8))
    with pytest.raises(BundleError, match="graph format 99, this version reads format 3; export again"):
        load_graph(path)


def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "g.npz"
    save_graph(path, small_lenet(seed=1))
    before = path.read_bytes()

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(InputError, match=r"g.npz: cannot be written \(No space left on device\)"):
        save_graph(path, small_lenet(seed=2))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["g.npz"]
