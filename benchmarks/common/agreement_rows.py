"""One row for each number of another tool: what it counts, what we count, and ours under its convention."""

from __future__ import annotations

import contextlib
import io
from dataclasses import replace
from math import prod
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from asnn_deploy.energy import Counter, Counts
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.layers import Conv, Linear
from asnn_deploy.ir.step_table import StepTable
from asnn_deploy.ir.trace import Trace
from asnn_deploy.util.arrays import Array

SAME = "none: the same convention"
ONCE = "an input above 1 is one multiply-accumulate, not k accumulates (our graded counts)"
DENSE = "zero weights count"
ALL = "zero inputs, zero weights and the padding count: every weight of every output"
NO_COUNTS = "an input above 1 makes the call dense: no synaptic operation is counted in it"


def row(
    tool: str, network: str, what: str, theirs: float, ours: float, convention: str, adjusted: float
) -> dict[str, Any]:
    """Counts of all samples together; equal: whether theirs is ours under their convention, to the last count."""
    return {
        "tool": tool,
        "network": network,
        "quantity": what,
        "theirs": theirs,
        "ours": ours,
        "convention": convention,
        "ours_under_it": adjusted,
        "equal": theirs == adjusted,
    }


def counted(graph: DeployGraph, images: Array, trace: Trace) -> Counts:
    """Our counts; means per sample."""
    counter = Counter(graph)
    counter.add(images, trace)
    return counter.result()


def total(counts: Counts, *keys: str) -> int:
    """Counts of all samples together."""
    return round(sum(counts.total(key) for key in keys) * counts.samples)


def neurobench_rows(name: str, graph: DeployGraph, images: Array, trace: Trace, saved: Path) -> list[dict[str, Any]]:
    """NeuroBench's SynapticOperations on the network in torch; its sums are in float32, exact for small networks."""
    import torch
    from neurobench.metrics.workload import SynapticOperations
    from neurobench.models import TorchModel
    from torch_network import TorchNetwork

    network = TorchNetwork(saved)
    model, metric = TorchModel(network), SynapticOperations()
    model.register_hooks()
    metric(model, model(network.frames), (torch.from_numpy(images), None))
    found = {key: round(value * len(images)) for key, value in metric.compute().items()}
    model.cleanup_hooks()
    counts = counted(graph, images, trace)
    acs, macs = total(counts, "acs"), total(counts, "macs")
    if total(counts, "acs_graded") == acs:
        return [
            row("NeuroBench", name, "Effective_ACs", found["Effective_ACs"], acs, SAME, acs),
            row("NeuroBench", name, "Effective_MACs", found["Effective_MACs"], macs, SAME, macs),
        ]
    both = found["Effective_ACs"] + found["Effective_MACs"]
    graded = total(counts, "acs_graded", "macs_graded")
    return [row("NeuroBench", name, "Effective_ACs + Effective_MACs", both, acs + macs, ONCE, graded)]


def spikingjelly_rows(
    name: str, graph: DeployGraph, images: Array, trace: Trace, found: dict[str, int]
) -> list[dict[str, Any]]:
    """SpikingJelly's SynOpCounter and MACCounter (`agreement_spikingjelly.py`), which look at whole calls."""
    full = full_weights(graph)
    counts, dense = counted(graph, images, trace), counted(full, images, trace)
    binary, rest = by_call(full, images, trace)
    acs, macs = total(counts, "acs"), total(counts, "macs")
    analog_only = total(dense, "acs") == binary
    spikes = SAME if analog_only and acs == binary else DENSE if analog_only else NO_COUNTS
    return [
        row("SpikingJelly", name, "SynOpCounter", found["synops"], acs, spikes, binary),
        row("SpikingJelly", name, "MACCounter", found["macs"], macs, SAME if macs == rest else ALL, rest),
    ]


def by_call(graph: DeployGraph, images: Array, trace: Trace) -> tuple[int, int]:
    """Our accumulates in the steps whose inputs are all 0 or 1; every weight of every output in the others.

    graph: without zero weights. A call is one layer at one step, all samples together.
    """
    counts = counted(graph, images, trace)
    binary, rest = 0, 0
    for layer in (x for x in graph.layers if isinstance(x, (Conv, Linear))):
        steps = next(found.per_step for found in counts.layers if found.name == layer.name)
        outputs = prod(graph.shapes[layer.name])
        for step in steps:
            if step.macs_graded:
                rest += outputs * prod(layer.weight.shape[1:]) * len(images)
            else:
                binary += round(step.acs * len(images))
    return binary, rest


def full_weights(graph: DeployGraph) -> DeployGraph:
    """The same network without zero weights; its trace is not its own, but counts follow from inputs alone."""
    layers = tuple(
        replace(x, weight=StepTable(np.where(x.weight.values == 0, np.float32(1), x.weight.values), x.weight.index))
        if isinstance(x, (Conv, Linear))
        else x
        for x in graph.layers
    )
    return replace(graph, layers=layers)


def sanafe_rows(name: str, graph: DeployGraph, images: Array, trace: Trace) -> list[dict[str, Any]]:
    """SANA-FE's delivered synaptic events on the replayed network, some 40 neurons on a core."""
    from asnn_targets.sanafe import simulator

    core_of, cores = {}, 0
    for layer in (*graph.neurons, graph.readout):
        shape = graph.shapes[layer.name]
        core_of[layer.name] = (cores + np.arange(prod(shape)) // 40).reshape(shape)
        cores = int(core_of[layer.name].max()) + 1
    with contextlib.redirect_stdout(io.StringIO()):
        found = simulator.simulate(graph, images, trace, SimpleNamespace(core_of=core_of, cores=cores))
    counts = counted(graph, images, trace)
    operations = total(counts, "acs", "macs")
    return [row("SANA-FE", name, "delivered events", int(found.events.sum()), operations, SAME, operations)]
