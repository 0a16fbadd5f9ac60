"""Dense kernels in NumPy: convolution and linear maps as matrix products, pooling as running sums or maxima.

Integer layers are computed by floating-point matrix products wherever every partial sum is proved to be an exactly
representable integer (below 2**24 in float32, below 2**53 in float64), because NumPy has no fast integer product.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from asnn_deploy.layers import Conv, Linear, Pool
from asnn_deploy.step_table import Array

FLOAT32_EXACT = 2**24
FLOAT64_EXACT = 2**53


def carrier(weight: Array, largest_input: float) -> np.dtype[Any]:
    """The floating-point type that carries a layer's integer sums exactly; for float weights, their own type.

    weight: `[out, ...]`; largest_input: of the magnitude of any input. Raises OverflowError beyond 2**53.
    """
    if weight.dtype.kind == "f":
        return weight.dtype
    bound = np.abs(weight.astype(np.float64)).reshape(len(weight), -1).sum(axis=1).max(initial=0) * largest_input
    if bound < FLOAT32_EXACT:
        return np.dtype(np.float32)
    if bound < FLOAT64_EXACT:
        return np.dtype(np.float64)
    raise OverflowError(f"integer sums up to {bound:.3g} exceed 2**53")


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
