"""The reference LeNet of ASNN (arXiv 2408.12407): three convolutions, one hidden linear layer.

conv 3x3 -> BN -> LIF -> max-pool 2, three times, linear -> BN -> LIF, linear, weighted mean over time. A coding with
an analog and a spiking part gets two stems: the first convolution and its batch norm exist once for each.
"""

from __future__ import annotations

from functools import partial

from torch import nn

from asnn_deploy.config import ModelConfig
from asnn_deploy.errors import ConfigError
from asnn_deploy.input_code import InputCode
from asnn_deploy.models.cells import AdaptiveLIFCell, LIFParameters, MultiStep
from asnn_deploy.models.layers import PerStep, Synapses, WeightedMean, pixel_scales
from asnn_deploy.models.network import SpikingNetwork


def lenet(config: ModelConfig, code: InputCode, input_shape: tuple[int, ...], classes: int) -> SpikingNetwork:
    """Build the network for images `(C, H, W)`. Raises ConfigError where the image is too small for the poolings."""
    channels, height, width = input_shape
    poolings = len(config.widths)
    if min(height, width) < 2**poolings:
        raise ConfigError(
            f"model 'lenet' with {poolings} poolings needs images of at least {2**poolings}x{2**poolings} pixels, "
            f"found {height}x{width}; choose another preset or fewer model.widths"
        )
    adaptive, steps = config.neuron == "asnn", code.time_steps
    stem_index = [int(analog != code.analog[0]) for analog in code.analog]
    layers: dict[str, nn.Module] = {}

    def neuron(shape: tuple[int, ...]) -> MultiStep:
        per_channel = (shape[0], *(1,) * (len(shape) - 1))
        granularity = {"layer": (), "channel": per_channel, "neuron": shape}[config.granularity]
        return MultiStep(AdaptiveLIFCell(LIFParameters(steps, granularity, adaptive, config.reset)))

    for i, outputs in enumerate(config.widths):
        name, index = f"conv{i + 1}", stem_index if i == 0 else [0] * steps
        layers[f"{name}_synapses"] = Synapses(
            partial(nn.Conv2d, channels, outputs, 3, padding=1),
            outputs,
            index,
            pixel_scales(code) if i == 0 else None,
        )
        layers[name] = neuron((outputs, height, width))
        layers[f"{name}_pool"] = PerStep(nn.MaxPool2d(2))
        channels, height, width = outputs, height // 2, width // 2
    features = channels * height * width
    layers["flatten"] = PerStep(nn.Flatten())
    layers["fc1_synapses"] = Synapses(partial(nn.Linear, features, config.hidden), config.hidden, [0] * steps)
    layers["fc1"] = neuron((config.hidden,))
    layers["fc2_synapses"] = Synapses(partial(nn.Linear, config.hidden, classes), None, [0] * steps)
    layers["readout"] = WeightedMean(steps, learned=adaptive)
    return SpikingNetwork(code, input_shape, layers)
