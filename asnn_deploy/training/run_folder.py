"""Run folders: what `train` and `import` leave behind, and how a trained network is read from it.

config.yaml         everything the run depends on
model.safetensors   the weights
metrics.csv         one row an epoch, and curve.png drawn from it
rates.csv           firing rates: one row an epoch, layer and step
summary.json        what came out
checkpoints/        to resume from: the last one, and the one before
tensorboard/        event files, where wanted
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from asnn_deploy.errors import BundleError, InputError
from asnn_deploy.ir.quantization import Quantization
from asnn_deploy.models.network import SpikingNetwork
from asnn_deploy.training.config import RunConfig, make_config, read_config
from asnn_deploy.training.network import build_model
from asnn_deploy.util.files import describe, holding_folder, replacing

CONFIG, WEIGHTS, METRICS, SUMMARY, CURVE = (
    "config.yaml",
    "model.safetensors",
    "metrics.csv",
    "summary.json",
    "curve.png",
)
RATES, TENSORBOARD = "rates.csv", "tensorboard"
CHECKPOINT = Path("checkpoints") / "last.ckpt"
PARTS = (CONFIG, WEIGHTS, METRICS, SUMMARY, CURVE, RATES, TENSORBOARD, CHECKPOINT.parent.name)
"""All that a training writes into its folder."""


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


@contextmanager
def writing_run(folder: Path, resume: bool) -> Iterator[None]:
    """Hold a run folder while it is trained into. If the training fails before its first checkpoint, nothing can be
    resumed, and what it has written goes.

    Raises InputError if another process holds the folder, or if it holds a run and `resume` is false.
    """
    with holding_folder(folder):
        check_new(folder, resume)
        absent = [name for name in PARTS if not (folder / name).exists()]
        try:
            yield
        except (Exception, KeyboardInterrupt):
            if not (folder / CHECKPOINT).exists():
                remove(folder, absent)
            raise


def check_new(folder: Path, resume: bool) -> None:
    """Raise InputError if a folder holds a run that is not to be resumed."""
    if not resume and (folder / CONFIG).exists():
        raise InputError(f"{folder}: holds a run already; resume it, or choose another folder")


def remove(folder: Path, parts: Iterable[str] = PARTS) -> None:
    """Remove a run's parts from its folder; whatever else is there stays."""
    for path in (folder / name for name in parts):
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)


def load_run(folder: Path) -> TrainedRun:
    """Read a run folder. Raises BundleError naming the file that is missing, damaged or foreign."""
    config_file, weights_file, summary_file = folder / CONFIG, folder / WEIGHTS, folder / SUMMARY
    if not config_file.is_file():
        raise BundleError(
            f"{folder}: not a run folder (it has no {CONFIG}); give a folder made by 'asnn-deploy train' or "
            "'asnn-deploy import'"
        )
    config = make_config(read_config(config_file), str(config_file))
    if not weights_file.is_file():
        raise BundleError(f"{weights_file}: missing; the training has not finished, resume it")
    if config.model.input_shape is None or config.model.classes is None:
        raise BundleError(
            f"{config_file}: lacks model.input_shape or model.classes; not written by 'asnn-deploy train'"
        )
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
    try:
        summary = json.loads(summary_file.read_text()) if summary_file.is_file() else {}
        quantization = Quantization.from_json(summary.get("quantization") or {})
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BundleError(f"{summary_file}: damaged ({describe(error)}); train again or restore the file") from None
    return TrainedRun(folder, config, network, summary, quantization)


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
