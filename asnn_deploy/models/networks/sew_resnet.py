"""SEW-ResNet: residual blocks that add spikes (Fang et al., "Deep Residual Learning in Spiking Neural Networks",
NeurIPS 2021).

A block is conv 3x3 -> BN -> LIF, twice, and the spikes of both its end and its beginning are added (the paper's ADD),
so that what leaves a block is a count. Where a stage halves the image, its first block's shortcut is a 1x1
convolution -> BN -> LIF. With widths 64, 128, 256, 512 and depth 2 it is ResNet-18 (He et al. 2016, table 1) with
neurons in place of rectifiers; convolutions have no bias.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from asnn_deploy.ir.graph import INPUT
from asnn_deploy.models.config import ModelConfig, Widths
from asnn_deploy.models.networks.base import Network

if TYPE_CHECKING:
    from asnn_deploy.models.builder import Builder
    from asnn_deploy.models.network import SpikingNetwork


class SewResNetConfig(ModelConfig):
    """Its keys."""

    widths: Widths = Field([32, 48, 64])
    """Channels of each stage."""
    depth: int = Field(2, ge=1, le=1000)
    """Residual blocks in each stage."""
    stem: Literal["cifar", "imagenet"] = "cifar"
    """First convolution: 3x3, or 7x7 with stride 2 and a pooling behind it."""


class SewResNet(Network):
    """See the module's text."""

    name = "sew-resnet"
    summary = "residual blocks that add spikes"
    section = SewResNetConfig

    def build(self, build: Builder, config: SewResNetConfig, classes: int) -> SpikingNetwork:
        """See Network.build."""
        if config.stem == "imagenet":  # He et al. 2016, table 1
            x = build.conv("stem", INPUT, config.widths[0], kernel=7, stride=2)
            x = build.max_pool("stem_pool", x, 3, 2, padding=1)
        else:  # He et al. 2016, section 4.2
            x = build.conv("stem", INPUT, config.widths[0])
        for stage, outputs in enumerate(config.widths, 1):
            for number in range(1, config.depth + 1):
                stride = 2 if stage > 1 and number == 1 else 1
                x = residual_block(build, f"stage{stage}_block{number}", x, outputs, stride)
        return build.head(x, classes)


def residual_block(build: Builder, name: str, source: str, outputs: int, stride: int) -> str:
    """Two convolutions and a shortcut around them."""
    x = build.conv(f"{name}_conv1", source, outputs, stride=stride)
    x = build.conv(f"{name}_conv2", x, outputs)
    if stride > 1 or build.shapes[source][0] != outputs:
        source = build.conv(f"{name}_shortcut", source, outputs, kernel=1, stride=stride)
    return build.add(f"{name}_add", x, source)


network = SewResNet()
