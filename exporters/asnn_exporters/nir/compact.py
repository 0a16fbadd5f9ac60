"""The compact dialect: one node per layer and NIR's own LIF, for readers that simulate in time. Approximate.

    tau = dt / (1 - leak)    r = gain / (1 - leak)    v_leak = bias / (1 - leak)    v_threshold    v_reset = 0

so that a step of Euler's method with this dt, v += dt/tau * (v_leak - v + r*x), is v = leak*v + gain*x + bias.
NIR's parameters cannot change with time, and its LIF resets to zero: leak, gain, bias, threshold and readout scale
are means over the time steps, weights are those of most steps. The full tables stand in the metadata. Exact only for
a network that is static and resets to zero. The input is the coding's frames, one per time step, and the logits are
the sum of what comes out. Written for others; not read back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from asnn_deploy.errors import UnsupportedError
from asnn_deploy.ir.granularity import spread
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.images import InputCode
from asnn_deploy.ir.layers import Layer, Neuron, Readout
from asnn_deploy.ir.step_table import StepTable
from asnn_deploy.util.arrays import Array
from asnn_exporters.nir.layers import WRITERS, Writer
from asnn_exporters.nir.nodes import NO_STEP, Node, floats
from asnn_exporters.nir.unroll import check_graph
from asnn_exporters.nir.unrolling import Unrolling

ABOUT = (
    "APPROXIMATE: a spiking network with parameters per time step and reset by subtraction, written by asnn-deploy as "
    "static LIF nodes with mean parameters and reset to zero. Input: the coding's frames, one per time step of dt; the "
    "logits are the sum of the outputs. The exact tables are in the metadata; the canonical dialect is exact."
)


def compact(graph: DeployGraph) -> dict[str, Node]:
    """One node per layer. Raises UnsupportedError naming a layer that has no such node."""
    check_graph(graph)
    for edge in graph.edges:
        if edge.delay:
            layer = graph.by_name[edge.target]
            raise UnsupportedError(str(layer.refuse("the compact dialect has no delayed edges; use canonical")))
    static = _static(graph)
    unrolling = Unrolling(static)
    for layer in static.layers:
        sources = [unrolling.outputs[edge.source, 0] for edge in static.inputs_of[layer.name]]
        write: Writer = _write_lif if isinstance(layer, Neuron) else WRITERS[type(layer)]
        unrolling.outputs[layer.name, 0] = write(unrolling, layer, NO_STEP, sources)
    return unrolling.finished().nodes


def tables(graph: DeployGraph) -> dict[str, dict[str, dict[str, Array]]]:
    """All step tables as NIR metadata: layer, table, and then "values" `[K, ...]` and "index" `[T]`."""
    return {
        layer.name: {key: {"values": table.values, "index": table.index} for key, table in layer.tables().items()}
        for layer in graph.layers
        if layer.tables()
    }


def _static(graph: DeployGraph) -> DeployGraph:
    """The network with one time step, which takes the frames as they come."""
    frames = InputCode("frames", np.arange(256)[None], np.array([True]))
    return replace(graph, code=frames, layers=tuple(_static_layer(layer) for layer in graph.layers))


def _static_layer(layer: Layer) -> Layer:
    if isinstance(layer, Neuron):
        return replace(layer, parameters={key: _mean(table) for key, table in layer.parameters.items()})
    single: Any = _mean if isinstance(layer, Readout) else _most_used
    return replace(layer, **{key: single(table) for key, table in layer.tables().items()})


def _mean(table: StepTable) -> StepTable:
    return StepTable.constant(floats(table.expanded().mean(axis=0, dtype=np.float64)), 1)


def _most_used(table: StepTable) -> StepTable:
    return StepTable.constant(table.values[np.bincount(table.index).argmax()], 1)


def _write_lif(u: Unrolling, layer: Neuron, step: int, sources: Sequence[str]) -> str:
    if layer.model != "lif":
        raise UnsupportedError(str(layer.refuse(f"the compact dialect has no {layer.model!r} neurons; use canonical")))
    shape = u.graph.shapes[layer.name]
    values = {key: spread(table.at(0), shape).astype(np.float64) for key, table in layer.parameters.items()}
    kept = 1 - values["leak"]
    if kept.min() <= 0:
        problem = f"a mean leak of {1 - kept.min():.4g} has no time constant (it must be below 1); use canonical"
        raise UnsupportedError(str(layer.refuse(problem)))
    zero = np.zeros(shape)
    found = {
        "tau": u.graph.dt / kept,
        "r": values["gain"] / kept,
        "v_leak": values.get("bias", zero) / kept,
        "v_threshold": values.get("threshold", zero + 1),
        "v_reset": zero,
    }
    parameters = {key: floats(value) for key, value in found.items()}
    return u.node("LIF", layer.name, step, "output", sources, **parameters)
