"""Checkpoints: written whole, two of them, and read without trust."""

from __future__ import annotations

import io
import json
import os
import time
from pathlib import Path
from typing import Any

import lightning
import torch
import torch.distributed
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.plugins.io import TorchCheckpointIO

from asnn_deploy.errors import BundleError, ConfigError
from asnn_deploy.models.network import SpikingNetwork
from asnn_deploy.training.config import RunConfig, make_config, read_config
from asnn_deploy.training.run_folder import CHECKPOINT, CONFIG, SUMMARY, WEIGHTS
from asnn_deploy.training.validation import Best
from asnn_deploy.util.files import describe, replacing

PREVIOUS = CHECKPOINT.with_name("previous.ckpt")
FORMAT = 3
"""Of checkpoints; also what random numbers are drawn from what: a checkpoint of another format cannot be continued."""


class AtomicCheckpoints(TorchCheckpointIO):
    """Lightning's checkpoints, each written beside the last one before it takes its place; that one is kept too."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """See Lightning. Raises InputError where the disk is full; the last checkpoint stays whole."""
        whole = io.BytesIO()  # torch's own writer hides why a disk refuses
        torch.save(checkpoint, whole)
        last = Path(path)
        with replacing(last) as temporary:
            temporary.write_bytes(whole.getbuffer())
            if last.exists():
                os.replace(last, last.with_name(PREVIOUS.name))


class Checkpoints(Callback):
    """A checkpoint after every epoch, and within one after some minutes."""

    def __init__(self, folder: Path, minutes: float, seed: int) -> None:
        self.path, self.seconds, self.seed = folder / CHECKPOINT, 60 * minutes, seed
        self.saved = time.monotonic()

    def on_save_checkpoint(self, trainer: Any, module: Any, checkpoint: dict[str, Any]) -> None:
        """What `last_checkpoint` looks at."""
        checkpoint["asnn-deploy"] = {
            "format": FORMAT,
            "seed": self.seed,
            "network": described(module.config),
            "drawn": _drawn(module.config),
        }

    def on_train_batch_end(self, trainer: lightning.Trainer, module: Any, outputs: Any, batch: Any, index: int) -> None:
        """Not behind an epoch's last batch: the epoch's end is near."""
        due = time.monotonic() - self.saved >= self.seconds and not trainer.is_last_batch
        if trainer.world_size > 1:  # all of them save, or none
            flag = torch.tensor(float(due), device=trainer.strategy.root_device)
            torch.distributed.broadcast(flag, 0)
            due = bool(flag)
        if due:
            self._save(trainer)

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: Any) -> None:
        """The validation has run by now."""
        self._save(trainer)

    def _save(self, trainer: lightning.Trainer) -> None:
        trainer.lightning_module.check_weights()  # type: ignore[operator]
        trainer.save_checkpoint(self.path)
        self.saved = time.monotonic()


def last_checkpoint(folder: Path, config: RunConfig, network: SpikingNetwork) -> tuple[Path, tuple[int, int]] | None:
    """The checkpoint to resume from, if it is whole and of the same network, and the epoch and the number of its
    batches at which it stands. None where none was written.

    Raises BundleError where there is no run or a damaged checkpoint, ConfigError where the run is of another network
    or has all its epochs.
    """
    if not (folder / CONFIG).is_file():
        raise BundleError(f"{folder}: nothing to resume (no {CONFIG}); begin a new training")
    old = make_config(read_config(folder / CONFIG), str(folder / CONFIG))
    found = difference(old, config)
    for key, before, now in (
        ("quantization.bits", old.quantization.bits, config.quantization.bits),
        ("training.seed", old.training.seed, config.training.seed),
        ("training.validation", old.training.validation, config.training.validation),
        ("training.deploy", old.training.deploy, config.training.deploy),
    ):
        if found is None and before != now:
            found = f"{key} = {before}, now {now}"
    if found:
        raise ConfigError(f"{folder} was trained with {found}; resume with the same, or train into another folder")
    path = folder / CHECKPOINT
    if not path.is_file() and (folder / PREVIOUS).is_file():  # killed between two renamings, or deleted as offered
        path = folder / PREVIOUS
    if not path.is_file():
        if (folder / WEIGHTS).is_file():
            raise BundleError(f"{path}: missing, though the run is finished; train into another folder")
        return None
    position = _position(path, config, network)
    if position[0] >= config.training.epochs and _summarised(folder) >= position[0]:
        raise ConfigError(f"{folder} has its {position[0]} epochs already; raise training.epochs")
    return path, position


def _position(path: Path, config: RunConfig, network: SpikingNetwork) -> tuple[int, int]:
    """Where a checkpoint stands. Raises BundleError or ConfigError where it is not one of this run."""
    try:
        return _checked(path, _read(path), config, network)
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise BundleError(f"{path}: damaged (it lacks {describe(error)}); train into another folder") from None


def _checked(path: Path, checkpoint: dict[str, Any], config: RunConfig, network: SpikingNetwork) -> tuple[int, int]:
    written = checkpoint.get("asnn-deploy", {})
    if written.get("format") != FORMAT:
        raise BundleError(
            f"{path}: written by another version (checkpoint format {written.get('format', 'unknown')}, this version "
            f"continues {FORMAT}); resume with that version, or train into another folder"
        )
    if written["seed"] != config.training.seed:
        raise ConfigError(
            f"{path}: its random numbers come from seed {written['seed']}, the run's from {config.training.seed}; "
            "resume with the same training.seed"
        )
    now = described(config)
    other = next((key for key in now if written["network"][key] != now[key]), None)
    if other is not None:
        raise BundleError(
            f"{path}: of another network: {other} is {written['network'][other]} there, {now[other]} in {CONFIG}; put "
            "the run's own checkpoint back, or train again"
        )
    for key in ("optimizer_states", "callbacks", "trained"):
        checkpoint[key]
    if config.training.deploy == "best":
        checkpoint["callbacks"][Best.__qualname__]
    expected = {f"network.{key}": tuple(value.shape) for key, value in network.state_dict().items()}
    shapes = {key: tuple(value.shape) for key, value in checkpoint["state_dict"].items()}
    for key in sorted(expected.keys() | shapes.keys()):
        if expected.get(key) != shapes.get(key):
            raise BundleError(
                f"{path}: of another network: {key.removeprefix('network.')!r} is {shapes.get(key, 'absent')} there, "
                f"{expected.get(key, 'absent')} in {CONFIG}; put the run's own checkpoint back, or train again"
            )
    progress = checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"]
    batches = 0 if checkpoint["epoch_ended"] else checkpoint["batches_done"]
    for key, now in _drawn(config).items():
        if batches and written["drawn"][key] != now:
            raise ConfigError(
                f"{path}: stands in the middle of an epoch with {key} = {written['drawn'][key]}, now {now}; resume "
                "with the same"
            )
    return progress, batches


def _drawn(config: RunConfig) -> dict[str, Any]:
    """What decides which images a batch of an epoch has."""
    return {"training.batch_size": config.training.batch_size, "training.limit": config.training.limit}


def _summarised(folder: Path) -> int:
    """For how many epochs there is a summary; -1 where there is none. It may be that of a shorter run, gone on with."""
    try:
        return int(json.loads((folder / SUMMARY).read_text(encoding="utf-8"))["epochs"])
    except (OSError, ValueError, KeyError, TypeError):
        return -1


def _read(path: Path) -> dict[str, Any]:
    """Raises BundleError where a checkpoint is damaged, with the one before it where that is whole."""
    try:
        return _load(path)
    except Exception as error:  # whatever a damaged archive makes torch raise
        remedy = "train into another folder"
        previous = path.with_name(PREVIOUS.name)
        if path.name != PREVIOUS.name and previous.is_file():
            try:
                epoch = _load(previous)["epoch"]
                remedy = (
                    f"the checkpoint before it, {previous.name} of epoch {epoch}, is whole: delete {path.name}, and "
                    "resuming continues from there"
                )
            except Exception:
                remedy = f"{previous.name} is damaged too; {remedy}"
        raise BundleError(f"{path}: damaged ({describe(error)[:100]}); {remedy}") from None


def _load(path: Path) -> dict[str, Any]:
    checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    checkpoint["epoch"] + 0, checkpoint["state_dict"].items()
    return checkpoint  # type: ignore[no-any-return]


def difference(old: RunConfig, new: RunConfig) -> str | None:
    """The first key in which two configurations describe different networks, with both values."""
    before, after = described(old), described(new)
    return next((f"{key} = {before[key]}, now {after[key]}" for key in before if before[key] != after[key]), None)


def described(config: RunConfig) -> dict[str, Any]:
    """What a network is, key by key."""
    shared = {key: getattr(config, key) for key in ("coding", "time_steps", "thresholds", "image")}
    return {f"model.{key}": value for key, value in config.model.model_dump(mode="json").items()} | shared
