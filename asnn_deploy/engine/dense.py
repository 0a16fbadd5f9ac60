"""Dense kernels in NumPy: convolution and linear maps as matrix products, pooling as running sums or maxima.

Integer layers are computed by floating-point matrix products wherever every partial sum is proved to be an exactly
representable integer (below 2**24 in float32, below 2**53 in float64), because NumPy has no fast integer product.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from asnn_deploy.analysis.order_free import row_sums
from asnn_deploy.ir.layers import Conv, Linear, Pool, Product
from asnn_deploy.util.arrays import Array

FLOAT32_EXACT = 2**24
FLOAT64_EXACT = 2**53


def carrier(weight: Array, largest_input: float) -> np.dtype[Any]:
    """The floating-point type that carries a layer's integer sums exactly; for float weights, their own type.

    weight: `[out, ...]`; largest_input: of the magnitude of any input. Raises OverflowError beyond 2**53.
    """
    return exact_type(weight.dtype, row_sums(weight).max(initial=0) * largest_input)


def exact_type(kind: np.dtype[Any], bound: float) -> np.dtype[Any]:
    """The floating-point type that carries integer sums up to a bound exactly; for floats, their own type."""
    if kind.kind == "f":
        return kind
    if bound < FLOAT32_EXACT:
        return np.dtype(np.float32)
    if bound < FLOAT64_EXACT:
        return np.dtype(np.float64)
    raise OverflowError(f"integer sums up to {bound:.3g} exceed 2**53")


class ProductKernel:
    """A product of two signals `[B, ...]` by an einsum equation over their per-sample axes, as matrix products.

    kind: the type in which the graph computes; bound: the largest magnitude of any result.
    """

    def __init__(self, layer: Product, kind: Any, bound: float) -> None:
        self.dtype = exact_type(np.dtype(kind), bound)
        self.terms, self.result = layer.terms
        left, right = self.terms
        self.shared = [a for a in left if a in right and a in self.result]
        self.summed = [a for a in left if a in right and a not in self.result]
        self.outer = [[a for a in term if a not in self.shared + self.summed] for term in self.terms]

    def __call__(self, left: Array, right: Array) -> Array:
        sizes = {a: n for term, x in zip(self.terms, (left, right)) for a, n in zip(term, x.shape[1:])}
        a, b = (x.astype(self.dtype, copy=False) for x in (left, right))
        a = self._matrix(a, self.terms[0], self.outer[0], self.summed, sizes)
        b = self._matrix(b, self.terms[1], self.summed, self.outer[1], sizes)
        axes = [*self.shared, *self.outer[0], *self.outer[1]]
        y = np.matmul(a, b).reshape(len(left), *(sizes[axis] for axis in axes))
        # An axis of one operand alone that the result lacks is added up afterwards.
        y = y.sum(axis=tuple(i + 1 for i, axis in enumerate(axes) if axis not in self.result))
        kept = [axis for axis in axes if axis in self.result]
        return y.transpose(0, *(1 + kept.index(axis) for axis in self.result))

    def _matrix(self, x: Array, term: str, rows: list[str], columns: list[str], sizes: dict[str, int]) -> Array:
        """`[B, shared axes, rows, columns]`."""
        order = [*self.shared, *rows, *columns]
        heads = [sizes[a] for a in self.shared]
        lengths = [math.prod(sizes[a] for a in group) for group in (rows, columns)]
        return x.transpose(0, *(1 + term.index(a) for a in order)).reshape(len(x), *heads, *lengths)


class LinearKernel:
    """`y = x W^T`, `[B, in]` to `[B, out]`, for one weight `[out, in]`."""

    def __init__(self, _layer: Linear, weight: Array, largest_input: float) -> None:
        self.dtype = carrier(weight, largest_input)
        self.matrix = np.ascontiguousarray(weight.T, dtype=self.dtype)

    def __call__(self, x: Array) -> Array:
        return x.astype(self.dtype, copy=False) @ self.matrix  # type: ignore[no-any-return]


class ConvKernel:
    """Convolution for one weight `[C_out, C_in/groups, *kernel]`; 1-D is computed as 2-D of height 1."""

    def __init__(self, layer: Conv, weight: Array, largest_input: float) -> None:
        self.dtype = carrier(weight, largest_input)
        flat = weight.ndim == 3
        self.kernel = (1, *weight.shape[2:]) if flat else weight.shape[2:]
        self.stride = (1, *layer.stride) if flat else layer.stride
        self.padding = (0, *layer.padding) if flat else layer.padding
        self.dilation = (1, *layer.dilation) if flat else layer.dilation
        self.flat = flat
        self.matrices = np.ascontiguousarray(weight.reshape(layer.groups, len(weight) // layer.groups, -1), self.dtype)

    def __call__(self, x: Array) -> Array:
        x = x.astype(self.dtype, copy=False)
        if self.flat:
            x = x[:, :, None, :]
        batch = len(x)
        patches = self.patches(x)
        height, width = patches.shape[-2:]
        groups, outputs, inputs = self.matrices.shape
        columns = np.ascontiguousarray(patches).reshape(batch, groups, inputs, height * width)
        y = np.matmul(self.matrices, columns).reshape(batch, groups * outputs, height, width)
        return y[:, :, 0] if self.flat else y

    def patches(self, x: Array) -> Array:
        """A view of the padded input, `[B, C, KH, KW, OH, OW]`."""
        (ph, pw), (dh, dw), (sh, sw) = self.padding, self.dilation, self.stride
        if ph or pw:
            x = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
        reach = tuple(d * (k - 1) + 1 for d, k in zip(self.dilation, self.kernel))
        windows: Array = np.lib.stride_tricks.sliding_window_view(x, reach, (2, 3))  # type: ignore[call-overload]
        return windows[:, :, ::sh, ::sw, ::dh, ::dw].transpose(0, 1, 4, 5, 2, 3)


def pool(layer: Pool, x: Array) -> Array:
    """Pool `[B, C, *spatial]`: the windows' positions are visited in C order."""
    axes = range(len(layer.kernel))
    if any(layer.padding):
        x = np.pad(x, ((0, 0), (0, 0), *((p, p) for p in layer.padding)))
    sizes = [(x.shape[2 + a] - layer.kernel[a]) // layer.stride[a] + 1 for a in axes]
    result: Array | None = None
    for offset in np.ndindex(*layer.kernel):
        cut = tuple(slice(o, o + s * (n - 1) + 1, s) for o, s, n in zip(offset, layer.stride, sizes))
        window = (slice(None), slice(None), *cut)
        part = x[window]
        if result is None:
            result = part.copy()
        elif layer.mode == "max":
            np.maximum(result, part, out=result)
        else:
            result += part
    assert result is not None
    if layer.mode == "average":
        result = result * result.dtype.type(1 / np.prod(layer.kernel))
    return result
