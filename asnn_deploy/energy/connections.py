"""Fan-out: how many synapses leave each element of a layer's input.

One map per layer and table entry replaces the list of all connections: the fan-out of an element is the number of
non-zero weights that read it, which is the transposed convolution of ones with the mask of non-zero weights. A count
of synaptic operations is then the dot product of the input with that map, exact at borders, strides, dilations,
groups and pruned weights.
"""

from __future__ import annotations

import numpy as np

from asnn_deploy.ir.layers import Conv, Linear, Product, Shape
from asnn_deploy.util.arrays import Array


def fan_out(layer: Conv | Linear, shape: Shape) -> Array:
    """Synapses leaving each input element, `[K, *shape]` int64, for each of the weight table's K entries.

    shape: the layer's input shape for one sample, `(C, H, W)`, `(C, L)` or `(N,)`.
    """
    used = layer.weight.values != 0
    if isinstance(layer, Linear):
        return used.sum(axis=1, dtype=np.int64)  # type: ignore[no-any-return]
    return np.stack([_conv_fan_out(layer, mask, shape) for mask in used])


def _conv_fan_out(layer: Conv, used: Array, shape: Shape) -> Array:
    """One table entry: used `[C_out, C_in/groups, *kernel]` bool to `[C_in, *spatial]`."""
    groups, kernel = layer.groups, used.shape[2:]
    # Weights that leave each input channel at each kernel position: the sum over the group's output channels.
    leaving = used.reshape(groups, -1, *used.shape[1:]).sum(axis=1, dtype=np.int64).reshape(shape[0], *kernel)
    fan = np.zeros(shape, dtype=np.int64)
    for offset in np.ndindex(kernel):
        reached = [
            _positions(n, o, s, p, d, k)
            for n, o, s, p, d, k in zip(shape[1:], offset, layer.stride, layer.padding, layer.dilation, kernel)
        ]
        read, weights = (slice(None), *reached), (slice(None), *offset)
        fan[read] += leaving[weights].reshape(-1, *(1,) * len(kernel))
    return fan


def _positions(size: int, offset: int, stride: int, padding: int, dilation: int, kernel: int) -> slice:
    """The input positions along one axis that the kernel position `offset` reads, over all output positions."""
    outputs = (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
    start = offset * dilation - padding
    first = max(0, -(start // stride))  # the first output position whose reading lies inside the input
    last = min(outputs - 1, (size - 1 - start) // stride)
    if last < first:
        return slice(0, 0)
    return slice(start + first * stride, start + last * stride + 1, stride)


def bias_reads(layer: Conv | Linear, shape: Shape) -> Array:
    """Sums that start from a non-zero bias at each step, `[T]` int64; shape is the layer's output shape."""
    time_steps = layer.weight.time_steps
    if layer.bias is None:
        return np.zeros(time_steps, dtype=np.int64)
    positions = int(np.prod(shape[1:]))
    used: Array = (layer.bias.values != 0).sum(axis=1, dtype=np.int64)
    return used[layer.bias.index] * positions  # type: ignore[no-any-return]


def product_pairs(layer: Product, left: Array, right: Array) -> Array:
    """The sum over all scalar products that an einsum forms, for each sample: `[B]` float64.

    left, right: `[B, ...]`. With spike counts it is the number of accumulates; with masks of the non-zero elements,
    the number of scalar products that are not zero; with ones, the number of all scalar products.
    """
    terms = layer.equation.replace(" ", "").split("->")[0].split(",")
    shared = [axis for axis in terms[0] if axis in terms[1]]
    reduced = []
    for term, x in zip(terms, (left, right)):
        alone = tuple(1 + i for i, axis in enumerate(term) if axis not in shared)
        summed = x.astype(np.float64).sum(axis=alone)
        kept = [axis for axis in term if axis in shared]
        reduced.append(summed.transpose(0, *(1 + kept.index(axis) for axis in shared)).reshape(len(x), -1))
    return np.einsum("bi,bi->b", *reduced)  # type: ignore[no-any-return]
