"""NIR for other tools: what is written comes back bit for bit, and the tools make the spikes of the network of it."""

import json
from dataclasses import replace
from itertools import product
from pathlib import Path

import h5py
import numpy as np
import pytest
from asnn_exporters.nir import exporter, portable
from asnn_exporters.nir.foreign import ForeignFile
from asnn_exporters.nir.others import graph_of, read_network
from asnn_exporters.nir.portable.stored import Goal, stored
from nir_files import PLAIN, chain, conv, node, recurrent, write

import asnn_deploy
from asnn_deploy.conventions import importing_tools, load_convention
from asnn_deploy.deploy.reading import Reading, settled
from asnn_deploy.errors import InputError, UnsupportedError
from asnn_deploy.ir.graph import DeployGraph, Edge
from asnn_deploy.ir.inputs import SequenceInput
from asnn_deploy.ir.layers import Add, Conv, Linear, Neuron, Pool, Product, Readout, Scale
from asnn_deploy.ir.meaning import Meaning
from asnn_deploy.ir.step_table import StepTable

CONFORMANCE = Path(__file__).parents[2] / "conformance"
RECORDED = sorted(path.stem for path in (CONFORMANCE / "roundtrip").glob("*.*.npz"))
PLAIN_LIF = {"leak": 0.5, "gain": 1}
CASES = sorted(path.name for path in (CONFORMANCE / "cases").iterdir())


def constant(value):
    return StepTable.constant(np.asarray(value, np.float32), 1)


def neuron(name="lif1", model="lif", reset="zero", comparison="above", spiking="one", **parameters):
    return Neuron(name, model, {key: constant(v) for key, v in parameters.items()}, reset, comparison, spiking)


def network(*layers, shape=(3,), scale=1.0, **others):
    return DeployGraph.chain(shape, SequenceInput(None), [*layers, Readout("readout", constant(scale))], **others)


def linear(outputs, inputs, name="fc1", bias=None):
    weight = ((np.arange(outputs * inputs) * 5 % 17 - 8) / 16).reshape(outputs, inputs)
    return Linear(name, constant(weight), None if bias is None else constant(bias))


def kernel(outputs, inputs, *size, groups=1):
    return Conv("conv1", constant(np.ones((outputs, inputs, *size)) / 4), None, groups=groups)


def exported(graph, path, tool=None):
    """The notes of writing a network, and the network as the file states itself."""
    notes = []
    portable.write(graph, path, tool, notes.append)
    file = ForeignFile(path)
    return notes, file.graph(file.stated)


def contents(path):
    """All that a file's nodes and edges hold."""
    found = {}

    def note(name, item):
        if isinstance(item, h5py.Dataset) and "metadata" not in name:
            found[name] = (item.dtype.kind, item.shape, np.asarray(item[()]).tolist())

    with h5py.File(path) as file:
        file["node"].visititems(note)
    return found


def case_graph(name):
    folder = CONFORMANCE / "cases" / name
    rule = json.loads((folder / "case.json").read_text())["rule"]
    rules = {key: rule[key] for key in ("reset", "integration", "fires", "spikes")}
    return Reading(tool=rule["from"], dt=rule["dt"], rules=rules).graph_of(ForeignFile(folder / "network.nir"))


# What the tools made of the files


@pytest.mark.parametrize("name", RECORDED)
def test_the_tools_make_the_spikes_of_the_network(name):
    folder, (kind, _) = CONFORMANCE / "roundtrip", name.rsplit(".", 1)
    graph = asnn_deploy.load(folder / f"{kind}.nir")
    with np.load(folder / f"{kind}.npz") as file:
        frames = file["input"].swapaxes(0, 1)
    trace = asnn_deploy.run(settled(graph, frames), frames)
    with np.load(folder / f"{name}.npz") as recorded:
        assert set(recorded) == {layer.name for layer in graph.spiking}
        for layer in recorded:
            np.testing.assert_array_equal(trace.spikes[layer], recorded[layer], layer)
            assert recorded[layer].any()


@pytest.mark.parametrize("name", RECORDED)
def test_what_was_recorded_is_what_is_written(name, tmp_path):
    folder, (kind, tool) = CONFORMANCE / "roundtrip", name.rsplit(".", 1)
    exported(asnn_deploy.load(folder / f"{kind}.nir"), tmp_path / "x.nir", tool)
    assert contents(tmp_path / "x.nir") == contents(folder / f"{name}.nir")


def test_every_tool_whose_importer_is_known_was_recorded():
    assert {name.rsplit(".", 1)[1] for name in RECORDED} == set(importing_tools())


# Out and in again


@pytest.mark.parametrize("name", CASES)
def test_networks_of_other_tools_come_back_bit_for_bit(name, tmp_path):
    graph = case_graph(name)
    notes, again = exported(graph, tmp_path / "x.nir")
    assert notes == []
    assert {n.name: n for n in again.neurons} == {n.name: n for n in graph.neurons}
    assert {s.name: s for s in again.synapses} == {s.name: s for s in graph.synapses}
    # An exporter's errors are not written again: what was put in the place of a node has its rules in the file.
    more = [own for own in again.meaning.nodes if own not in graph.meaning.nodes]
    assert all(layer.endswith("_before") for layer, _, _ in more)
    assert again.meaning == replace(graph.meaning, mends=(), nodes=(*graph.meaning.nodes, *more))


@pytest.mark.parametrize(
    ("update", "integration"),
    [
        *product(("integrated", "relaxing", "added"), ("euler", "exponential")),
        ("dividing", "euler"),
    ],
)
def test_any_leak_comes_back(update, integration, tmp_path):
    rng = np.random.default_rng(0)
    kept = rng.uniform(0.01, 0.999, 200).astype(np.float32)
    gain = rng.uniform(0.1, 2, 200).astype(np.float32)
    own = {"leak": kept} if update in ("integrated", "added") else {"rate": kept}
    model = "lif" if "leak" in own else "relaxing-lif"
    if update == "dividing":
        own["steps"] = (1 / kept.astype(np.float64)).astype(np.float32)
    population = neuron("lif1", model, **own, gain=gain, threshold=1)
    graph = network(linear(200, 3), population, meaning=Meaning(update=update, integration=integration), dt=1e-4)
    notes, again = exported(graph, tmp_path / "x.nir")
    assert notes == []
    assert again.by_name["lif1"] == population


def test_neurons_with_rules_of_their_own_come_back(tmp_path):
    populations = [
        neuron("a", threshold=1, **PLAIN_LIF),
        neuron("b", reset="subtract", comparison="at", spiking="many", threshold=1, **PLAIN_LIF),
        neuron("c", "relaxing-lif", rate=0.25, threshold=1),
        neuron("d", "if", "delayed-subtract", gain=0.75, threshold=1),
        neuron("e", "li", "subtract", leak=0.5, gain=1),
    ]
    notes, again = exported(network(*populations), tmp_path / "x.nir")
    assert notes == []
    assert list(again.neurons) == populations


def test_numbers_are_stored_in_float32_where_that_will_do():
    wanted = np.float32([0.9, 0.3])
    value, read = stored(1 / (1 - wanted.astype(float)), [Goal(lambda tau: 1 - 1 / tau, wanted)], wide=True)
    assert (read == wanted).all()
    found, _ = stored(np.array([0.5]), [Goal(lambda x: x * 2, np.array([1.0]))], wide=True)
    assert found == np.float32(found) == 0.5
    assert value.shape == (2,)


def test_a_file_that_goes_out_as_it_came_in_is_equal_node_for_node(tmp_path):
    write(tmp_path / "in.nir", *recurrent())
    meaning = Meaning("snntorch", reset="delayed-subtract")
    exporter.restate(tmp_path / "in.nir", tmp_path / "out.nir", meaning)
    assert contents(tmp_path / "out.nir") == contents(tmp_path / "in.nir")
    assert ForeignFile(tmp_path / "out.nir").stated == meaning


def test_sums_delays_and_cycles_come_back(tmp_path):
    layers = (
        *(linear(3, 3), Linear("w_rec", constant(np.eye(3) / 2)), Add("sum"), neuron(leak=0.5, gain=1, threshold=0.25)),
        *(Scale("later", constant(2)), Readout("readout", constant(1))),
    )
    edges = [("input", "fc1", 0), ("fc1", "sum", 0), ("w_rec", "sum", 0), ("sum", "lif1", 0), ("lif1", "later", 3)]
    edges += [("later", "readout", 0)]
    for delay, kinds in ((1, 1), (2, 2)):
        links = tuple(Edge(*edge) for edge in (*edges, ("lif1", "w_rec", delay)))
        graph = DeployGraph((3,), SequenceInput(None), layers, links)
        _, again = exported(graph, tmp_path / "x.nir")
        assert sum(n.kind == "Delay" for n in read_network(tmp_path / "x.nir").nodes.values()) == kinds
        frames = np.random.default_rng(1).integers(0, 2, (4, 12, 3), np.uint8)
        ours, theirs = (asnn_deploy.run(settled(g, frames), frames).spikes["lif1"] for g in (graph, again))
        assert ours.any()
        np.testing.assert_array_equal(ours, theirs)


def test_a_threshold_and_a_scaled_answer_are_nodes(tmp_path):
    graph = network(linear(4, 3), neuron(leak=0, gain=1, threshold=0.5), scale=0.25)
    exported(graph, tmp_path / "x.nir")
    kinds = {name: n.kind for name, n in read_network(tmp_path / "x.nir").nodes.items()}
    assert kinds["lif1"] == "Threshold"
    assert kinds["readout_scale"] == "Scale"


def test_the_file_says_what_it_is(tmp_path):
    graph = network(linear(4, 3), neuron(leak=0.5, gain=0.5), scale=0.25)
    exported(graph, tmp_path / "x.nir", "snntorch")
    about = read_network(tmp_path / "x.nir").metadata["about"]
    assert "importer of snnTorch" in about
    assert "0.25" in about


def test_steps_that_a_tool_rounds_otherwise_are_noted(tmp_path):
    notes, _ = exported(network(linear(4, 3), neuron(leak=0.9, gain=0.3)), tmp_path / "x.nir", "norse")
    assert any("rounds its steps otherwise" in note for note in notes)
    assert any("units" in note for note in notes)
    assert all("'lif1'" in note for note in notes)


# What cannot be said

REFUSED = {
    "changing table": (
        DeployGraph.chain(
            (3,),
            SequenceInput(2),
            [
                Neuron(
                    "lif1",
                    "lif",
                    {"leak": StepTable.per_step(np.float32([0.5, 0.25])), "gain": StepTable.constant(np.float32(1), 2)},
                ),
                Readout("readout", StepTable.constant(np.float32(1), 2)),
            ],
        ),
        None,
        ["'lif1'", "leak", "canonical", "compact"],
    ),
    "maximum": (network(Pool("pool", "max"), shape=(2, 4, 4)), None, ["'pool'", "largest"]),
    "two resets": (
        network(neuron("a", **PLAIN_LIF), neuron("b", reset="subtract", **PLAIN_LIF)),
        "snntorch",
        ["'b'", "'subtract'", "'zero'"],
    ),
    "growing": (network(neuron(leak=1.5, gain=1)), None, ["'lif1'", "1.5", "above 1"]),
    "subtracting": (network(neuron(reset="subtract", **PLAIN_LIF)), "snntorch", ["'lif1'", "snnTorch", "'subtract'"]),
    "firing at": (network(neuron(comparison="at", **PLAIN_LIF)), "norse", ["'lif1'", "Norse", "'at'"]),
    "many spikes": (
        network(neuron(reset="subtract", comparison="at", spiking="many", **PLAIN_LIF)),
        "spikingjelly",
        ["'lif1'", "SpikingJelly"],
    ),
    "bias": (network(neuron(bias=0.25, **PLAIN_LIF)), "snntorch", ["'lif1'", "v_leak"]),
    "reset potential": (network(neuron(reset_potential=0.25, **PLAIN_LIF)), "norse", ["'lif1'", "v_reset"]),
    "lower bound": (
        network(neuron(reset="subtract", comparison="at", spiking="many", minimum=-2, **PLAIN_LIF)),
        "sinabs",
        ["'lif1'", "minimum", "Sinabs"],
    ),
    "leaks": (
        network(neuron(comparison="at", leak=[0.5, 0.75, 0.875], gain=1)),
        "spikingjelly",
        ["'lif1'", "tau", "SpikingJelly"],
    ),
    "no such node": (network(neuron("li1", "li", "subtract", leak=0.5, gain=1)), "norse", ["'li1'", "Norse", "LI"]),
    "groups": (
        network(kernel(4, 1, 3, 3, groups=2), shape=(2, 4, 4)),
        "snntorch",
        ["'conv1'", "2 groups", "snnTorch"],
    ),
    "uneven window": (network(Pool("pool", "sum", (3, 3)), shape=(2, 4, 4)), "norse", ["'pool'", "9", "Norse"]),
    "negative gain": (network(neuron(leak=0.5, gain=-1)), "snntorch", ["'lif1'", "gain", "snnTorch"]),
    "no membrane alone": (
        network(neuron(reset="subtract", comparison="at", spiking="many", **PLAIN_LIF)),
        "rockpool",
        ["'lif1'", "Rockpool", "LIF"],
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_expressed_is_refused_by_layer_and_reason(what, tmp_path):
    graph, tool, words = REFUSED[what]
    with pytest.raises(UnsupportedError) as refused:
        portable.write(graph, tmp_path / "x.nir", tool, str)
    message = str(refused.value)
    assert "\n" not in message
    assert [word for word in words if word not in message] == []


@pytest.mark.parametrize("tool", ["norse", "sinabs", "rockpool"])
def test_tools_that_take_sums_from_the_step_before_read_none(tool, tmp_path):
    layers = (linear(3, 3), linear(3, 3, "fc2"), Add("sum"), neuron(**PLAIN_LIF), Readout("readout", constant(1)))
    names = [("input", "fc1"), ("input", "fc2"), ("fc1", "sum"), ("fc2", "sum"), ("sum", "lif1"), ("lif1", "readout")]
    graph = DeployGraph((3,), SequenceInput(None), layers, tuple(Edge(*ends) for ends in names))
    with pytest.raises(UnsupportedError, match="'lif1'.*several signals"):
        portable.write(graph, tmp_path / "x.nir", tool, str)


def test_products_have_no_node(tmp_path):
    layers = (linear(3, 3), linear(3, 3, "fc2"), Product("product", "i,i->i"), Readout("readout", constant(1)))
    names = [("input", "fc1"), ("input", "fc2"), ("fc1", "product"), ("fc2", "product"), ("product", "readout")]
    graph = DeployGraph((3,), SequenceInput(None), layers, tuple(Edge(*ends) for ends in names))
    with pytest.raises(UnsupportedError, match="'product'.*no product"):
        portable.write(graph, tmp_path / "x.nir", None, str)


def test_only_the_portable_dialect_is_for_a_tool(tmp_path):
    graph = replace(network(linear(4, 3), neuron(**PLAIN_LIF)))
    with pytest.raises(InputError, match="portable"):
        exporter.write(graph, tmp_path, dialect="compact", **{"for": "snntorch"})


def test_a_tool_whose_importer_is_not_known_is_refused(tmp_path):
    with pytest.raises(InputError, match="nengo"):
        portable.write(network(linear(4, 3), neuron(**PLAIN_LIF)), tmp_path / "x.nir", "nengo", str)


@pytest.mark.parametrize("tool", importing_tools())
def test_importers_say_where_they_were_read(tool):
    importer = load_convention(tool).importer
    assert importer.source
    assert importer.kinds


def test_convolutions_of_any_kernel_come_back(tmp_path):
    nodes, edges = chain((2, 5, 8), (4, 3, 8), conv1=conv(4, 1, 3, 1, groups=2), lif1=node("LIF"))
    path = write(tmp_path / "in.nir", nodes, edges)
    graph = graph_of(read_network(path), Meaning())
    _, again = exported(graph, tmp_path / "x.nir")
    assert again.by_name["conv1"].weight == graph.by_name["conv1"].weight
    assert again.by_name["conv1"].groups == 2


def test_nir_reads_a_plain_file(tmp_path):
    nir = pytest.importorskip("nir")
    graph = graph_of(read_network(write(tmp_path / "in.nir", *PLAIN)), Meaning())
    exported(graph, tmp_path / "x.nir")
    assert set(nir.read(tmp_path / "x.nir").nodes) == {"input", "fc1", "lif1", "fc2", "lif2", "output"}
