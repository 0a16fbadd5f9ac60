"""Spikformer: a transformer of spikes (Zhou et al., "Spikformer: When Spiking Neural Network Meets Transformer",
ICLR 2023).

Spiking patch splitting: four conv 3x3 -> BN -> LIF stages, the last ones followed by max-pool 3, stride 2, and a
relative position embedding, conv 3x3 -> BN -> LIF, that is added. Then `depth` encoder blocks, each adding spiking
self-attention and a two-layer MLP to what arrives. Tokens stay where their patches are, `(C, H, W)`: a linear map of
tokens is a 1x1 convolution, token n stands at row n // W and column n % W, and head h holds the channels from
h C / heads on.

Attention has no softmax: `LIF(Q K^T V / 8)` with a threshold of 1/2 (equations 6 and 7; the authors' code). Neurons
here have a threshold of 1, which is the same on twice the input: `Q K^T V / 4`. Products of counts are exact, so they
may be multiplied in either order: `attention` takes the one of fewer operations.
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

ATTENTION_SCALE = 0.25
"""The authors' 0.125 for a threshold of 0.5, as it is for a threshold of 1."""


class SpikformerConfig(ModelConfig):
    """Its keys."""

    widths: Widths = Field([32, 48, 64])
    """Channels of each stage of the patch splitting."""
    hidden: int = Field(256, ge=1, le=1_000_000)
    """Channels of each block's hidden layer."""
    depth: int = Field(2, ge=1, le=1000)
    """Encoder blocks."""
    heads: int = Field(8, ge=1, le=65_536)
    """Heads of the self-attention; they share the width evenly."""
    patch: int = Field(4, ge=1, le=1024)
    """Side of the square of pixels that becomes one token; a power of two."""


class Spikformer(Network):
    """See the module's text."""

    name = "spikformer"
    summary = "a transformer of spikes, with self-attention"
    section = SpikformerConfig

    def build(self, build: Builder, config: SpikformerConfig, classes: int) -> SpikingNetwork:
        """See Network.build."""
        check(build, config)
        width, poolings = config.widths[-1], config.patch.bit_length() - 1
        x = INPUT
        for i, outputs in enumerate(config.widths, 1):
            x = build.conv(f"patch{i}", x, outputs)
            if i > len(config.widths) - poolings:
                x = build.max_pool(f"patch{i}_pool", x, 3, 2, padding=1)
        x = build.add("tokens", x, build.conv("position", x, width))
        for number in range(1, config.depth + 1):
            name = f"block{number}"
            x = build.add(f"{name}_attended", x, attention(build, f"{name}_attention", x, config.heads))
            hidden = tokenwise(build, f"{name}_mlp1", x, config.hidden)
            x = build.add(f"{name}_out", x, tokenwise(build, f"{name}_mlp2", hidden, width))
        return build.head(x, classes)


def attention(build: Builder, name: str, source: str, heads: int) -> str:
    """Spiking self-attention, `(C, H, W)` to `(C, H, W)`."""
    shape = build.shapes[source]
    each, tokens = shape[0] // heads, shape[1] * shape[2]
    q, k, v = (
        build.reshape(f"{name}_{x}_heads", tokenwise(build, f"{name}_{x}", source, shape[0]), (heads, each, tokens))
        for x in "qkv"
    )
    if each <= tokens:
        values = build.multiply(f"{name}_kv", "hdm,hem->hde", k, v, (heads, each, each))
        x = build.multiply(f"{name}_qkv", "hdn,hde->hen", q, values, (heads, each, tokens))
    else:
        scores = build.multiply(f"{name}_qk", "hdn,hdm->hnm", q, k, (heads, tokens, tokens))
        x = build.multiply(f"{name}_qkv", "hnm,hem->hen", scores, v, (heads, each, tokens))
    x = build.scale(f"{name}_scale", build.reshape(f"{name}_tokens", x, shape), ATTENTION_SCALE)
    return tokenwise(build, f"{name}_projection", build.neurons(f"{name}_heads", x), shape[0])


def tokenwise(build: Builder, name: str, source: str, outputs: int) -> str:
    """A linear map of each token -> BN -> LIF; with a bias, as in the authors' code."""
    return build.conv(name, source, outputs, kernel=1, bias=True)


def check(build: Builder, config: SpikformerConfig) -> None:
    """Raise ConfigError naming the key that does not fit, and what would."""
    _, height, width = build.shapes[INPUT]
    if config.widths[-1] % config.heads:
        raise ConfigError(
            f"layer 'block1_attention': model.heads = {config.heads} does not divide its width of {config.widths[-1]} "
            "(the last of model.widths); choose a divisor"
        )
    if config.patch & (config.patch - 1) or config.patch > 2 ** len(config.widths):
        raise ConfigError(
            f"layer 'patch1': model.patch = {config.patch} is not a power of two up to {2 ** len(config.widths)}, "
            f"which {len(config.widths)} model.widths can make"
        )
    if height % config.patch or width % config.patch:
        raise ConfigError(
            f"layer 'tokens': model.patch = {config.patch} does not divide the image of {height}x{width} pixels; "
            "choose a patch that does"
        )


network = Spikformer()
