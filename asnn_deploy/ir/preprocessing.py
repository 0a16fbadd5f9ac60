"""What the host does to an image before it is coded: 8-bit pixels in, 8-bit pixels out.

A preparation may look at the whole image, which a coding's table of single pixels cannot. It is no part of the network:
exported files take prepared images. Whatever takes images from a user (`asnn_deploy.run`, the commands, training)
prepares them as the network's `InputCode.preparation` says.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from asnn_deploy.errors import ConfigError
from asnn_deploy.util.arrays import Array
from asnn_deploy.util.suggest import unknown_name

EPSILON = 1e-5
"""Added to the variance of pixels in [0, 1]: the default of torch.nn.LayerNorm."""
PIXEL_MAX = 255


def prepare(name: str, images: Array) -> Array:
    """Images uint8 `[N, C, H, W]` as the named preparation gives them, of the same type and shape.

    Raises ConfigError for an unknown name.
    """
    if name not in PREPARATIONS:
        raise ConfigError(unknown_name("image preparation", name, PREPARATIONS))
    return PREPARATIONS[name](images)


def layernorm_sigmoid(images: Array) -> Array:
    """`sigmoid((x - mean) / sqrt(variance + EPSILON))` over all pixels of an image, to the nearest of 256 levels.

    An image of one value becomes 128 throughout (sigmoid(0) = 1/2, rounded half to even). Means and variances are taken
    from exact integer sums in float64; only the exponential may differ between machines, by a unit in the last place,
    which moves a pixel by one level where it falls on the middle between two. Source: ASNN, arXiv 2408.12407, the
    section on hybrid coding, which normalises an image before it is cut by thresholds.
    """
    flat = images.reshape(len(images), -1).astype(np.int64)
    count = max(flat.shape[1], 1)
    total, squares = flat.sum(axis=1), np.square(flat).sum(axis=1)
    variance = (count * squares - total * total) / (float(count * PIXEL_MAX) ** 2)
    centred = (count * flat - total[:, None]) / float(count * PIXEL_MAX)
    shares = 1 / (1 + np.exp(-centred / np.sqrt(variance + EPSILON)[:, None]))
    return np.rint(shares * PIXEL_MAX).astype(np.uint8).reshape(images.shape)


PREPARATIONS: dict[str, Callable[[Array], Array]] = {
    "raw": lambda images: images,
    "layernorm-sigmoid": layernorm_sigmoid,
}
