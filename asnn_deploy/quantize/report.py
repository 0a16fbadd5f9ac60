"""What a quantisation did: scales, saturated weights, register use, and where spikes part from the float network."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from asnn_deploy.analysis.intervals import Bounds, Interval, prove
from asnn_deploy.engine.runner import run
from asnn_deploy.ir.fixed_point import ACCUMULATOR_BITS, STATE_BITS, largest
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.layers import Conv, Linear, Neuron, Readout
from asnn_deploy.ir.trace import Record
from asnn_deploy.quantize.integers import quantize, unit_table
from asnn_deploy.util.arrays import Array


def quantization_report(graph: DeployGraph, images: Array, labels: Array) -> dict[str, Any]:
    """The integer version of a float graph held against it, as JSON values.

    images: uint8 `[N, C, H, W]`; labels: `[N]`. For each synaptic layer its scales, saturated weights and accumulator
    bits; for each neuron layer its membrane bits and units, and the share of spikes that differ at each step.
    """
    fixed = quantize(graph)
    expected, got = (run(version, images, Record(spikes=True)) for version in (graph, fixed))
    known = prove(fixed)
    layers = []
    for layer in fixed.layers:
        figures: dict[str, Any] = {}
        if isinstance(layer, (Conv, Linear)):
            figures = _synapses(graph, graph.by_name[layer.name], known[layer.name])  # type: ignore[arg-type]
        elif isinstance(layer, Neuron):
            wrong = got.spikes[layer.name] != expected.spikes[layer.name]
            figures = _neuron(layer, known[layer.name]) | {
                "spike_disagreement": [float(w.mean()) if w.size else 0.0 for w in wrong]
            }
        elif isinstance(layer, Readout):
            figures = {"unit": layer.unit, "accumulator_bits": bits_of(known[layer.name].signal)}
        if figures:
            layers.append({"name": layer.name, "kind": layer.kind, **figures})
    shares = [share for layer in layers for share in layer.get("spike_disagreement", [])]
    return {
        "samples": len(images),
        "time_steps": graph.time_steps,
        "bits": graph.quantization.bits,
        "accuracy": float(np.mean(got.predictions == labels)) if len(labels) else None,
        "accuracy_float": float(np.mean(expected.predictions == labels)) if len(labels) else None,
        "spike_disagreement": float(np.mean(shares)) if shares else None,
        "registers": {"membrane_bits": STATE_BITS, "accumulator_bits": ACCUMULATOR_BITS},
        "layers": layers,
    }


def bits_of(interval: Interval) -> int:
    """Bits, sign included, of the smallest signed register with a symmetric range that holds an interval."""
    return math.ceil(math.log2(float(interval.magnitude.max()) + 1)) + 1


def _synapses(graph: DeployGraph, layer: Conv | Linear, known: Bounds) -> dict[str, Any]:
    choices = graph.quantization
    units = unit_table(graph, layer, choices)
    wide = units.reshape(*units.shape, *(1,) * (layer.weight.values.ndim - 2))
    saturated = np.abs(np.rint(layer.weight.values.astype(np.float64) / wide)) > largest(choices.bits)
    return {
        "bits": choices.bits,
        "scales": units.tolist(),
        "weights": int(saturated.size),
        "saturated": int(saturated.sum()),
        "accumulator_bits": bits_of(known.signal),
    }


def _neuron(layer: Neuron, known: Bounds) -> dict[str, Any]:
    assert known.membrane is not None
    assert known.product is not None
    return {
        "threshold": int(layer.parameters["threshold"].values.max()),
        "gain_shift": layer.parameters["gain_shift"].expanded().tolist(),
        "membrane_bits": bits_of(known.membrane),
        "product_bits": bits_of(known.product),
    }
