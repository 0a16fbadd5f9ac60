"""Pooling of spikes."""

from __future__ import annotations

from typing import Any

import numpy as np

from asnn_deploy.engine.compiler import compiled

_u = np.uint64


@compiled
def pool(spikes: Any, height: Any, width: Any, channels: Any, window: Any, out: Any, out_start: Any) -> None:
    """Pool one sample's spikes `[height, width, channels]`, flat, into `out[out_start:]`, flat too."""
    sums, length = window.sums, _u(channels)
    kernel_y, kernel_x, padding_y, padding_x = window.kernel_y, window.kernel_x, window.padding_y, window.padding_x
    squares = kernel_y == kernel_x == 2 and padding_y == padding_x == 0
    for y in range(window.out_height):
        for x in range(window.out_width):
            o = _u(out_start + (y * window.out_width + x) * channels)
            if squares:
                a = _u((y * window.stride_y * width + x * window.stride_x) * channels)
                b, c, d = a + length, a + _u(width * channels), a + _u((width + 1) * channels)
                if sums:
                    for j in range(length):
                        out[o + j] = (spikes[a + j] + spikes[b + j]) + (spikes[c + j] + spikes[d + j])
                else:
                    for j in range(length):
                        out[o + j] = (spikes[a + j] | spikes[b + j]) | (spikes[c + j] | spikes[d + j])
                continue
            for j in range(length):
                out[o + j] = 0
            for ky in range(kernel_y):
                row = y * window.stride_y - padding_y + ky
                for kx in range(kernel_x):
                    column = x * window.stride_x - padding_x + kx
                    if row < 0 or row >= height or column < 0 or column >= width:
                        continue
                    a = _u((row * width + column) * channels)
                    if sums:
                        for j in range(length):
                            out[o + j] += spikes[a + j]
                    else:
                        for j in range(length):
                            out[o + j] |= spikes[a + j]
