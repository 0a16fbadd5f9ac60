"""The layers of nodes that mean the same whatever the rules of their tool: weights, pooling, flattening, scaling."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from asnn_deploy.errors import GraphError
from asnn_deploy.ir.layers import Conv, Flatten, Layer, Linear, Pool, Reshape, Scale, Shape
from asnn_deploy.ir.layers.synapses import same_padding
from asnn_deploy.ir.step_table import StepTable
from asnn_deploy.util.arrays import Array
from asnn_exporters.nir.others.network import Node


def layer_of(node: Node, name: str, shape: Shape) -> Layer:
    """Return a node's layer of that name. shape: what arrives. Raises GraphError naming the node and both shapes."""
    layer = LAYERS[node.kind](node, name, shape)
    try:
        layer.output_shape(shape)
    except GraphError as error:
        raise node.refuse(str(error).removeprefix(str(layer.refuse("")))) from None
    return layer


def single(value: Any) -> Array:
    """Return a field's numbers in float32."""
    return np.asarray(value).astype(np.float32)


def broadcast(node: Node, key: str, shape: Shape) -> Array:
    """Return a parameter in float32: one number if there is one, else numbers that meet a signal of that shape.

    Raises GraphError unless it has one number, or along each of the signal's axes as many as that or one.
    """
    value = single(node.fields[key])
    if value.size == 1:
        return value.reshape(())
    if not broadcasts(value.shape, shape):
        raise node.refuse(f"{key} has shape {value.shape}, what it reads has shape {shape}{_by_channel(value, shape)}")
    return value


def broadcasts(given: Shape, shape: Shape) -> bool:
    """Return whether a parameter of shape `given` has one number, or along each axis of a signal as many or one."""
    return math.prod(given) == 1 or (len(given) == len(shape) and all(g in (1, n) for g, n in zip(given, shape)))


def _by_channel(value: Array, shape: Shape) -> str:
    channels = value.ndim == 1 and len(shape) > 1 and value.shape == shape[:1]
    return f"; for one number a channel write the shape {(*value.shape, *(1,) * (len(shape) - 1))}" if channels else ""


def _table(value: Array) -> StepTable:
    return StepTable.constant(value, 1)


def _bias(node: Node, outputs: int) -> StepTable | None:
    """A bias, spread over all outputs; None if it is zero."""
    value = single(node.fields.get("bias", 0))
    if value.size != 1 and value.shape != (outputs,):
        raise node.refuse(f"bias has shape {value.shape}, its weight has {outputs} outputs; expected ({outputs},)")
    return _table(np.broadcast_to(value.reshape(-1), (outputs,))) if value.any() else None


def _linear(node: Node, name: str, shape: Shape) -> Layer:
    weight = single(node.fields["weight"])
    if len(shape) != 1:
        hint = ", which a Flatten with start_dim 0 makes of it" if math.prod(shape) == weight.shape[1] else ""
        takes = f"it takes ({weight.shape[1]},){hint}"
        raise node.refuse(f"weight {weight.shape} cannot read an input of shape {shape}; {takes}")
    if shape != weight.shape[1:]:
        turned = weight.shape[0] == shape[0]
        hint = "it looks transposed; NIR has (outputs, inputs)" if turned else f"it takes ({weight.shape[1]},)"
        raise node.refuse(f"weight {weight.shape} cannot read an input of shape {shape}; {hint}")
    return Linear(name, _table(weight), _bias(node, len(weight)))


def _convolution(node: Node, name: str, shape: Shape) -> Layer:
    weight, groups = single(node.fields["weight"]), node.fields["groups"]
    kernel = weight.shape[2:]
    channels = weight.shape[1] * groups
    if len(shape) != 1 + len(kernel) or shape[0] != channels:
        axes = ", ".join(["length"] if len(kernel) == 1 else ["height", "width"])
        raise node.refuse(
            f"weight {weight.shape} with {groups} group(s) cannot read an input of shape {shape}; "
            f"it takes ({channels}, {axes})"
        )
    stated = node.fields.get("input_shape")
    if stated is not None and stated != shape[1:]:
        raise node.refuse(f"input_shape says {stated}, what arrives has {shape[1:]}; correct it or leave it out")
    if len(weight) % groups:
        raise node.refuse(f"weight {weight.shape} has {len(weight)} outputs, not a multiple of its {groups} groups")
    weight, padding = _padded(node, weight)
    fields = node.fields
    return Conv(name, _table(weight), _bias(node, len(weight)), fields["stride"], padding, fields["dilation"], groups)


def _padded(node: Node, weight: Array) -> tuple[Array, Shape]:
    """The weight and its padding on both sides, in numbers."""
    padding, stride, dilation = (node.fields[key] for key in ("padding", "stride", "dilation"))
    if padding == "valid":
        return weight, (0,) * (weight.ndim - 2)
    if padding != "same":
        return weight, padding
    try:
        return same_padding(weight, stride, dilation)
    except GraphError as error:
        raise node.refuse(str(error)) from None


def _pool(mode: str) -> Callable[[Node, str, Shape], Layer]:
    def make(node: Node, name: str, shape: Shape) -> Layer:
        kernel = node.fields["kernel_size"]
        if len(shape) != 3:
            raise node.refuse(f"cannot pool an input of shape {shape}; it takes (channels, height, width)")
        stride, padding = node.fields.get("stride", kernel), node.fields.get("padding", (0, 0))
        return Pool(name, mode, kernel, stride, padding)

    return make


def _flatten(node: Node, name: str, shape: Shape) -> Layer:
    start, end, axes = node.fields.get("start_dim", 1), node.fields.get("end_dim", -1), len(shape)
    stated = node.fields.get("input_type")
    if stated is not None and stated != shape:
        raise node.refuse(f"input_type says {stated}, what arrives has shape {shape}; correct it or leave it out")
    first, last = (n + axes if n < 0 else n for n in (start, end))
    if not 0 <= first <= last < axes:
        counted = start > 0 and 0 <= start - 1 <= last
        hint = f"; {counts_batch(start, start - 1)}" if counted else ""
        raise node.refuse(
            f"start_dim {start} and end_dim {end} do not fit an input of shape {shape}, with axes 0 to {axes - 1}{hint}"
        )
    if first == 0 and last == axes - 1:
        return Flatten(name)
    return Reshape(name, (*shape[:first], math.prod(shape[first : last + 1]), *shape[last + 1 :]))


def counts_batch(start: int, needed: int) -> str:
    """Return the hint for a start_dim that is one too large."""
    return (
        f"its start_dim {start} seems to count a batch axis, as some tools do, and NIR counts none: "
        f"start_dim {needed} would be right"
    )


def _scale(node: Node, name: str, shape: Shape) -> Layer:
    return Scale(name, _table(broadcast(node, "scale", shape)))


LAYERS: Mapping[str, Callable[[Node, str, Shape], Layer]] = {
    "Affine": _linear,
    "Linear": _linear,
    "Conv1d": _convolution,
    "Conv2d": _convolution,
    "AvgPool2d": _pool("average"),
    "SumPool2d": _pool("sum"),
    "Flatten": _flatten,
    "Scale": _scale,
}
"""How each kind of node becomes a layer."""
