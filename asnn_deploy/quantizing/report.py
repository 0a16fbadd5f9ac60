"""What a quantisation did: scales, saturated weights, register use, and where spikes part from the float network."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from asnn_deploy.analysis.flow import Bounds
from asnn_deploy.analysis.overflow import magnitude, prove
from asnn_deploy.engine.runner import run
from asnn_deploy.ir.fixed_point import ACCUMULATOR_BITS, STATE_BITS, largest
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.layers import Neuron
from asnn_deploy.ir.trace import Record, Trace
from asnn_deploy.quantizing.integers import quantize, weight_units, weights
from asnn_deploy.util.arrays import Array


def quantization_report(graph: DeployGraph, images: Array, labels: Array | None) -> dict[str, Any]:
    """The integer version of a float graph held against it, as JSON values.

    images: uint8 `[N, C, H, W]`; labels: `[N]`, if known. For each synaptic layer its scales, saturated weights and
    accumulator bits; for each neuron layer its membrane bits and units, and the share of spikes that differ at each
    step.
    """
    fixed = quantize(graph)
    record = Record(spikes=True)
    expected = run(graph, images, record, what="run the float network")
    got = run(fixed, images, record, what="run the integer network")
    known = prove(fixed)
    layers = []
    for layer in fixed.layers:
        reached = known.reached.get(layer.name, {})
        figures: dict[str, Any] = {}
        if layer.weighted:
            figures = _synapses(graph, fixed, layer.name) | {"accumulator_bits": bits_of(known[layer.name].bounds)}
        elif layer.fires:
            wrong = got.spikes[layer.name] != expected.spikes[layer.name]
            figures = _neuron(fixed.by_name[layer.name], reached) | {  # type: ignore[arg-type]
                "spike_disagreement": [float(w.mean()) if w.size else 0.0 for w in wrong]
            }
        elif layer.answers:
            figures = {"unit": fixed.readout.unit, "accumulator_bits": bits_of(reached["sum"])}
        if figures:
            layers.append({"name": layer.name, "kind": layer.kind, **figures})
    shares = [share for layer in layers for share in layer.get("spike_disagreement", [])]
    return {
        "samples": len(images),
        "time_steps": graph.time_steps,
        "bits": graph.quantization.bits,
        "accuracy": _accuracy(got, labels),
        "accuracy_float": _accuracy(expected, labels),
        "spike_disagreement": float(np.mean(shares)) if shares else None,
        "registers": {"membrane_bits": STATE_BITS, "accumulator_bits": ACCUMULATOR_BITS},
        "layers": layers,
    }


def _accuracy(trace: Trace, labels: Array | None) -> float | None:
    """The share that is answered right; None without labels."""
    return None if labels is None or not len(labels) else float(np.mean(trace.predictions == labels))


def bits_of(bounds: Bounds) -> int:
    """Return the bits, sign included, of the smallest signed register with a symmetric range that holds an interval."""
    return math.ceil(math.log2(float(magnitude(bounds).max()) + 1)) + 1


def _synapses(graph: DeployGraph, fixed: DeployGraph, name: str) -> dict[str, Any]:
    """A layer's weights: their scales, one for each integer weight, and how many of them saturate."""
    choices, real = graph.quantization, weights(fixed)[name]
    table = fixed.by_name[name].tables()["weight"]
    steps = [int(np.flatnonzero(table.index == k)[0]) for k in range(len(table.values))]
    units = [weight_units(fixed)[name][t] for t in steps]
    saturated = 0
    for t, unit in zip(steps, units):
        scaled = real.at(t).astype(np.float64) / unit.reshape(-1, *(1,) * (real.values.ndim - 2))
        saturated += int((np.abs(np.rint(scaled)) > largest(choices.bits)).sum())
    return {
        "bits": choices.bits,
        "scales": [unit.tolist() for unit in units],
        "weights": int(table.values.size),
        "saturated": saturated,
    }


def _neuron(layer: Neuron, reached: Mapping[str, Bounds]) -> dict[str, Any]:
    """A neuron layer's registers, as far as it has them."""
    tables = layer.parameters
    figures: dict[str, Any] = {}
    if "threshold" in tables:
        figures["threshold"] = int(tables["threshold"].values.max())
    if "gain_shift" in tables:
        figures["gain_shift"] = tables["gain_shift"].expanded().tolist()
    names = {"v": "membrane_bits", "i": "current_bits", "product": "product_bits"}
    return figures | {names.get(key, f"{key}_bits"): bits_of(bounds) for key, bounds in reached.items()}
