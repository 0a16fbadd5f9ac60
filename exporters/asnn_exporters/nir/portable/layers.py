"""Layers without neurons as nodes of NIR: the inverse of `others/synapses.py`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from asnn_deploy.ir.granularity import spread
from asnn_deploy.ir.layers import Concat, Conv, Flatten, Layer, Linear, Pool, Product, Reshape, Scale, Shape
from asnn_deploy.util.arrays import Array
from asnn_exporters.nir.others.network import Node
from asnn_exporters.nir.portable.target import Target

REFUSED: Mapping[type[Layer], str] = {
    Product: "NIR has no product of two signals",
    Concat: "NIR cannot put the channels of two signals together",
}
ELSEWHERE = "; the dialects canonical and extended can"


def node_of(layer: Layer, shape: Shape, target: Target) -> Node:
    """Return a layer as a node. shape: what it reads. Raises UnsupportedError naming what cannot be expressed."""
    if type(layer) in REFUSED:
        raise layer.unsupported(REFUSED[type(layer)] + ELSEWHERE)
    node = WRITERS[type(layer)](layer, shape, target)
    if not target.takes(node.kind):
        raise layer.unsupported(f"{target.who} reads no {node.kind} node")
    return node


def _linear(layer: Any, _shape: Shape, target: Target) -> Node:
    weight = layer.weight.values[0]
    if layer.bias is None and target.takes("Linear"):
        return Node(layer.name, "Linear", {"weight": weight})
    return Node(layer.name, "Affine", {"weight": weight, "bias": _bias(layer)})


def _bias(layer: Any) -> Array:
    return np.zeros(layer.weight.shape[0], np.float32) if layer.bias is None else layer.bias.values[0]


def _convolution(layer: Any, shape: Shape, target: Target) -> Node:
    weight = layer.weight.values[0]
    importer = target.importer
    if importer and layer.groups > 1 and (importer.groups == "none" or weight.shape[1] % layer.groups):
        raise layer.unsupported(
            f"{target.who} cannot read {layer.groups} groups of {weight.shape[1]} input channels each"
        )
    fields = {key: list(getattr(layer, key)) for key in ("stride", "padding", "dilation")}
    numbers = {key: n[0] if len(shape) == 2 else np.asarray(n, np.int64) for key, n in fields.items()}
    size = shape[1] if len(shape) == 2 else np.asarray(shape[1:], np.int64)
    return Node(
        layer.name,
        f"Conv{len(shape) - 1}d",
        {"weight": weight, "bias": _bias(layer), "groups": layer.groups, "input_shape": size, **numbers},
    )


def _pool(layer: Any, shape: Shape, target: Target) -> Node:
    if layer.mode == "max":
        raise layer.unsupported("NIR has no node for the largest of a window" + ELSEWHERE)
    if len(shape) != 3:
        raise layer.unsupported("NIR pools over height and width only" + ELSEWHERE)
    kind = "SumPool2d" if layer.mode == "sum" else "AvgPool2d"
    if target.importer is not None and kind == "SumPool2d":
        if any(layer.padding):
            raise layer.unsupported(f"{target.who} leaves out the padding {layer.padding} of a SumPool2d")
        window = math.prod(layer.kernel)
        if window & (window - 1):
            raise layer.unsupported(
                f"{target.who} computes the sum of {window} elements as {window} times their mean, which is not exact; "
                "windows of a power of two are"
            )
    sizes = {"kernel_size": layer.kernel, "stride": layer.stride, "padding": layer.padding}
    return Node(layer.name, kind, {key: np.asarray(value, np.int64) for key, value in sizes.items()})


def _flatten(layer: Any, shape: Shape, target: Target) -> Node:
    # Counted from behind where a tool may count a batch axis in front.
    start = 0 if target.importer is None else -len(shape)
    return Node(layer.name, "Flatten", {"start_dim": start, "end_dim": -1, "input_type": np.asarray(shape, np.int64)})


def _reshape(layer: Any, shape: Shape, _target: Target) -> Node:
    joined = len(shape) - len(layer.shape)
    for start in range(len(layer.shape)):
        end = start + joined
        if joined > 0 and (*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :]) == layer.shape:
            dims = {"start_dim": start - len(shape), "end_dim": end - len(shape)}
            return Node(layer.name, "Flatten", {**dims, "input_type": np.asarray(shape, np.int64)})
    raise layer.unsupported(f"NIR cannot make the shape {layer.shape} of {shape}; the dialect extended can")


def _scale(layer: Any, shape: Shape, _target: Target) -> Node:
    return Node(layer.name, "Scale", {"scale": np.ascontiguousarray(spread(layer.factor.values[0], shape))})


WRITERS: Mapping[type[Layer], Callable[[Any, Shape, Target], Node]] = {
    Linear: _linear,
    Conv: _convolution,
    Pool: _pool,
    Flatten: _flatten,
    Reshape: _reshape,
    Scale: _scale,
}
