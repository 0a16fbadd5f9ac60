"""A trained network, read from a run folder and written into one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from asnn_deploy.errors import BundleError
from asnn_deploy.ir.quantization import Quantization
from asnn_deploy.models.network import SpikingNetwork
from asnn_deploy.training.config import RunConfig
from asnn_deploy.training.network import build_model
from asnn_deploy.training.run_folder import CONFIG, WEIGHTS, read_summary, settled_config
from asnn_deploy.util.files import describe, replacing
from asnn_deploy.util.progress import phase


@dataclass(frozen=True)
class TrainedRun:
    """A run folder, read."""

    folder: Path
    config: RunConfig
    network: SpikingNetwork
    summary: dict[str, Any]
    quantization: Quantization


def new_network(config: RunConfig) -> SpikingNetwork:
    """The network of a configuration whose input shape and classes are settled."""
    assert config.model.input_shape is not None
    assert config.model.classes is not None
    return build_model(config, config.model.input_shape, config.model.classes)


def save_weights(network: SpikingNetwork, folder: Path) -> None:
    """Write the weights, whole or not at all."""
    tensors = {key: value.contiguous().cpu() for key, value in network.state_dict().items()}
    with replacing(folder / WEIGHTS) as temporary:
        save_file(tensors, temporary, metadata={"format": "asnn-deploy run"})


@phase("load the trained network")
def load_run(folder: Path) -> TrainedRun:
    """Read a run folder. Raises BundleError naming the file that is missing, damaged or foreign."""
    config, weights_file = settled_config(folder), folder / WEIGHTS
    network = new_network(config)
    try:
        tensors = load_file(weights_file)
    except (SafetensorError, OSError, ValueError) as error:
        raise BundleError(f"{weights_file}: damaged ({describe(error)}); train again or restore the file") from None
    if config.quantization.bits is not None and not any(key.endswith(".clips") for key in tensors):
        # Configurations from before training with few bits hold the bits of the integer version made afterwards.
        config.quantization.bits = None
        network = new_network(config)
    _check_weights(weights_file, network, tensors)
    network.load_state_dict(tensors)
    network.eval()
    return TrainedRun(folder, config, network, *read_summary(folder))


def _check_weights(file: Path, network: SpikingNetwork, tensors: dict[str, torch.Tensor]) -> None:
    expected = network.state_dict()
    for key, tensor in expected.items():
        if key not in tensors:
            raise BundleError(f"{file}: lacks {key!r}; these are not the weights of the network in {CONFIG}")
        if tensors[key].shape != tensor.shape:
            raise BundleError(
                f"{file}: {key!r} has shape {tuple(tensors[key].shape)}, {CONFIG} needs {tuple(tensor.shape)}; "
                "these are the weights of another network"
            )
    for key in tensors:
        if key not in expected:
            raise BundleError(f"{file}: holds {key!r}, which the network in {CONFIG} does not have")
