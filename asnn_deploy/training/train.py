"""`train`: a configuration and data in, a run folder out."""

from __future__ import annotations

import json
import platform
import shutil
import sys
import time
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import RichProgressBar
from lightning.pytorch.plugins import DoublePrecision, MixedPrecision, Precision
from torch.utils.data import DataLoader

from asnn_deploy.coding import input_code
from asnn_deploy.config import RunConfig, TrainingConfig, write_config
from asnn_deploy.data import Data, prepared
from asnn_deploy.errors import ConfigError, DataError, GraphError
from asnn_deploy.files import unwritable, write_text
from asnn_deploy.graph import DeployGraph
from asnn_deploy.levels import check_levels, equal_mass
from asnn_deploy.lowering import lower
from asnn_deploy.models import SpikingNetwork, use_kernel
from asnn_deploy.models.network import exact_sums
from asnn_deploy.models.shared_norm import share_statistics
from asnn_deploy.quantize import DEFAULT_BITS, Quantization, calibrate, quantize
from asnn_deploy.step_table import Array
from asnn_deploy.training.checkpoint import AtomicCheckpoints, Checkpoints, last_checkpoint, training_lock
from asnn_deploy.training.loading import loaders
from asnn_deploy.training.memory import keep_freed_memory
from asnn_deploy.training.module import TrainingModule
from asnn_deploy.training.monitor import Monitor
from asnn_deploy.training.processes import check_devices, check_sharded, rank, trainer_options, weights
from asnn_deploy.training.quiet import quiet_lightning
from asnn_deploy.training.run_folder import (
    CHECKPOINT,
    CONFIG,
    SUMMARY,
    new_network,
    save_weights,
)
from asnn_deploy.training.start import check_integer_training, start_from
from asnn_deploy.training.teacher import load_teacher
from asnn_deploy.version import __version__

PACKAGES = ("torch", "norse", "lightning", "numpy")


def train(
    config: RunConfig,
    data: Data,
    folder: Path,
    resume: bool = False,
    progress: bool = True,
    start: Path | None = None,
) -> dict[str, Any]:
    """Train as configured and write the run folder; returns what summary.json holds.

    resume: continue from the folder's last checkpoint. start: a run folder to take the first weights from.
    Raises ConfigError or DataError where configuration and data do not fit together, BundleError where a checkpoint or
    the start is of another network, KeyboardInterrupt when interrupted: the folder can then be resumed from the last
    finished epoch.
    """
    config = settle(config, data)
    data = prepared(data, config.image)
    config = with_levels(config, data)
    check_loss(config)
    device, first = choose_device(config.training.device), rank() == 0
    check_devices(config.training)
    check_sharded(config)
    keep_freed_memory()
    if config.training.threads:
        torch.set_num_threads(config.training.threads)
    lightning.seed_everything(config.training.seed, verbose=False)
    network = new_network(config)
    use_kernel(network, config.kernel, torch.device(device))
    check_integer_training(network, config)
    if start is not None:
        start_from(network, start, config)
    checkpoint, done = (last_checkpoint(folder, config, network) if resume else None) or (None, (0, 0))
    teacher = None
    if config.loss.teacher is not None:
        teacher = load_teacher(Path(config.loss.teacher), data, config.model.classes or 0, config.image)
    if config.training.sync_batch_norm:
        share_statistics(network)
    module = TrainingModule(network, config, data.classes, teacher)
    monitor = Monitor(folder, config.monitor, data, first)
    drawn = loaders(config, data, rank(), done)
    if not first:
        _fit(module, drawn, monitor, checkpoint, False)
        return {}
    mine = [path for path in (folder / CONFIG, folder) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(folder, error) from None
    try:
        with training_lock(folder):
            write_text(folder / CONFIG, write_config(config))
            network, seconds = _fit(module, drawn, monitor, checkpoint, progress)
            save_weights(network, folder)
            images = module.images_seen * config.training.devices * config.training.nodes
            summary = _summarise(config, data, network, images / seconds)
            write_text(folder / SUMMARY, json.dumps(summary, indent=2) + "\n")
    except Exception:
        if not (folder / CHECKPOINT).exists():  # nothing to resume: leave the place as it was
            for path in mine:
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        raise
    return summary


def _fit(
    module: TrainingModule,
    drawn: tuple[DataLoader[Any], DataLoader[Any]],
    monitor: Monitor,
    checkpoint: Path | None,
    progress: bool,
) -> tuple[SpikingNetwork, float]:
    """Train, and return the network and the seconds it took. Raises KeyboardInterrupt when interrupted."""
    training = module.config.training
    device = choose_device(training.device)
    progress = progress and sys.stderr is not None and sys.stderr.isatty()
    with quiet_lightning():
        trainer = lightning.Trainer(
            **trainer_options(training, device),
            max_epochs=training.epochs,
            logger=False,
            plugins=[AtomicCheckpoints(), precision(training, device)],
            callbacks=[
                monitor,
                Checkpoints(monitor.folder, training.checkpoint_minutes, training.seed),
                *([RichProgressBar(leave=False)] if progress else []),
            ],
            enable_checkpointing=False,
            enable_progress_bar=progress,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
        start = time.perf_counter()
        try:
            trainer.fit(module, *drawn, None, checkpoint, weights_only=True)
        except SystemExit:  # Lightning's way of ending after Ctrl-C
            raise KeyboardInterrupt from None
        seconds = time.perf_counter() - start
    return _whole(module), seconds


def _whole(module: TrainingModule) -> SpikingNetwork:
    """The trained network, in the first process with all its weights."""
    state = weights(module.network)
    if state is None:
        return module.network.float()
    network = new_network(module.config)
    if state:  # the first process
        network.load_state_dict(state)
    return network


def settle(config: RunConfig, data: Data) -> RunConfig:
    """The configuration with input shape and classes taken from the data, or DataError where they disagree."""
    model = config.model
    shape, classes = data.shape, data.classes
    if model.input_shape is not None and tuple(model.input_shape) != shape:
        raise DataError(
            f"--data {data.spec}: images are {shape} (channels, height, width), "
            f"{config.preset or 'the configuration'} takes {tuple(model.input_shape)}; "
            "choose another preset, or --set model.input_shape=null"
        )
    if model.classes is not None and classes > model.classes:
        raise DataError(
            f"--data {data.spec}: has {classes} classes, the configuration {model.classes}; set model.classes"
        )
    if (model.classes or classes) < 2:
        raise DataError(f"--data {data.spec}: all labels are 0; a network answers at least 2 classes")
    settled = model.model_copy(update={"input_shape": shape, "classes": model.classes or classes})
    return config.model_copy(update={"model": settled, "data": data.spec})


def check_loss(config: RunConfig) -> None:
    """Raise ConfigError where step weights do not fit the loss, or the steps."""
    weights = config.loss.step_weights
    if weights is None:
        return
    if config.loss.name != "tet":
        raise ConfigError(f"loss.step_weights: belong to loss.name = tet, found {config.loss.name!r}; leave them out")
    if len(weights) != config.time_steps or not sum(weights):
        raise ConfigError(
            f"loss.step_weights = {weights}: needed are {config.time_steps} numbers, one for each time step, not all 0"
        )


def with_levels(config: RunConfig, data: Data) -> RunConfig:
    """The configuration with the thresholds' levels, found on the training images where that is asked for."""
    if config.thresholds == "even":
        if config.levels is not None:
            raise ConfigError(
                "levels: belong to thresholds = equal-mass, found thresholds = even; leave one of them out"
            )
        return config
    code = input_code(config.coding, config.time_steps)
    if code.analog.all():
        raise ConfigError(f"thresholds = equal-mass: coding {config.coding!r} has no thresholds; choose another coding")
    if config.levels is not None:
        check_levels(config.levels)
        return config
    return config.model_copy(update={"levels": equal_mass(data.images["train"])})


def precision(training: TrainingConfig, device: str) -> Precision:
    """What numbers training computes with: a plugin, since Lightning refuses 64 bits by name under FSDP."""
    if training.precision == "bf16":
        return MixedPrecision("bf16-mixed", device)
    return DoublePrecision() if training.precision == "64" else Precision()


def choose_device(wanted: str) -> str:
    """ "cpu" or "cuda". Raises ConfigError where CUDA is asked for and absent."""
    if wanted == "cuda" and not torch.cuda.is_available():
        raise ConfigError("--device cuda: no CUDA device is available here; use --device cpu or auto")
    return "cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu"


def evaluate(network: SpikingNetwork, images: Array, batch: int = 256) -> tuple[Array, int, dict[str, Array]]:
    """Predictions `[N]`, the number of spikes, and per layer the spikes packed to bits, of a network in evaluation."""
    predictions, packed = [], []
    network.eval()
    with exact_sums():
        for i in range(0, len(images), batch):
            logits, spikes = network.trace(torch.from_numpy(images[i : i + batch]))
            predictions.append(logits.argmax(1).numpy())
            packed.append({name: np.packbits(s.numpy().astype(bool)) for name, s in spikes.items()})
    joined = {name: np.concatenate([part[name] for part in packed]) for name in packed[0]}
    count = int(sum(np.unpackbits(bits).sum() for bits in joined.values()))
    return np.concatenate(predictions), count, joined


def _summarise(config: RunConfig, data: Data, network: SpikingNetwork, speed: float) -> dict[str, Any]:
    """Accuracies of the network as deployed (folded and snapped), and what snapping changed."""
    network.cpu().eval()
    x_test, y_test = data.part("test")
    x_train, y_train = data.part("train", 10_000)
    x_sample = x_test[:1000]
    graph = lower(network, config.dt)
    trained, trained_spikes, before = evaluate(network, x_sample)
    network.fold(graph)
    _, _, after = evaluate(network, x_sample)
    predictions, _, _ = evaluate(network, x_test)
    train_predictions, _, _ = evaluate(network, x_train)
    changed = sum(int(np.unpackbits(np.bitwise_xor(before[k], after[k])).sum()) for k in before)
    parameters = sum(p.numel() for p in network.parameters())
    chosen, refusal = _integer_choices(graph, x_train[: config.quantization.samples], config)
    accuracy_fixed = None
    if refusal is None:
        network.fold(quantize(replace(graph, quantization=Quantization.from_json(chosen))))
        accuracy_fixed = float(np.mean(evaluate(network, x_test)[0] == y_test))
    return {
        "test_accuracy": float(np.mean(predictions == y_test)),
        "train_accuracy": float(np.mean(train_predictions == y_train)),
        "train_accuracy_samples": len(y_train),
        "epochs": config.training.epochs,
        "time_steps": config.time_steps,
        "parameters": parameters,
        "samples_per_second": speed,
        "seed": config.training.seed,
        "preset": config.preset,
        "coding": config.coding,
        "neuron": config.model.neuron,
        "snapping": {
            "samples": len(x_sample),
            "spikes": trained_spikes,
            "spikes_changed": changed,
            "accuracy_as_trained": float(np.mean(trained == y_test[: len(x_sample)])),
            "accuracy_snapped": float(np.mean(predictions[: len(x_sample)] == y_test[: len(x_sample)])),
        },
        "quantization": chosen,
        "quantization_refused": refusal,
        "test_accuracy_fixed": accuracy_fixed,
        "versions": {
            "asnn-deploy": __version__,
            "python": platform.python_version(),
            **{package: version(package) for package in PACKAGES},
        },
    }


def _integer_choices(graph: DeployGraph, images: Array, config: RunConfig) -> tuple[dict[str, Any], str | None]:
    """The integer version's choices; none, and why, where the network has no integer version."""
    wanted = config.quantization
    if wanted.bits is not None:  # what was trained is on its integers already, and each channel uses the largest
        return Quantization(wanted.bits).to_json(), None
    try:
        return calibrate(graph, images, DEFAULT_BITS, wanted.scales).quantization.to_json(), None
    except GraphError as error:
        return {}, str(error)
