"""Training in several processes: on several cards or machines, started here, by torchrun or by Slurm.

Every process draws the same batches and works on its own part of each (`augment.Images`), so that a number of
processes changes neither the batches nor their random changes; gradients are averaged by torch's DDP, or by FSDP2,
which also shares out the weights, layer of synapses by layer.
"""

from __future__ import annotations

from typing import Any

import lightning
import torch
from lightning.pytorch.strategies import ModelParallelStrategy
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method

from asnn_deploy.errors import ConfigError
from asnn_deploy.models.layers import Synapses
from asnn_deploy.models.network import SpikingNetwork
from asnn_deploy.training.config import RunConfig, TrainingConfig
from asnn_deploy.training.ranks import processes_from_outside


def check_devices(training: TrainingConfig) -> None:
    """Raise ConfigError where the configured devices, or their arithmetic, are not there."""
    cuda = training.device != "cpu" and torch.cuda.is_available()
    if training.precision == "bf16" and cuda and not torch.cuda.is_bf16_supported(including_emulation=False):
        raise ConfigError(
            f"training.precision = bf16: {torch.cuda.get_device_name()} does not compute in bfloat16; "
            "set training.precision = 32"
        )
    wanted, started = training.devices, processes_from_outside()
    if started is not None and started != wanted * training.nodes:
        raise ConfigError(
            f"training.devices = {wanted}, training.nodes = {training.nodes}: {started} processes were started from "
            "outside (torchrun or srun); their number must be devices times nodes"
        )
    if training.nodes > 1 and started is None:
        raise ConfigError(
            f"training.nodes = {training.nodes}: nothing has started processes on other machines; start by torchrun or "
            "srun, or set training.nodes=1"
        )
    if wanted > 1 and cuda and wanted > torch.cuda.device_count():
        raise ConfigError(
            f"training.devices = {wanted}: {torch.cuda.device_count()} CUDA devices are there; use no more, or more "
            "machines by training.nodes"
        )
    if wanted > 1 and training.device == "auto" and not cuda:
        raise ConfigError(
            f"training.devices = {wanted}: there is no CUDA device, and the CPU is one device; set "
            "training.devices = 1, or training.device = cpu for that many processes on it"
        )
    if wanted * training.nodes > training.batch_size // 2:
        raise ConfigError(
            f"training.devices = {wanted}, training.nodes = {training.nodes}: a batch of {training.batch_size} has "
            "less than 2 samples for each; raise training.batch_size"
        )


def check_sharded(config: RunConfig) -> None:
    """Raise ConfigError where sharded training is asked for what needs all weights in one place, or of one process."""
    if not config.training.sharded:
        return
    if config.training.devices * config.training.nodes == 1:
        raise ConfigError(
            "training.sharded = true: there is one device, and nothing to share out; raise training.devices"
        )
    for key, wanted in (
        ("quantization.bits", config.quantization.bits is not None),
        ("monitor.energy", config.monitor.energy),
    ):
        if wanted:
            raise ConfigError(f"training.sharded = true: {key} needs all weights in one place; leave one of them out")


def shard(network: SpikingNetwork, mesh: DeviceMesh) -> None:
    """Share out a network's weights over all processes; each layer of synapses is gathered when it is computed."""
    network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # FSDP knows no other
    for layer in network.layers.values():
        if isinstance(layer, Synapses):
            fully_shard(layer, mesh=mesh)
    fully_shard(network, mesh=mesh)
    for method in ("watched", "trace"):
        register_fsdp_forward_method(network, method)


def weights(network: SpikingNetwork) -> dict[str, Any]:
    """Return the whole state of a network, on the CPU.

    If its weights are shared out, all processes must call this, and only the first gets the state, the others nothing.
    """
    if not isinstance(network, FSDPModule):
        return {key: value.detach().cpu().clone() for key, value in network.state_dict().items()}
    return get_model_state_dict(network, options=StateDictOptions(full_state_dict=True, cpu_offload=True))


def end_others(trainer: lightning.Trainer) -> None:
    """End the processes that this one has started: they would wait for it without end."""
    others = getattr(trainer.strategy.launcher, "procs", [])
    for process in others:
        process.kill()
        process.wait()
    others.clear()  # Lightning's observer kills this process, too, where it finds dead ones


def trainer_options(training: TrainingConfig, device: str) -> dict[str, Any]:
    """What Lightning's Trainer needs to know."""
    processes = training.devices * training.nodes
    strategy: Any = "ddp" if processes > 1 else "auto"
    if training.sharded:
        strategy = ModelParallelStrategy(processes, tensor_parallel_size=1, save_distributed_checkpoint=False)
    return {
        "accelerator": "gpu" if device == "cuda" else "cpu",
        "devices": training.devices,
        "num_nodes": training.nodes,
        "strategy": strategy,
        "use_distributed_sampler": False,
    }
