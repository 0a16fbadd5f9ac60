"""The networks' section of a configuration."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

MOST_CLASSES = 100_000


class Section(BaseModel):
    """Base of all sections: unknown keys are errors, values are checked on every assignment."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)


class ModelConfig(Section):
    """The network's shape."""

    name: str = "lenet"
    widths: list[Annotated[int, Field(ge=1, le=65_536)]] = Field([32, 48, 64], min_length=1)
    """Channels of each convolution (lenet), stage (sew-resnet), or stage of the patch splitting (spikformer)."""
    hidden: int = Field(256, ge=1, le=1_000_000)
    """Neurons of the hidden linear layer (lenet), or of each block's hidden layer (spikformer)."""
    depth: int = Field(2, ge=1, le=1000)
    """Residual blocks in each stage (sew-resnet), or encoder blocks (spikformer)."""
    stem: Literal["cifar", "imagenet"] = "cifar"
    """First convolution: 3x3, or 7x7 with stride 2 and a pooling behind it (sew-resnet)."""
    heads: int = Field(8, ge=1, le=65_536)
    """Heads of the self-attention; they share the width evenly (spikformer)."""
    patch: int = Field(4, ge=1, le=1024)
    """Side of the square of pixels that becomes one token; a power of two (spikformer)."""
    neuron: Literal["asnn", "lif"] = "asnn"
    learned: list[Literal["leak", "gain", "threshold", "readout"]] = ["leak", "gain", "readout"]
    """What an adaptive network learns for each time step; what is not named stays as in plain LIF."""
    reset: Literal["subtract", "zero"] = "subtract"
    """After a spike: the threshold is subtracted, or the membrane potential is zero (as on Loihi's own neurons)."""
    granularity: Literal["layer", "channel", "neuron"] = "layer"
    input_shape: tuple[int, int, int] | None = None
    """What images the preset is for, (C, H, W); null takes whatever the data has."""
    classes: int | None = Field(None, ge=2, le=MOST_CLASSES)
