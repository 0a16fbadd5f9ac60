"""The compact NIR dialect: what it says, and when that is exact."""

from __future__ import annotations

from dataclasses import replace

import nir
import numpy as np
from asnn_exporters.nir import exporter
from asnn_exporters.nir.header import TABLES
from networks.formats import convolutional, recurrent
from networks.lenet import small_lenet
from networks.making import Maker, constant, random_inputs, static_neuron
from nir_errors import refused, unwritable

from asnn_deploy.engine.runner import run
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.layers import Flatten, Readout
from asnn_deploy.ir.step_table import StepTable
from asnn_deploy.ir.trace import Record


def simulate(graph, frames, dt):
    """A NIR graph in time, by Euler's method, as its documentation defines LIF: logits summed over the steps."""
    potentials, logits = {}, 0
    for frame in frames:
        values = {"input": frame.astype(np.float32)}
        while "output" not in values:
            for name, node in graph.nodes.items():
                sources = [a for a, b in graph.edges if b == name]
                if name in values or not all(source in values for source in sources):
                    continue
                x = np.sum([values[source] for source in sources], axis=0)
                kind = type(node).__name__
                if kind == "LIF":
                    v = potentials.get(name, np.zeros_like(x))
                    v = v + dt / node.tau * (node.v_leak - v + node.r * x)
                    values[name] = np.float32(v > node.v_threshold)
                    potentials[name] = np.where(v > node.v_threshold, node.v_reset, v)
                elif kind == "Scale":
                    values[name] = x * node.scale
                elif kind == "Flatten":
                    values[name] = x.reshape(len(x), -1)
                elif kind == "Linear":
                    values[name] = x @ node.weight.T
                else:
                    assert kind == "Output"
                    values[name] = x
        logits = logits + values["output"]
    return logits


def static_network(reset="zero"):
    m = Maker(0, 6)
    layers = [
        Flatten("flatten"),
        m.linear("fc1", 8, 16, bias=False),
        static_neuron("lif", 6, reset=reset, gain=0.25, bias=0.125, threshold=0.5),
        m.linear("fc2", 3, 8, bias=False),
        Readout("readout", constant(1, 6)),
    ]
    return DeployGraph.chain((1, 4, 4), m.code(), layers, dt=2.0**-10)


def test_compact_is_exact_for_a_static_network_that_resets_to_zero(tmp_path):
    graph = static_network()
    assert exporter.write(graph, tmp_path, dialect="compact") == ["compact.nir"]
    found = nir.read(tmp_path / "compact.nir")
    assert sorted(found.nodes) == ["fc1", "fc2", "flatten", "input", "lif", "output", "readout.summand"]
    np.testing.assert_array_equal(found.nodes["lif"].tau, np.full(8, 2.0**-9))
    images = random_inputs(graph, 4)
    expected = run(graph, images, record=Record(spikes=True))
    assert expected.spikes["lif"].any()
    np.testing.assert_array_equal(simulate(found, graph.code.frames(images), graph.dt), expected.logits)


def test_compact_says_that_it_is_approximate_and_keeps_the_tables(tmp_path):
    graph = small_lenet(3, granularity="channel")
    exporter.write(graph, tmp_path, dialect="compact")
    found = nir.read(tmp_path / "compact.nir")
    assert found.metadata["about"].startswith("APPROXIMATE")
    leak = graph.by_name["lif1"].parameters["leak"]
    tables = found.metadata[TABLES]["lif1"]["leak"]
    assert StepTable(tables["values"], tables["index"]) == leak
    mean = 1 - graph.dt / found.nodes["lif1"].tau[:, 0, 0]
    np.testing.assert_allclose(mean, leak.expanded().mean(0), rtol=1e-6)
    assert "is in the 'compact' dialect, only canonical and extended can be read back" in refused(
        tmp_path / "compact.nir"
    )


def test_compact_refuses_what_it_cannot_say(tmp_path):
    message = unwritable(recurrent(), tmp_path, dialect="compact")
    assert message == "layer 'late' (conv): the compact dialect has no delayed edges; use canonical"
    message = unwritable(
        convolutional(lif=Maker(0, 3).neuron("lif", model="cuba-lif")),
        tmp_path,
        dialect="compact",
    )
    assert message == "layer 'lif' (neuron): the compact dialect has no 'cuba-lif' neurons; use canonical"
    graph = static_network()
    lif = graph.by_name["lif"]
    integrator = replace(lif, parameters={**lif.parameters, "leak": constant(1, 6)})
    layers = [integrator if layer is lif else layer for layer in graph.layers]
    message = unwritable(replace(graph, layers=tuple(layers)), tmp_path, dialect="compact")
    assert message.startswith("layer 'lif' (neuron): a mean leak of 1 has no time constant")
    layers = [replace(layer, name="output") if layer.name == "fc1" else layer for layer in graph.layers]
    renamed = DeployGraph.chain(graph.input_shape, graph.code, layers)
    assert "layer 'readout': the NIR node 'output' is taken" in unwritable(renamed, tmp_path, dialect="compact")
