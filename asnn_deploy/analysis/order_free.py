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

from asnn_deploy.analysis.flow import Track, flow
from asnn_deploy.ir.graph import DeployGraph, remembered
from asnn_deploy.ir.layers import Layer, Synapses
from asnn_deploy.ir.signals import FLOAT32_BITS, NO_LIMIT, Kind
from asnn_deploy.ir.step_table import StepTable
from asnn_deploy.util.arrays import Array


@dataclass(frozen=True)
class Exactness:
    """Whether one layer's sums are order-free, for one of its K weights.

    grid: exponent of the power-of-two grid its sums lie on, None if there is none.
    bits: bits that the largest possible sum takes on that grid; at most 24 if the layer is exact.
    reason: why it is not exact, None if it is.
    """

    grid: int | None
    bits: int | None
    reason: str | None

    @property
    def exact(self) -> bool:
        """Whether every float32 sum is exact in any order."""
        return self.reason is None


def snap(graph: DeployGraph) -> DeployGraph:
    """Return the graph with the weights and bias of all synapses that read events rounded to their order-free grid.

    Each of the K weights gets the finest grid on which it is exact. Layers whose inputs are not small integers
    (`analyse` names them) are left as they are.
    """
    found = flow(graph)
    layers: list[Layer] = []
    for layer in graph.layers:
        if isinstance(layer, Synapses):
            (x,) = found.arriving(layer.name)
            layers.append(layer if x.grid is None or x.kind == Kind.CURRENTS else _snap_layer(layer, x))
        else:
            layers.append(layer)
    return replace(graph, layers=tuple(layers))


def _snap_layer(layer: Synapses, x: Track) -> Synapses:
    """Inputs are integers times 2**grid; the integers' weights are those times 2**grid."""
    assert x.grid is not None
    unit = 2.0 ** (0 if x.grid == NO_LIMIT else x.grid)
    pairs: dict[tuple[int, int | None], list[int]] = {}
    for t in range(len(x)):  # one grid for each weight and bias that occur together
        key = (int(layer.weight.index[t]), None if layer.bias is None else int(layer.bias.index[t]))
        pairs.setdefault(key, []).append(t)
    weights, biases = [np.empty(0)] * len(x), [np.empty(0)] * len(x)
    for steps in pairs.values():
        top = max(x[t].largest for t in steps) / unit
        bias = None if layer.bias is None else layer.bias.at(steps[0])
        weight, snapped_bias = snap_arrays(layer.weight.at(steps[0]) * np.float32(unit), bias, top)
        for t in steps:
            weights[t] = weight / np.float32(unit)
            if snapped_bias is not None:
                biases[t] = snapped_bias
    return replace(
        layer,
        weight=StepTable.per_step(weights),
        bias=None if layer.bias is None else StepTable.per_step(biases),
    )


def snap_arrays(weight: Array, bias: Array | None, largest_input: float) -> tuple[Array, Array | None]:
    """Return one weight `[out, ...]` and bias `[out]` on the finest grid that is exact for such inputs."""
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


def row_sums(weight: Array) -> Array:
    """Return the sum of magnitudes that reaches each output channel, `[out]`, float64."""
    return np.abs(weight.astype(np.float64)).reshape(len(weight), -1).sum(axis=1)  # type: ignore[no-any-return]


@remembered
def analyse(graph: DeployGraph) -> dict[str, list[Exactness]]:
    """Return for each layer that adds up products whether its float32 sums are order-free, one entry for each weight.

    Convolutions and linear layers have K entries; a product of signals and an addition of currents have one.
    """
    found, result = flow(graph), {}
    for layer in graph.layers:
        x = found.arriving(layer.name)
        if isinstance(layer, Synapses):
            result[layer.name] = [_of_weight(graph, layer, k, x[0]) for k in range(len(layer.weight.values))]
        elif layer.synaptic:
            result[layer.name] = [_of_product(x, found[layer.name])]
        elif layer.adds and found[layer.name].grid is None and len(x) > 2:
            reason = f"adds {len(x)} currents; more than two have an order"
            result[layer.name] = [Exactness(None, None, reason)]
    return result


def _of_product(x: list[Track], leaving: Track) -> Exactness:
    grids = [s.grid for s in x]
    if None in grids:
        return Exactness(None, None, "multiplies signals that are not made of spikes or small integers")
    grid = sum(0 if g == NO_LIMIT else g for g in grids)  # type: ignore[misc]
    return _on_grid(grid, float(leaving.largest.max()))


def _of_weight(graph: DeployGraph, layer: Synapses, k: int, x: Track) -> Exactness:
    steps = np.flatnonzero(layer.weight.index == k)
    if any(x[t].grid is None for t in steps):
        source = graph.inputs_of[layer.name][0].source
        return Exactness(None, None, f"its input {source!r} is not made of spikes or small integers")
    exponents = [g for g in (layer.grid_at(t, x[t].grid) for t in steps) if g is not None and g < NO_LIMIT // 2]
    if not exponents or (layer.grids[k] is None and layer.bias is None):
        return Exactness(0, 0, None)
    biases = [0.0 if layer.bias is None else np.abs(layer.bias.at(t).astype(np.float64)) for t in steps]
    top = max(float(np.max(layer.row_sums(k) * x[t].largest + bias)) for t, bias in zip(steps, biases))
    return _on_grid(min(exponents), top)


def _on_grid(grid: int, top: float) -> Exactness:
    bits = math.frexp(top)[1] - grid if top else 0
    reason = f"its sums take {bits} bits on the grid 2^{grid}; float32 has {FLOAT32_BITS}"
    return Exactness(grid, bits, None if bits <= FLOAT32_BITS else reason)
