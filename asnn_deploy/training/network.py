"""The network of a configuration, and the kernel that computes its neurons."""

from __future__ import annotations

import torch

from asnn_deploy.errors import ConfigError
from asnn_deploy.input.coding import input_code
from asnn_deploy.ir.images import PIXEL_LEVELS
from asnn_deploy.models.builder import Builder
from asnn_deploy.models.cells import MultiStep, NeuronParameters
from asnn_deploy.models.kernels import available
from asnn_deploy.models.layers import Synapses
from asnn_deploy.models.network import SpikingNetwork
from asnn_deploy.models.networks import NETWORKS
from asnn_deploy.training.config import RunConfig


def build_model(config: RunConfig, input_shape: tuple[int, ...], classes: int) -> SpikingNetwork:
    """The configured network for images `(C, H, W)`. Raises InputError for an unknown model, ConfigError for an unfit
    image."""
    levels = range(PIXEL_LEVELS) if config.levels is None else config.levels
    code = input_code(config.coding, config.time_steps, levels, config.image)
    network = NETWORKS.find(config.model.name).build(Builder(config.model, code, input_shape), config.model, classes)
    if config.quantization.bits is not None:
        network.quantize(config.quantization.bits)
    for module in network.modules():
        if isinstance(module, NeuronParameters) and config.training.reset_gradient is not None:
            module.attached = config.training.reset_gradient == "attached"
        if isinstance(module, Synapses):
            module.norm_by_step = config.training.batch_norm == "step"
    return network


def use_kernel(network: SpikingNetwork, kernel: str, device: torch.device) -> None:
    """Compute all neurons with that kernel from now on. Raises ConfigError if there is none for device or neuron."""
    if kernel == "fused" and not available(device):
        raise ConfigError(
            f"kernel = fused: there is no fused kernel for device {device.type!r} here (on CUDA it needs the package "
            "triton); set kernel=norse or kernel=auto"
        )
    for module in network.modules():
        if isinstance(module, MultiStep):
            if kernel == "fused" and not module.has_kernel:
                raise ConfigError(
                    f"kernel = fused: neuron model {module.model.name!r} has no fused kernel; set kernel=norse or "
                    "kernel=auto"
                )
            module.kernel = kernel
