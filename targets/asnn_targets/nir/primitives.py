"""What each NIR primitive computes, and the two nodes of the extended dialect (docs/nir.md), in NumPy and float32."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from asnn_deploy.util.arrays import Array

PRODUCT, RESHAPE = "asnn_deploy.Product", "asnn_deploy.Reshape"
DIVIDE, COUNT = "asnn_deploy.Divide", "asnn_deploy.Count"
CHUNK = 1 << 23
"""Elements of unfolded convolution input to hold at a time (32 MiB)."""


def per_axis(value: Any, axes: int) -> tuple[int, ...]:
    """A geometry of NIR as one integer per axis; NIR allows one number for all of them."""
    given = tuple(int(n) for n in np.atleast_1d(value))
    return given * axes if len(given) == 1 else given


def windows(node: Any, x: Array, kernel: tuple[int, ...], dilation: tuple[int, ...]) -> list[Array]:
    """For each position in the kernel, in C order, what of `[B, C, *spatial]` it meets: views `[B, C, *output]`.

    node: a convolution or pooling node, with `stride` and `padding`; outside the input there are zeros.
    """
    axes = len(kernel)
    padding, stride = per_axis(node.padding, axes), per_axis(node.stride, axes)
    if any(padding):
        x = np.pad(x, ((0, 0), (0, 0), *((p, p) for p in padding)))
    spans = [n - d * (k - 1) - 1 for n, k, d in zip(x.shape[2:], kernel, dilation)]
    views = []
    for offset in np.ndindex(*kernel):
        cuts = (slice(o * d, o * d + span + 1, s) for o, d, span, s in zip(offset, dilation, spans, stride))
        window = (slice(None), slice(None), *cuts)
        views.append(x[window])
    return views


def convolve(node: Any, x: Array) -> Array:
    """Conv1d and Conv2d, by matrix products over a few samples at a time."""
    weight = node.weight
    kernel, groups = weight.shape[2:], int(node.groups)
    matrices = weight.reshape(groups, len(weight) // groups, -1)
    size = tuple(int(n) for n in node.output_type["output"][1:])
    dilation = per_axis(node.dilation, len(kernel))
    y = np.empty((len(x), len(weight), *size), np.float32)
    step = max(1, CHUNK // (x.shape[1] * math.prod(kernel) * math.prod(size)))
    for start in range(0, len(x), step):
        columns = np.stack(windows(node, x[start : start + step], kernel, dilation), axis=2)
        product = matrices @ columns.reshape(len(columns), groups, -1, math.prod(size))
        y[start : start + step] = product.reshape(len(columns), -1, *size)
    y += node.bias.reshape(-1, *(1,) * len(kernel))
    return y


def pool(node: Any, x: Array) -> Array:
    """SumPool2d and AvgPool2d, added up in C order; padding counts."""
    kernel = per_axis(node.kernel_size, x.ndim - 2)
    first, *others = windows(node, x, kernel, (1,) * len(kernel))
    y = first.copy()
    for view in others:
        y += view
    if type(node).__name__ == "AvgPool2d":
        y /= np.float32(math.prod(kernel))
    return y


def flatten(node: Any, x: Array) -> Array:
    """Flatten; NIR counts axes without the batch."""
    return x.reshape(len(x), *(int(n) for n in node.output_type["output"]))


EVALUATE: dict[str, Callable[[Any, Array], Array]] = {
    "Output": lambda _node, x: x,
    "Scale": lambda node, x: x * node.scale,
    "Threshold": lambda node, x: (x > node.threshold).astype(np.float32),
    "Linear": lambda node, x: x @ node.weight.T,
    "Affine": lambda node, x: x @ node.weight.T + node.bias,
    "Conv1d": convolve,
    "Conv2d": convolve,
    "SumPool2d": pool,
    "AvgPool2d": pool,
    "Flatten": flatten,
    RESHAPE: lambda node, x: x.reshape(len(x), *node.shape),
    DIVIDE: lambda node, x: x / node.scale,
    COUNT: lambda node, x: np.where(x > 0, np.trunc(x / node.threshold), np.float32(0)),
}
"""By the type under which the file has a node: what it gives for the sum of its inputs."""


def multiply(node: Any, left: Array, right: Array) -> Array:
    """An einsum over the axes behind the batch."""
    terms, _, result = node.equation.partition("->")
    equation = ",".join(f"...{term.strip()}" for term in terms.split(",")) + f"->...{result.strip()}"
    return np.einsum(equation, left, right)  # type: ignore[no-any-return]
