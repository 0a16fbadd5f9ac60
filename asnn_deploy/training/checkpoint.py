"""Checkpoints: written whole, read without trust, and one training a folder at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from asnn_deploy.config import RunConfig, make_config, read_config
from asnn_deploy.errors import BundleError, ConfigError, InputError
from asnn_deploy.files import replacing
from asnn_deploy.serialize import describe
from asnn_deploy.training.run_folder import CHECKPOINT, CONFIG, SUMMARY, WEIGHTS

LOCK = ".lock"


class AtomicCheckpoints(TorchCheckpointIO):
    """Lightning's checkpoints, each written beside the last one before it takes its place."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """See Lightning. Raises InputError where the disk is full; the last checkpoint stays whole."""
        with replacing(Path(path)) as temporary:
            super().save_checkpoint(checkpoint, temporary, storage_options)


def last_checkpoint(folder: Path, config: RunConfig) -> Path | None:
    """The checkpoint to resume from, if it is whole and of the same network. None where no epoch was finished.

    Raises BundleError where there is no run or a damaged checkpoint, ConfigError where the run is of another network
    or has all its epochs.
    """
    if not (folder / CONFIG).is_file():
        raise BundleError(f"{folder}: nothing to resume (no {CONFIG}); train without --resume")
    old = make_config(read_config(folder / CONFIG), str(folder / CONFIG))
    found = difference(old, config)
    if found is None and old.quantization.bits != config.quantization.bits:
        found = f"quantization.bits = {old.quantization.bits}, now {config.quantization.bits}"
    if found:
        raise ConfigError(
            f"--resume: {folder} was trained with {found}; resume with the same network or train into another folder"
        )
    path = folder / CHECKPOINT
    if not path.is_file():
        if (folder / WEIGHTS).is_file():
            raise BundleError(f"{path}: missing, though the run is finished; train into another folder")
        return None
    try:
        done = int(torch.load(path, map_location="cpu", weights_only=True)["epoch"]) + 1
    except Exception as error:  # whatever a damaged archive makes torch raise
        raise BundleError(f"{path}: damaged ({describe(error)[:100]}); train into another folder") from None
    if done >= config.training.epochs and (folder / SUMMARY).is_file():
        raise ConfigError(f"--resume: {folder} has its {done} epochs already; ask for more with --epochs")
    return path


def difference(old: RunConfig, new: RunConfig) -> str | None:
    """The first key in which two configurations describe different networks, with both values."""
    before, after = (
        {f"model.{key}": value for key, value in config.model.model_dump().items()}
        | {key: getattr(config, key) for key in ("coding", "time_steps", "thresholds", "image")}
        for config in (old, new)
    )
    return next((f"{key} = {before[key]}, now {after[key]}" for key in before if before[key] != after[key]), None)


@contextmanager
def training_lock(folder: Path) -> Iterator[None]:
    """Only one training writes to a run folder. Raises InputError where another one does."""
    try:
        import fcntl
    except ImportError:  # no locks on this system
        yield
        return
    with open(folder / LOCK, "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(
                f"{folder}: another training is writing to it; wait for it or choose another --out"
            ) from None
        try:
            yield
        finally:
            (folder / LOCK).unlink(missing_ok=True)
