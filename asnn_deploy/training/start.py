"""Where a training starts: from the weights of another run, and with few bits only where integers can follow."""

from __future__ import annotations

from pathlib import Path

from asnn_deploy.errors import ConfigError, GraphError
from asnn_deploy.models.lowering import lower
from asnn_deploy.models.network import SpikingNetwork
from asnn_deploy.quantizing import quantize
from asnn_deploy.quantizing.scales import groups, has_channel_scales
from asnn_deploy.training.checkpoint import difference
from asnn_deploy.training.config import RunConfig
from asnn_deploy.training.trained import load_run


def start_from(network: SpikingNetwork, folder: Path, config: RunConfig) -> None:
    """Give a new network the weights of a trained run; weight clips are chosen anew.

    Raises BundleError where it is no run folder, ConfigError where that run is of another network.
    """
    run = load_run(folder)
    found = difference(run.config, config)
    if found:
        raise ConfigError(f"{folder} was trained with {found}; start from a run of the same network")
    weights = {key: value for key, value in run.network.state_dict().items() if not key.endswith(".clips")}
    network.load_state_dict(weights, strict=False)


def check_integer_training(network: SpikingNetwork, config: RunConfig) -> None:
    """Training with few bits needs an integer version with weight scales per channel. Raises ConfigError."""
    if config.quantization.bits is None:
        return
    key = f"quantization.bits = {config.quantization.bits}"
    if config.quantization.scales != "channel":
        raise ConfigError(
            f"{key}: training with few bits needs quantization.scales = channel, found {config.quantization.scales}; "
            "set that, or quantization.bits=null and quantise after training"
        )
    try:
        graph = lower(network.eval())
        quantize(graph)
    except GraphError as error:
        raise ConfigError(f"{key}: the network has no integer version: {error}") from None
    finally:
        network.train()
    added_up = {branch.layer for group in groups(graph) for branch in group}
    for layer in graph.synapses:
        if layer.name in added_up or not has_channel_scales(graph, layer.name):
            raise ConfigError(
                f"{key}: layer {layer.name!r} cannot have a weight scale for each channel, because what reads it is no "
                "neuron; set quantization.bits=null and quantise after training"
            )
