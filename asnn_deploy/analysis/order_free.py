"""Order-free sums: weights on a power-of-two grid, so that float32 adds them exactly in any order.

Float addition depends on the order, and every framework has another one; near a threshold that flips spikes. If every
weight, bias and input is a multiple of a grid g and no sum of magnitudes reaches 2**24 g, then every partial sum is a
multiple of g below 2**24 g, hence exactly representable: all orders give the same, exact result, and spike equality
between targets is a theorem. `snap` puts a graph on such grids; `analyse` says for any graph whether it is on them.

(Exact under plain products and sums, fused multiply-adds included, since nothing is ever rounded. Not under Winograd
kernels or TF32, which do not compute these sums.)
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from asnn_deploy.analysis.ranges import arriving, largest_values, row_sums
from asnn_deploy.ir.graph import DeployGraph, remembered
from asnn_deploy.ir.layers import Add, Conv, Layer, Linear, Product, Scale
from asnn_deploy.ir.step_table import StepTable
from asnn_deploy.util.arrays import Array

FLOAT32_BITS = 24
"""Significant bits of float32: IEEE 754-2019, table 3.5 (binary32, p = 24)."""


@dataclass(frozen=True)
class Exactness:
    """Whether one layer's sums are order-free, for one of its K weights.

    grid: exponent of the power-of-two grid its sums lie on, None where there is none.
    bits: bits that the largest possible sum takes on that grid; at most 24 where the layer is exact.
    reason: why it is not exact, None where it is.
    """

    grid: int | None
    bits: int | None
    reason: str | None

    @property
    def exact(self) -> bool:
        """Whether every float32 sum is exact in any order."""
        return self.reason is None


def grid_exponent(values: Array) -> int | None:
    """The largest e such that all values are multiples of 2**e; None where they are all zero."""
    nonzero = values[values != 0].astype(np.float64)
    if nonzero.size == 0:
        return None
    mantissas, exponents = np.frexp(nonzero)
    whole = (np.abs(mantissas) * 2.0**53).astype(np.int64)
    trailing = np.log2((whole & -whole).astype(np.float64)).astype(np.int64)
    return int((exponents.astype(np.int64) - 53 + trailing).min())


def snap(graph: DeployGraph) -> DeployGraph:
    """The graph with each convolution's and linear layer's weights and bias rounded to its order-free grid.

    Each of the K weights gets the finest grid on which it is exact. Layers whose inputs are not small integers
    (`analyse` names them) are left as they are.
    """
    largest = largest_values(graph)
    layers: list[Layer] = []
    for layer in graph.layers:
        below = input_grid(graph, graph.inputs_of[layer.name][0].source)
        if isinstance(layer, (Conv, Linear)) and below is not None:
            (reaching,) = arriving(graph, layer, largest)
            layers.append(_snap_layer(layer, reaching, graph.time_steps, below))
        else:
            layers.append(layer)
    return replace(graph, layers=tuple(layers))


def _snap_layer(layer: Conv | Linear, largest: Array, time_steps: int, below: int) -> Conv | Linear:
    """below: the exponent of the grid that the inputs lie on. Inputs are integers times 2**below; the integers' weights
    are those times 2**below."""
    unit = 2.0**below
    biases = None if layer.bias is None else layer.bias.expanded()
    pairs: dict[tuple[int, int | None], list[int]] = {}
    for t in range(time_steps):  # one grid for each weight and bias that occur together
        key = (int(layer.weight.index[t]), None if layer.bias is None else int(layer.bias.index[t]))
        pairs.setdefault(key, []).append(t)
    weights, new_biases = [np.empty(0)] * time_steps, [np.empty(0)] * time_steps
    for steps in pairs.values():
        bias = None if biases is None else biases[steps[0]]
        top = max(float(largest[t]) for t in steps) / unit
        weight, snapped_bias = snap_arrays(layer.weight.at(steps[0]) * np.float32(unit), bias, top)
        for t in steps:
            weights[t] = weight / np.float32(unit)
            if snapped_bias is not None:
                new_biases[t] = snapped_bias
    return replace(
        layer,
        weight=StepTable.per_step(weights),
        bias=None if layer.bias is None else StepTable.per_step(new_biases),
    )


def snap_arrays(weight: Array, bias: Array | None, largest_input: float) -> tuple[Array, Array | None]:
    """One weight `[out, ...]` and bias `[out]` on the finest grid that is exact for inputs up to `largest_input`."""
    total = row_sums(weight) * largest_input
    if bias is not None:
        total = total + np.abs(bias.astype(np.float64))
    top = total.max(initial=0)
    if top == 0:
        return weight.astype(np.float32), None if bias is None else bias.astype(np.float32)
    exponent = math.frexp(top)[1] - FLOAT32_BITS
    while True:
        grid = 2.0**exponent
        snapped = np.rint(weight.astype(np.float64) / grid) * grid
        snapped_bias = None if bias is None else np.rint(bias.astype(np.float64) / grid) * grid
        reached = row_sums(snapped) * largest_input + (0 if snapped_bias is None else np.abs(snapped_bias))
        if reached.max() < 2.0**FLOAT32_BITS * grid:
            return snapped.astype(np.float32), None if snapped_bias is None else snapped_bias.astype(np.float32)
        exponent += 1  # rounding pushed the sum over the edge


def input_grid(graph: DeployGraph, source: str, above: frozenset[str] = frozenset()) -> int | None:
    """The grid exponent of an event signal: 0 for frames, spikes and counts; None for what may be any real number.

    above: the additions and products that are being asked, so that a loop asks each of them once.
    """
    while source in graph.by_name:
        layer = graph.by_name[source]
        if layer.kind == "neuron":
            return 0
        if layer.kind == "pool" and getattr(layer, "mode", "") == "average":
            size = math.prod(layer.kernel)  # type: ignore[attr-defined]
            below = input_grid(graph, graph.inputs_of[source][0].source, above)
            return None if below is None or size & (size - 1) else below - size.bit_length() + 1
        if layer.kind in ("add", "product"):
            if source in above:
                return 0
            grids = [input_grid(graph, e.source, above | {source}) for e in graph.inputs_of[source]]
            known = [g for g in grids if g is not None]
            return None if len(known) < len(grids) else (min(known) if layer.kind == "add" else sum(known))
        if isinstance(layer, Scale):
            below, own = input_grid(graph, graph.inputs_of[source][0].source, above), grid_exponent(layer.factor.values)
            return None if below is None else below + (own or 0)
        if layer.kind in ("conv", "linear", "readout"):
            return None
        source = graph.inputs_of[source][0].source
    return 0


@remembered
def analyse(graph: DeployGraph) -> dict[str, list[Exactness]]:
    """For each layer that adds up products: whether its float32 sums are order-free, one entry for each weight.

    Convolutions and linear layers have K entries; a product of signals and an addition of currents have one.
    """
    largest = largest_values(graph)
    result: dict[str, list[Exactness]] = {}
    for layer in graph.layers:
        sources = [e.source for e in graph.inputs_of[layer.name]]
        if isinstance(layer, (Conv, Linear)):
            result[layer.name] = [
                _analyse_weight(graph, layer, k, sources[0], arriving(graph, layer, largest)[0])
                for k in range(len(layer.weight.values))
            ]
        elif isinstance(layer, Product):
            result[layer.name] = [_analyse_product(graph, layer, float(largest[layer.name].max()))]
        elif isinstance(layer, Add) and input_grid(graph, layer.name) is None and len(sources) > 2:
            result[layer.name] = [Exactness(None, None, f"adds {len(sources)} currents; more than two have an order")]
    return result


def _analyse_product(graph: DeployGraph, layer: Product, top: float) -> Exactness:
    grid = input_grid(graph, layer.name)
    if grid is None:
        return Exactness(None, None, "multiplies signals that are not made of spikes or small integers")
    bits = math.frexp(top)[1] - grid if top else 0
    return Exactness(grid, bits, _too_wide(grid, bits))


def _too_wide(grid: int, bits: int) -> str | None:
    if bits <= FLOAT32_BITS:
        return None
    return f"its sums take {bits} bits on the grid 2^{grid}; float32 has {FLOAT32_BITS}"


def _analyse_weight(graph: DeployGraph, layer: Conv | Linear, k: int, source: str, largest: Array) -> Exactness:
    steps = np.flatnonzero(layer.weight.index == k)
    below = input_grid(graph, source)
    if below is None:
        return Exactness(None, None, f"its input {source!r} is not made of spikes or small integers")
    biases = [np.zeros(1)] if layer.bias is None else [layer.bias.at(t) for t in steps]
    grids = [grid_exponent(layer.weight.values[k])] + [grid_exponent(b) for b in biases]
    exponents = [g if i else g + below for i, g in enumerate(grids) if g is not None]
    if not exponents:
        return Exactness(0, 0, None)
    top = (
        max(
            float(b.max())
            for b in (
                row_sums(layer.weight.values[k]) * max(float(largest[t]) for t in steps)
                + np.abs(bias.astype(np.float64))
                for bias in biases
            )
        )
        if len(steps)
        else 0.0
    )
    grid = min(exponents)
    bits = math.frexp(top)[1] - grid if top else 0
    return Exactness(grid, bits, _too_wide(grid, bits))
