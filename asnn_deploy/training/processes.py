"""Training in several processes: on several cards or machines, started here, by torchrun or by Slurm.

Every process draws the same batches and works on its own part of each (`augment.Images`), so that a number of
processes changes neither the batches nor their random changes; gradients are averaged by torch's DDP.
"""

from __future__ import annotations

import os
from typing import Any

import torch

from asnn_deploy.config import TrainingConfig
from asnn_deploy.errors import ConfigError


def rank() -> int:
    """This process's number among all of the training: 0 writes the run folder. Known before they have met."""
    for name in ("RANK", "SLURM_PROCID", "LOCAL_RANK"):
        if name in os.environ and (name != "SLURM_PROCID" or processes_from_outside() is not None):
            return int(os.environ[name])
    return 0


def processes_from_outside() -> int | None:
    """How many processes torchrun or Slurm's srun has started; None where neither did."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        return int(os.environ["WORLD_SIZE"])
    tasks = int(os.environ.get("SLURM_NTASKS", "1"))
    return tasks if tasks > 1 and os.environ.get("SLURM_JOB_NAME") not in ("bash", "interactive") else None


def check_devices(training: TrainingConfig) -> None:
    """Raise ConfigError where the configured devices, or their arithmetic, are not there."""
    cuda = training.device != "cpu" and torch.cuda.is_available()
    if training.precision == "bf16" and cuda and not torch.cuda.is_bf16_supported(including_emulation=False):
        raise ConfigError(
            f"--precision bf16: {torch.cuda.get_device_name()} does not compute in bfloat16; use --precision 32"
        )
    wanted, started = training.devices, processes_from_outside()
    if started is not None and started != wanted * training.nodes:
        raise ConfigError(
            f"--devices {wanted}, training.nodes = {training.nodes}: {started} processes were started from outside "
            "(torchrun or srun); their number must be devices times nodes"
        )
    if wanted > 1 and cuda and wanted > torch.cuda.device_count():
        raise ConfigError(
            f"--devices {wanted}: {torch.cuda.device_count()} CUDA devices are there; use no more, or more machines "
            "by training.nodes"
        )
    if wanted > 1 and training.device == "auto" and not cuda:
        raise ConfigError(
            f"--devices {wanted}: there is no CUDA device, and the CPU is one device; use --devices 1, or --device cpu "
            "for that many processes on it"
        )
    if wanted > training.batch_size // 2:
        raise ConfigError(
            f"--devices {wanted}: a batch of {training.batch_size} has less than 2 samples for each; raise --batch-size"
        )


def trainer_options(training: TrainingConfig, device: str) -> dict[str, Any]:
    """What Lightning's Trainer needs to know."""
    several = training.devices * training.nodes > 1
    return {
        "accelerator": "gpu" if device == "cuda" else "cpu",
        "devices": training.devices,
        "num_nodes": training.nodes,
        "strategy": "ddp" if several else "auto",
        "use_distributed_sampler": False,
    }
