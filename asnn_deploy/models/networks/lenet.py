"""The reference LeNet of ASNN (arXiv 2408.12407): three convolutions, one hidden linear layer.

conv 3x3 -> BN -> LIF -> max-pool 2, three times, linear -> BN -> LIF, linear, weighted mean over time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from asnn_deploy.errors import ConfigError
from asnn_deploy.ir.graph import INPUT
from asnn_deploy.models.config import ModelConfig, Widths
from asnn_deploy.models.networks.base import Network

if TYPE_CHECKING:
    from asnn_deploy.models.builder import Builder
    from asnn_deploy.models.network import SpikingNetwork


class LeNetConfig(ModelConfig):
    """Its keys."""

    widths: Widths = Field([32, 48, 64])
    """Channels of each convolution."""
    hidden: int = Field(256, ge=1, le=1_000_000)
    """Neurons of the hidden linear layer."""
    time_kernel: int = Field(1, ge=1, le=64)
    """How many steps each convolution but the first reads, the latest ones: 1, or more for convolutions over time."""


class LeNet(Network):
    """See the module's text."""

    name = "lenet"
    summary = "three convolutions and a hidden linear layer, as in ASNN"
    section = LeNetConfig

    def build(self, build: Builder, config: LeNetConfig, classes: int) -> SpikingNetwork:
        """See Network.build."""
        _, height, width = build.shapes[INPUT]
        poolings = len(config.widths)
        if min(height, width) < 2**poolings:
            raise ConfigError(
                f"model 'lenet' with {poolings} poolings needs images of at least {2**poolings}x{2**poolings} pixels, "
                f"found {height}x{width}; choose another preset or fewer model.widths"
            )
        x = INPUT
        for i, outputs in enumerate(config.widths, 1):
            x = build.conv(f"conv{i}", x, outputs, bias=True, depth=1 if x == INPUT else config.time_kernel)
            x = build.max_pool(f"conv{i}_pool", x, 2, 2)
        x = build.linear("fc1", build.flatten(x), config.hidden)
        return build.answer(x, "fc2", classes)


network = LeNet()
