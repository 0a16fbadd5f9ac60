"""Measuring one integer network against its float network, batch by batch."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from asnn_deploy.deploy.deployment import Deployment
from asnn_deploy.deploy.registry import TARGETS
from asnn_deploy.energy import Counter
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.trace import Record
from asnn_deploy.quantizing import quantize
from asnn_deploy.quantizing.scales import has_channel_scales
from asnn_deploy.reporting.compare.paired import difference_of_shares
from asnn_deploy.sweeping.points import Plan, Point
from asnn_deploy.util.arrays import Array
from asnn_deploy.verifying.parity import Comparison

SPIKES = Record(spikes=True)


def measure(
    plan: Plan,
    graph: DeployGraph,
    chosen: DeployGraph,
    images: Array,
    labels: Array,
    cuts: Iterable[slice],
    batch_size: int,
) -> Point:
    """Run `reference` and `reference-fixed` over the same batches; only one batch is held at a time.

    graph: the float network that all points are held against.
    chosen: the planned point's network in float, with the choices of its integer version.
    images: uint8 `[N, C, H, W]`; labels: `[N]`; cuts: the batches as slices of at most `batch_size`.
    """
    fixed = quantize(chosen)
    comparison, counter = Comparison("reference"), Counter(fixed)
    right_float, right_fixed = [], []
    with (
        Deployment(graph, fixed=fixed) as deployment,
        TARGETS.find("reference").open(deployment, batch_size) as floats,
        TARGETS.find("reference-fixed").open(deployment, batch_size) as integers,
    ):
        for cut in cuts:
            expected, got = floats.run(images[cut], SPIKES), integers.run(images[cut], SPIKES)
            comparison.add(expected, got, labels[cut])
            counter.add(images[cut], got, labels[cut])
            right_float.append(expected.predictions == labels[cut])
            right_fixed.append(got.predictions == labels[cut])
    report, counts = comparison.report(), counter.result()
    difference = difference_of_shares(np.concatenate(right_float), np.concatenate(right_fixed))
    return Point(
        **dict(plan),
        accuracy=float(np.concatenate(right_fixed).mean()),
        accuracy_float=float(np.concatenate(right_float).mean()),
        difference_low95=difference.low95,
        difference_high95=difference.high95,
        spike_disagreement=report.spike_mismatches / max(report.spikes_compared, 1),
        synapse_bytes=synapse_bytes(fixed, plan.bits),
        sops=counts.sops.mean,
        samples=counts.samples,
        weight_scales=weight_scales(chosen),
    )


def synapse_bytes(graph: DeployGraph, bits: int) -> int:
    """Bytes of all synaptic weights, packed without gaps; every entry of a layer's weight table counts."""
    return -(-bits * sum(layer.weight.values.size for layer in graph.synapses) // 8)


def weight_scales(graph: DeployGraph) -> int:
    """How many scales the weights have: one for each output channel or layer, and entry of its weight table."""
    tables = ((layer.weight.values, has_channel_scales(graph, layer.name)) for layer in graph.synapses)
    return sum(len(values) * (len(values[0]) if each else 1) for values, each in tables)
