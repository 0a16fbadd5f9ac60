"""One function for each kind of layer without memory: from input signals to the output signal, in any scope."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from asnn_deploy.errors import UnsupportedError
from asnn_deploy.ir.layers import (
    Add,
    Concat,
    Conv,
    Flatten,
    Layer,
    Linear,
    Pool,
    Product,
    Readout,
    Reshape,
    Scale,
    Shape,
)
from asnn_deploy.util.arrays import Array
from asnn_exporters.onnx.scope import Scope, Signal


def emit(scope: Scope, layer: Layer, shape: Shape, inputs: list[Signal]) -> Signal:
    """Write a layer's nodes. shape: of its output. Raises UnsupportedError for a kind of layer without a function."""
    if type(layer) not in EMITTERS:
        raise UnsupportedError(f"layer {layer.name!r} ({layer.kind}): ONNX export does not know this kind of layer")
    return EMITTERS[type(layer)](scope, layer, shape, inputs)


def conv(scope: Scope, layer: Conv, shape: Shape, inputs: list[Signal]) -> Signal:
    """Conv over all steps that share a weight."""
    attributes = {
        "strides": layer.stride,
        "pads": layer.padding * 2,
        "dilations": layer.dilation,
        "group": layer.groups,
    }
    return synapses(scope, layer, shape, inputs[0], "Conv", attributes)


def linear(scope: Scope, layer: Linear, shape: Shape, inputs: list[Signal]) -> Signal:
    """Gemm over all steps that share a weight."""
    return synapses(scope, layer, shape, inputs[0], "Gemm", {"transB": 1})


def synapses(
    scope: Scope, layer: Conv | Linear, shape: Shape, source: Signal, kind: str, attributes: dict[str, Any]
) -> Signal:
    """One node for each run of steps that share weight and bias, joined in time."""
    runs = scope.synapses(layer)
    if len(runs) == 1:
        _, *constants = runs[0]
        out = scope.op(kind, [scope.flat(source), *filter(None, constants)], f"{layer.name}/out", **attributes)
        return Signal(layer.name, shape, flat=out)
    lengths = scope.integers(*(length for length, *_ in runs))
    pieces = [scope.names.new(f"{layer.name}/run{i}/in") for i in range(len(runs))]
    scope.ops("Split", [scope.in_steps(source), lengths], pieces, axis=0)
    outputs = []
    for i, (piece, (_, *constants)) in enumerate(zip(pieces, runs)):
        x = scope.flat(Signal(piece, source.shape, steps=piece))
        outputs.append(scope.op(kind, [x, *filter(None, constants)], f"{layer.name}/run{i}/out", **attributes))
    return Signal(layer.name, shape, flat=scope.op("Concat", outputs, f"{layer.name}/out", axis=0))


def scale(scope: Scope, layer: Scale, shape: Shape, inputs: list[Signal]) -> Signal:
    """One product for each element."""
    factor = scope.per_step(layer, "factor", layer.factor, shape)
    return Signal(layer.name, shape, steps=scope.op("Mul", [scope.in_steps(inputs[0]), factor], f"{layer.name}/out"))


def pool(scope: Scope, layer: Pool, shape: Shape, inputs: list[Signal]) -> Signal:
    """Max, or the sum as a convolution with ones: ONNX's AveragePool leaves open how its quotient is rounded."""
    x = scope.flat(inputs[0])
    window = {"strides": layer.stride, "pads": layer.padding * 2}
    if layer.mode == "max":
        out = scope.op("MaxPool", [x], f"{layer.name}/max", kernel_shape=layer.kernel, **window)
        if any(layer.padding):  # ONNX pads a maximum with -inf, the network with zeros
            borders = scope.initializer(f"{layer.name}.borders", border_zeros(layer, inputs[0].shape, shape))
            out = scope.op("Max", [out, borders], f"{layer.name}/out")
        return Signal(layer.name, shape, flat=out)
    ones = scope.initializer(f"{layer.name}.ones", np.ones((shape[0], 1, *layer.kernel), np.float32))
    out = scope.op("Conv", [x, ones], f"{layer.name}/sum", group=shape[0], **window)
    total = Signal(f"{layer.name}/sum", shape, flat=out)
    if layer.mode == "sum":
        return total
    share = scope.initializer(f"{layer.name}.share", np.float32(1 / np.prod(layer.kernel)))
    return Signal(layer.name, shape, steps=scope.op("Mul", [scope.in_steps(total), share], f"{layer.name}/out"))


def border_zeros(layer: Pool, shape_in: Shape, shape_out: Shape) -> Array:
    """0 where a window reaches into the padding, -inf elsewhere; `[1, 1, *spatial]`.

    A node Pad before MaxPool would say the same, but onnxruntime 1.23 merges the two and forgets the zeros.
    """
    touches = np.zeros(shape_out[1:], np.bool_)
    for axis, (size, kernel, stride, padding) in enumerate(
        zip(shape_in[1:], layer.kernel, layer.stride, layer.padding)
    ):
        start = np.arange(touches.shape[axis]) * stride - padding
        outside = (start < 0) | (start + kernel > size)
        touches |= np.expand_dims(outside, [a for a in range(touches.ndim) if a != axis])
    return np.where(touches, np.float32(0), np.float32(-np.inf))[None, None]


def reshape(scope: Scope, layer: Flatten | Reshape, shape: Shape, inputs: list[Signal]) -> Signal:
    """One Reshape."""
    source = inputs[0].flat or scope.in_steps(inputs[0])
    return Signal(
        layer.name, shape, flat=scope.op("Reshape", [source, scope.integers(-1, *shape)], f"{layer.name}/out")
    )


def add(scope: Scope, layer: Add, shape: Shape, inputs: list[Signal]) -> Signal:
    """Added up from the first input on."""
    total = scope.in_steps(inputs[0])
    for i, term in enumerate(inputs[1:], 1):
        label = f"{layer.name}/out" if i == len(inputs) - 1 else f"{layer.name}/sum{i}"
        total = scope.op("Add", [total, scope.in_steps(term)], label)
    return Signal(layer.name, shape, steps=total)


def concat(scope: Scope, layer: Concat, shape: Shape, inputs: list[Signal]) -> Signal:
    """One Concat along the channels."""
    joined = scope.op("Concat", [scope.in_steps(x) for x in inputs], f"{layer.name}/out", axis=2)
    return Signal(layer.name, shape, steps=joined)


def product(scope: Scope, layer: Product, shape: Shape, inputs: list[Signal]) -> Signal:
    """Einsum with an axis for step and sample in front."""
    terms, _, result = layer.equation.replace(" ", "").partition("->")
    letter = next(c for c in "BNTZYXWVUSRQPOMLKJIHGFEDCA" if c not in layer.equation)
    equation = ",".join(letter + term for term in terms.split(",")) + f"->{letter}{result}"
    out = scope.op("Einsum", [scope.flat(x) for x in inputs], f"{layer.name}/out", equation=equation)
    return Signal(layer.name, shape, flat=out)


def readout(scope: Scope, layer: Readout, shape: Shape, inputs: list[Signal]) -> Signal:
    """Each step's summand of the answer."""
    term = scope.op(
        "Mul", [scope.in_steps(inputs[0]), scope.per_step(layer, "scale", layer.scale, shape)], f"{layer.name}/scaled"
    )
    if layer.bias is not None:
        term = scope.op("Add", [term, scope.per_step(layer, "bias", layer.bias, shape)], f"{layer.name}/biased")
    return Signal(layer.name, shape, steps=term)


EMITTERS: dict[type[Layer], Callable[[Scope, Any, Shape, list[Signal]], Signal]] = {
    Conv: conv,
    Linear: linear,
    Scale: scale,
    Pool: pool,
    Flatten: reshape,
    Reshape: reshape,
    Add: add,
    Concat: concat,
    Product: product,
    Readout: readout,
}
