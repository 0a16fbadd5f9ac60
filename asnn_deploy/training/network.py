"""The network of a configuration, and the kernel that computes its neurons."""

from __future__ import annotations

import torch

from asnn_deploy.errors import ConfigError
from asnn_deploy.input.coding import input_code
from asnn_deploy.ir.images import PIXEL_LEVELS
from asnn_deploy.models.builder import Builder
from asnn_deploy.models.cells import LIFParameters, MultiStep
from asnn_deploy.models.kernels import available
from asnn_deploy.models.layers import Synapses
from asnn_deploy.models.network import SpikingNetwork
from asnn_deploy.models.networks import MODELS
from asnn_deploy.training.config import RunConfig
from asnn_deploy.util.suggest import unknown_name


def build_model(config: RunConfig, input_shape: tuple[int, ...], classes: int) -> SpikingNetwork:
    """The configured network for images `(C, H, W)`. Raises ConfigError for an unknown model or an unfit image."""
    if config.model.name not in MODELS:
        raise ConfigError(unknown_name("model", config.model.name, MODELS))
    levels = range(PIXEL_LEVELS) if config.levels is None else config.levels
    code = input_code(config.coding, config.time_steps, levels, config.image)
    network = MODELS[config.model.name](Builder(config.model, code, input_shape), classes)
    if config.quantization.bits is not None:
        network.quantize(config.quantization.bits)
    for module in network.modules():
        if isinstance(module, LIFParameters) and config.training.reset_gradient is not None:
            module.attached = config.training.reset_gradient == "attached"
        if isinstance(module, Synapses):
            module.norm_by_step = config.training.batch_norm == "step"
    return network


def use_kernel(network: SpikingNetwork, kernel: str, device: torch.device) -> None:
    """Compute all neurons with that kernel from now on. Raises ConfigError where there is none for the device."""
    if kernel == "fused" and not available(device):
        raise ConfigError(
            f"kernel = fused: there is no fused kernel for device {device.type!r} here (on CUDA it needs the package "
            "triton); set kernel=norse or kernel=auto"
        )
    for module in network.modules():
        if isinstance(module, MultiStep):
            module.kernel = kernel
