"""The reference LeNet of ASNN (arXiv 2408.12407): three convolutions, one hidden linear layer.

conv 3x3 -> BN -> LIF -> max-pool 2, three times, linear -> BN -> LIF, linear, weighted mean over time.
"""

from __future__ import annotations

from asnn_deploy.errors import ConfigError
from asnn_deploy.ir.graph import INPUT
from asnn_deploy.models.builder import Builder
from asnn_deploy.models.network import SpikingNetwork


def lenet(build: Builder, classes: int) -> SpikingNetwork:
    """The network. Raises ConfigError where the image is too small for the poolings."""
    _, height, width = build.shapes[INPUT]
    poolings = len(build.config.widths)
    if min(height, width) < 2**poolings:
        raise ConfigError(
            f"model 'lenet' with {poolings} poolings needs images of at least {2**poolings}x{2**poolings} pixels, "
            f"found {height}x{width}; choose another preset or fewer model.widths"
        )
    x = INPUT
    for i, outputs in enumerate(build.config.widths, 1):
        x = build.conv(f"conv{i}", x, outputs, bias=True)
        x = build.max_pool(f"conv{i}_pool", x, 2, 2)
    x = build.linear("fc1", build.flatten(x), build.config.hidden)
    return build.answer(x, "fc2", classes)
