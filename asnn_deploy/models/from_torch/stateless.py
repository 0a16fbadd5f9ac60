"""torch's own modules: weights, pooling, flattening, batch norm, and what holds other modules.

A network is read as it runs in evaluation mode: dropout does nothing, and batch norm is folded into the weights before
it, as in `lowering.py`. `axes`: how many axes stand before a sample's own, see `walk.Place`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from asnn_deploy.ir.layers import Conv, Flatten, Layer, Linear, Pool, Reshape, Shape, Synapses
from asnn_deploy.ir.layers.synapses import same_padding
from asnn_deploy.ir.step_table import StepTable
from asnn_deploy.models.from_torch.walk import Place, Rule, holding
from asnn_deploy.models.lowering import array, average_pool, fold, max_pool
from asnn_deploy.util.arrays import Array


def table(value: Any) -> StepTable:
    """Return one value for all steps, in float32."""
    return StepTable.constant(np.asarray(value, np.float32), 1)


def nothing(place: Place) -> None:
    """Pass the signal on: what does nothing in evaluation mode."""


def per_sample(read: Callable[[Place], None]) -> Rule:
    """Return a rule for modules that are not called on sequences, whose time they take for an axis of the samples."""

    def checked(place: Place) -> None:
        if place.axes != 1:
            raise place.refuse("it is called on whole sequences, whose time it takes for an axis of the samples")
        read(place)

    return Rule(checked)


def synapses(place: Place, weight: torch.Tensor, bias: torch.Tensor | None, suffix: str = "") -> tuple[str, Array, Any]:
    """Return the name, the weight and the table of the bias (None if there is none) of synapses."""
    own = None if bias is None else place.single("bias", bias)
    kernel, shift = fold(place.path, array(place.single("weight", weight)), own, None)
    return place.name(suffix), kernel, table(shift) if shift.any() else None


def linear(place: Place) -> None:
    """Read a Linear."""
    name, weight, bias = synapses(place, place.module.weight, place.module.bias)
    put_linear(place, Linear(name, table(weight), bias))


def put_linear(place: Place, layer: Linear) -> None:
    """Add a linear map. Raises LoweringError unless samples have one axis, as it must not be applied along others."""
    inputs = layer.weight.shape[1]
    if len(place.walk.shape) != 1:
        hint = ", which a Flatten makes of it" if math.prod(place.walk.shape) == inputs else ""
        raise place.refuse(f"it reads samples of shape {place.walk.shape}; it takes ({inputs},){hint}")
    place.put(layer)


def convolution(place: Place) -> None:
    """Read a Conv1d or Conv2d."""
    module = place.module
    if module.padding_mode != "zeros":
        raise place.refuse(f"its padding_mode is {module.padding_mode!r}; only 'zeros' is deployable")
    name, weight, bias = synapses(place, module.weight, module.bias)
    padding = module.padding
    if padding == "same":
        weight, padding = same_padding(weight, module.stride, module.dilation)
    padding = (0,) * (weight.ndim - 2) if padding == "valid" else padding
    place.put(Conv(name, table(weight), bias, module.stride, padding, module.dilation, module.groups))


def batch_norm(place: Place) -> None:
    """Fold a batch norm, as it is in evaluation mode, into the weights before it."""
    walk, norm = place.walk, place.module
    before = walk.layers[-1] if walk.layers else None
    if not isinstance(before, Synapses) or before.name != walk.signal:
        raise place.refuse("it can only be folded into a Linear or a convolution directly before it")
    if norm.running_mean is None or norm.running_var is None:
        raise place.refuse("it has no running statistics (track_running_stats=False)")
    if len(before.weight.values[0]) != norm.num_features:
        raise place.refuse(f"it has {norm.num_features} features, what it reads has {walk.shape[0]} channels")
    own = None if before.bias is None else torch.tensor(before.bias.values[0])
    weight, bias = fold(place.path, before.weight.values[0].astype(np.float64), own, norm)
    walk.layers[-1] = replace(before, weight=table(weight), bias=table(bias))


def pooling(rule: Callable[[str, str, Any], Layer]) -> Rule:
    """Return a rule for pooling over two axes."""
    return per_sample(lambda place: place.put(rule(place.name(), place.path, place.module)))


def adaptive_pool(place: Place) -> None:
    """Read an AdaptiveAvgPool2d whose windows are all of one size."""
    spatial = place.walk.shape[1:]
    wanted = place.module.output_size
    sizes = (wanted, wanted) if isinstance(wanted, int) else wanted
    outputs = tuple(n if size is None else size for n, size in zip(spatial, sizes))
    if len(spatial) != 2 or any(n % size for n, size in zip(spatial, outputs)):
        raise place.refuse(f"its output_size {wanted} does not divide the size {spatial} of what it reads")
    kernel = tuple(n // size for n, size in zip(spatial, outputs))
    place.put(Pool(place.name(), "average", kernel, kernel, (0, 0)))


def sum_pool(place: Place) -> None:
    """Read an LPPool2d that adds up; Sinabs calls it SumPool2d."""
    module = place.module
    if float(module.norm_type) != 1 or module.ceil_mode:
        raise place.refuse("only norm_type 1 is deployable, and no ceil_mode")
    kernel, stride = (
        (n, n) if isinstance(n, int) else tuple(n) for n in (module.kernel_size, module.stride or module.kernel_size)
    )
    place.put(Pool(place.name(), "sum", kernel, stride, (0, 0)))


def flatten(place: Place) -> None:
    """Read a Flatten, whose axes count those before the samples' own."""
    shape, module = place.walk.shape, place.module
    first, last = (own_axis(place, dim) for dim in (module.start_dim, module.end_dim))
    if not 0 <= first <= last < len(shape):
        raise place.refuse(
            f"its start_dim {module.start_dim} and end_dim {module.end_dim} do not fit {place.axes} leading "
            f"{'axis' if place.axes == 1 else 'axes'} and samples of shape {shape}"
        )
    if first == 0 and last == len(shape) - 1:
        if first != last:
            place.put(Flatten(place.name()))
    elif first != last:
        put_shape(place, (*shape[:first], math.prod(shape[first : last + 1]), *shape[last + 1 :]))


def unflatten(place: Place) -> None:
    """Read an Unflatten."""
    shape, sizes = place.walk.shape, tuple(place.module.unflattened_size)
    axis = own_axis(place, place.module.dim) if isinstance(place.module.dim, int) else -1
    if not 0 <= axis < len(shape) or not all(isinstance(size, int) for size in sizes):
        raise place.refuse(f"its dim {place.module.dim!r} is not an axis of samples of shape {shape}")
    known = math.prod(size for size in sizes if size != -1)
    split = tuple(shape[axis] // known if size == -1 else size for size in sizes)
    put_shape(place, (*shape[:axis], *split, *shape[axis + 1 :]))


def own_axis(place: Place, dim: int) -> int:
    """Return which axis of a sample a module means, negative for one before them."""
    return (dim if dim >= 0 else dim + place.axes + len(place.walk.shape)) - place.axes


def put_shape(place: Place, shape: Shape) -> None:
    """Add a layer that gives the signal other axes."""
    place.put(Reshape(place.name(), shape))


RULES = {
    "Linear": Rule(linear),
    "Conv1d": per_sample(convolution),
    "Conv2d": per_sample(convolution),
    "BatchNorm1d": per_sample(batch_norm),
    "BatchNorm2d": per_sample(batch_norm),
    "MaxPool2d": pooling(max_pool),
    "AvgPool2d": pooling(average_pool),
    "AdaptiveAvgPool2d": per_sample(adaptive_pool),
    "LPPool2d": per_sample(sum_pool),
    "Flatten": Rule(flatten),
    "Unflatten": Rule(unflatten),
    "Identity": Rule(nothing),
    "Dropout": Rule(nothing),
    "Dropout1d": Rule(nothing),
    "Dropout2d": Rule(nothing),
    "AlphaDropout": Rule(nothing),
    "Sequential": holding(),
}
"""By the name of the class."""
