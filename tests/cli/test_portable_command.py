"""`asnn-deploy export --nir-dialect portable`: networks of ours and of others, for anyone and for a named tool."""

import h5py
import numpy as np
from asnn_exporters.nir import exporter
from networks.making import constant, grid_weights, static_neuron
from nir_files import PLAIN, node, write

import asnn_deploy
from asnn_deploy.cli import run
from asnn_deploy.cli.export_command import READERS
from asnn_deploy.conventions import importing_tools
from asnn_deploy.deploy.bundle import NETWORK
from asnn_deploy.deploy.reading import Reading, settled
from asnn_deploy.deploy.source import open_source
from asnn_deploy.input.coding import input_code
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.layers import Conv, Flatten, Linear, Pool, Readout


def portable(source, out, *more):
    return run(["export", str(source), "--target", "nir", "--nir-dialect", "portable", "--out", str(out), *more])


def nodes(path):
    """The fields of all nodes, and the edges."""
    found = {}

    def note(name, item):
        if isinstance(item, h5py.Dataset) and not name.startswith("metadata"):
            found[name] = (item.dtype, np.asarray(item[()]).tolist())

    with h5py.File(path) as file:
        file["node"].visititems(note)
    return found


def test_the_tools_of_the_help_text_are_those_whose_importers_are_known():
    assert importing_tools() == READERS


def test_a_file_of_another_tool_goes_out_node_for_node(tmp_path):
    write(tmp_path / "in.nir", *PLAIN)
    assert portable(tmp_path / "in.nir", tmp_path / "out.nir", "--from", "snntorch", "--reset", "subtract") == 0
    assert nodes(tmp_path / "out.nir") == nodes(tmp_path / "in.nir")
    again = asnn_deploy.load(tmp_path / "out.nir")
    assert again.any_length
    assert (again.meaning.tool, str(again.neurons[0].reset)) == ("snntorch", "leftover-subtract")


def test_a_file_of_another_tool_goes_out_for_a_third(tmp_path, capsys):
    step = 2.0**-10
    nodes, edges = PLAIN
    lif = node("LIF", tau=2 * step)
    write(tmp_path / "in.nir", nodes | {"lif1": lif, "lif2": lif}, edges)
    assert portable(tmp_path / "in.nir", tmp_path / "out.nir", "--dt", str(step), "--for", "snntorch") == 0
    assert "note: layer" not in capsys.readouterr().err
    ours = open_source(tmp_path / "in.nir", Reading(dt=step)).graph
    theirs = asnn_deploy.load(tmp_path / "out.nir")
    assert (theirs.meaning.tool, theirs.dt) == ("snntorch", 1e-4)
    frames = np.random.default_rng(0).integers(0, 9, (4, 20, 3), np.uint8)
    traces = [asnn_deploy.run(settled(graph, frames), frames) for graph in (ours, theirs)]
    assert traces[0].spikes["lif1"].any()
    for layer in ("lif1", "lif2"):
        np.testing.assert_array_equal(*(trace.spikes[layer] for trace in traces))


def test_a_network_of_ours_behind_its_coding_is_written_and_read_back(tmp_path):
    rng, steps = np.random.default_rng(0), 3
    layers = [
        Conv("conv", constant(grid_weights(rng, (2, 1, 3, 3)), steps)),
        static_neuron("lif", steps),
        Pool("pool", "sum"),
        Flatten("flatten"),
        Linear("fc", constant(grid_weights(rng, (4, 8)), steps)),
        Readout("readout", constant(1 / steps, steps)),
    ]
    graph = DeployGraph.chain((1, 6, 6), input_code("latency", steps), layers)
    exporter.write(graph, tmp_path)
    assert portable(tmp_path / NETWORK, tmp_path / "out.nir") == 0
    again = asnn_deploy.load(tmp_path / "out.nir")
    images = rng.integers(0, 256, (4, 6, 6), np.uint8)
    frames = graph.code.frames(images[:, None]).swapaxes(0, 1)
    ours, theirs = asnn_deploy.run(graph, images), asnn_deploy.run(settled(again, frames), frames)
    assert ours.spikes["lif"].any()
    np.testing.assert_array_equal(ours.spikes["lif"], theirs.spikes["lif"])
    np.testing.assert_array_equal(ours.logits, theirs.logits)
    with h5py.File(tmp_path / "out.nir") as file:
        assert graph.code.name in file["node/metadata/about"][()].decode()


def test_what_a_tool_cannot_express_leaves_nothing_behind(tmp_path, capsys):
    write(tmp_path / "in.nir", *PLAIN)
    arguments = ("--from", "snntorch", "--reset", "delayed-subtract", "--for", "norse")
    assert portable(tmp_path / "in.nir", tmp_path / "out.nir", *arguments) == 2
    assert "Norse can say 'zero' only" in capsys.readouterr().err
    assert not (tmp_path / "out.nir").exists()
