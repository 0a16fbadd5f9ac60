"""One writer per kind of layer: the nodes of one time step. Adding a kind means one function here and its line below.

max pool   of spikes Threshold(0.5)(SumPool2d): OR; of counts the sum of that over all levels: Threshold(level - 0.5)
average    AvgPool2d where the window has 2**n elements, else SumPool2d and Scale(1 / elements), as the graph defines
1-D pools  NIR has none: the same with a Conv1d that adds each channel's window up
concat     each signal's channels in their place by a Conv of ones (or a Linear), and the sum of these
readout    Scale(scale[0])(x[0]) + Scale(scale[1])(x[1]) + ..., from step 0 on
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from asnn_deploy.analysis.flow import flow
from asnn_deploy.errors import UnsupportedError
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.layers import (
    Add,
    Concat,
    Conv,
    Flatten,
    Layer,
    Linear,
    Neuron,
    Pool,
    Product,
    Readout,
    Reshape,
    Scale,
    Shape,
)
from asnn_deploy.ir.signals import Kind
from asnn_deploy.util.arrays import Array
from asnn_exporters.nir.extension import PRODUCT, RESHAPE
from asnn_exporters.nir.neurons import MOST_COUNTED, divides, most_spikes, neuron_problem, write_neuron
from asnn_exporters.nir.nodes import integers, text
from asnn_exporters.nir.unrolling import Unrolling
from asnn_exporters.nir.values import margins

MOST_LEVELS = 64
"""Counts up to which a maximum is written level by level, three nodes each at every time step."""


def check(layer: Layer, graph: DeployGraph, extended: bool) -> None:
    """Raise UnsupportedError where a layer has no exact counterpart in the dialect."""
    problem = None
    if not extended and needs_extension(layer, graph):
        lacks = {Product: "have no product of two signals", Reshape: "cannot split an axis"}
        what = lacks.get(type(layer), f"have no quotient, nor do they count beyond {MOST_COUNTED} spikes in a step")
        problem = f"NIR's primitives {what}; write it in the dialect extended, for readers that know it"
    elif type(layer) not in WRITERS:
        problem = "NIR has no counterpart; run or export this network in another format"
    elif isinstance(layer, Conv) and margins(layer.weight.shape[2:]) is None:
        kernel = layer.weight.shape[2:]
        problem = f"kernel {kernel}: NIR's type check knows square kernels only, and zeros cannot make this one square"
    elif isinstance(layer, Pool):
        problem = _pool_problem(layer, graph)
    elif isinstance(layer, Neuron):
        problem = neuron_problem(layer)
    elif isinstance(layer, Readout) and (layer.bias is not None or layer.unit != 1):
        problem = "a readout with a bias or a unit belongs to integer graphs; put the bias into the layer before"
    elif isinstance(layer, Readout) and layer.rule == "maximum":
        problem = "answers with the largest value over time, and NIR's primitives have no maximum of real numbers"
    for key, table in layer.tables().items():
        if problem is None and table.dtype != np.float32:
            problem = f"{key} is {table.dtype}, NIR files hold float32; convert it with StepTable.astype('float32')"
    if problem:
        raise UnsupportedError(str(layer.refuse(problem)))


def needs_extension(layer: Layer, graph: DeployGraph) -> bool:
    """Whether only a node of the extended dialect can say what a layer does."""
    if isinstance(layer, Reshape):
        given = graph.shapes[graph.inputs_of[layer.name][0].source]
        kept = len(layer.shape) - 1
        return len(given) <= kept or layer.shape[:kept] != given[:kept]
    if isinstance(layer, Neuron):
        several = layer.firing.many and most_spikes(graph, layer) > MOST_COUNTED
        return several or divides(layer)
    return isinstance(layer, Product)


def _pool_problem(layer: Pool, graph: DeployGraph) -> str | None:
    if len(layer.kernel) not in (1, 2):
        return f"pools over {len(layer.kernel)} axes, NIR over 1 or 2"
    if layer.mode != "max":
        return None
    levels, source = _levels(layer, graph), graph.inputs_of[layer.name][0].source
    if levels is None:
        return f"NIR can take the largest of spikes and counts only, and what comes from {source!r} may be any number"
    if levels > MOST_LEVELS:
        return f"takes the largest of counts up to {levels} from {source!r}; here at most {MOST_LEVELS} are written"
    return None


def _levels(layer: Pool, graph: DeployGraph) -> int | None:
    """Return the largest count that a maximum is taken of; None if what arrives is not made of counts."""
    (x,) = flow(graph).arriving(layer.name)
    counts = all(s.whole and s.low.min() >= 0 for s in x) and x.kind != Kind.CURRENTS
    return max(int(x.largest.max()), 1) if counts else None


def write_conv(u: Unrolling, layer: Conv, t: int, sources: Sequence[str]) -> str:
    """A convolution; without a bias NIR still wants one, so it gets zeros."""
    margin = margins(layer.weight.shape[2:]) or ()
    bias = np.zeros(layer.weight.shape[0], np.float32) if layer.bias is None else u.stored(layer, "bias", t)
    u.holds_tables(layer, t)
    return u.convolution(
        layer.name,
        t,
        "output",
        sources[0],
        u.input_shape(layer),
        weight=u.stored(layer, "weight", t),
        bias=bias,
        stride=layer.stride,
        padding=[p + m * d for p, m, d in zip(layer.padding, margin, layer.dilation)],
        dilation=layer.dilation,
    )


def write_linear(u: Unrolling, layer: Linear, t: int, sources: Sequence[str]) -> str:
    """`Linear` without a bias, `Affine` with one."""
    u.holds_tables(layer, t)
    kind = "Linear" if layer.bias is None else "Affine"
    return u.node(kind, layer.name, t, "output", sources, **{key: u.stored(layer, key, t) for key in layer.tables()})


def write_scale(u: Unrolling, layer: Scale, t: int, sources: Sequence[str]) -> str:
    """A pointwise factor."""
    return u.table("Scale", layer, "factor", t, sources)


def write_pool(u: Unrolling, layer: Pool, t: int, sources: Sequence[str]) -> str:
    """See the module's text."""
    window = math.prod(layer.kernel)
    if layer.mode == "average" and len(layer.kernel) == 2 and window & (window - 1) == 0:
        return _pool2d(u, "AvgPool2d", layer, t, "output", sources)
    if layer.mode == "max":
        return _largest(u, layer, t, sources[0])
    summed = _sums(u, layer, t, "output" if layer.mode == "sum" else "sum", sources)
    return summed if layer.mode == "sum" else u.scale(layer, t, "output", [summed], 1 / window)


def _largest(u: Unrolling, layer: Pool, t: int, source: str) -> str:
    """The largest of spikes is their OR; of counts, how many levels any of them reaches."""
    levels = _levels(layer, u.graph)
    if levels == 1:
        return u.threshold(layer, t, "output", _sums(u, layer, t, "sum", [source]), 0.5)
    reached = []
    for level in range(1, (levels or 0) + 1):
        above = u.over_input(layer, t, f"above{level}", source, level - 0.5)
        reached.append(u.threshold(layer, t, f"reached{level}", _sums(u, layer, t, f"sum{level}", [above]), 0.5))
    return u.scale(layer, t, "output", reached)


def _sums(u: Unrolling, layer: Pool, t: int, role: str, sources: Sequence[str]) -> str:
    return (_pool2d if len(layer.kernel) == 2 else _pool1d)(u, "SumPool2d", layer, t, role, sources)


def _pool2d(u: Unrolling, kind: str, layer: Pool, t: int, role: str, sources: Sequence[str]) -> str:
    geometry = {"kernel_size": layer.kernel, "stride": layer.stride, "padding": layer.padding}
    return u.node(kind, layer.name, t, role, sources, **{key: integers(value) for key, value in geometry.items()})


def _pool1d(u: Unrolling, _kind: str, layer: Pool, t: int, role: str, sources: Sequence[str]) -> str:
    given = u.input_shape(layer)
    weight = np.repeat(np.eye(given[0], dtype=np.float32)[:, :, None], layer.kernel[0], axis=2)
    return u.convolution(
        layer.name,
        t,
        role,
        sources[0],
        given,
        weight=weight,
        bias=np.zeros(given[0], np.float32),
        stride=layer.stride,
        padding=layer.padding,
    )


def write_flatten(u: Unrolling, layer: Flatten, t: int, sources: Sequence[str]) -> str:
    """All axes into one."""
    return u.flatten(layer.name, t, "output", sources[0], u.input_shape(layer))


def write_reshape(u: Unrolling, layer: Reshape, t: int, sources: Sequence[str]) -> str:
    """Where the last axes become one, NIR's own Flatten says so."""
    if needs_extension(layer, u.graph):
        return u.node(RESHAPE, layer.name, t, "output", sources, shape=integers(layer.shape))
    return u.flatten(layer.name, t, "output", sources[0], u.input_shape(layer), len(layer.shape))


def write_product(u: Unrolling, layer: Product, t: int, sources: Sequence[str]) -> str:
    """Only in the extended dialect."""
    left, right = sources
    named = {"equation": text(layer.equation), "left": text(left), "right": text(right)}
    return u.node(PRODUCT, layer.name, t, "output", list(dict.fromkeys(sources)), **named)


def write_add(u: Unrolling, layer: Add, t: int, sources: Sequence[str]) -> str:
    """Two summands at a time, from the first input on."""
    total = sources[0]
    for i, source in enumerate(sources[1:], start=1):
        total = u.total(layer, t, "output" if i == len(sources) - 1 else f"partial{i}", total, source)
    return total


def write_concat(u: Unrolling, layer: Concat, t: int, sources: Sequence[str]) -> str:
    """Each signal moved to its channels by weights of one, and their sum: all but one of its summands are zero."""
    shapes = [u.graph.shapes[edge.source] for edge in u.graph.inputs_of[layer.name]]
    everything = np.eye(u.graph.shapes[layer.name][0], dtype=np.float32)
    total, first = "", 0
    for i, (source, shape) in enumerate(zip(sources, shapes)):
        placed = _placed(u, layer, t, f"placed{i}", source, shape, everything[:, first : first + shape[0]])
        role = "output" if i == len(sources) - 1 else f"partial{i}"
        total = u.total(layer, t, role, total, placed) if total else placed
        first += shape[0]
    return total


def _placed(u: Unrolling, layer: Layer, t: int, role: str, source: str, shape: Shape, channels: Array) -> str:
    """A signal of that shape with its channels mapped by `[out, in]`."""
    if len(shape) == 1:
        return u.node("Linear", layer.name, t, role, [source], weight=channels)
    spatial = (1,) * (len(shape) - 1)
    weight, bias = channels.reshape(*channels.shape, *spatial), np.zeros(len(channels), np.float32)
    return u.convolution(layer.name, t, role, source, shape, weight=weight, bias=bias, stride=spatial)


def write_readout(u: Unrolling, layer: Readout, t: int, sources: Sequence[str]) -> str:
    """This step's summand, which is what other layers would read, and the answer so far, in `u.memory`."""
    summand = u.table("Scale", layer, "scale", t, sources)
    before, key = u.memory.get(layer.name), f"{layer.name} seen"
    part = summand
    if layer.rule == "first-spike":  # one for each step that has seen a spike by then
        spike = u.threshold(layer, t, "spike", summand, 0.0)
        seen = u.memory.get(key)
        part = u.threshold(layer, t, "seen", u.total(layer, t, "ever", seen, spike), 0.5) if seen else spike
        u.memory[key] = part
    if layer.rule == "last" or before is None:
        u.memory[layer.name] = part
    else:
        u.memory[layer.name] = u.total(layer, t, "output", before, part)
    if layer.rule == "mean" and t == u.graph.time_steps - 1:
        u.memory[layer.name] = u.scale(layer, t, "mean", [u.memory[layer.name]], 1 / u.graph.time_steps)
    return summand


Writer = Callable[[Unrolling, Any, int, Sequence[str]], str]
"""Adds the nodes of a layer at a step, given the nodes that it reads; returns the node that holds its output."""

WRITERS: dict[type[Layer], Writer] = {
    Conv: write_conv,
    Linear: write_linear,
    Scale: write_scale,
    Pool: write_pool,
    Flatten: write_flatten,
    Reshape: write_reshape,
    Product: write_product,
    Neuron: write_neuron,
    Add: write_add,
    Concat: write_concat,
    Readout: write_readout,
}
