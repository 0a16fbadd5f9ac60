"""`train`: a configuration and data in, a run folder out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.plugins import DoublePrecision, MixedPrecision, Precision
from torch.utils.data import DataLoader

from asnn_deploy.errors import AsnnDeployError, ConfigError, DataError, TrainingError
from asnn_deploy.input.coding import input_code
from asnn_deploy.input.data import Data, prepared
from asnn_deploy.input.levels import check_levels, equal_mass
from asnn_deploy.models.config import MOST_CLASSES
from asnn_deploy.models.lowering import lower
from asnn_deploy.models.network import SpikingNetwork
from asnn_deploy.models.shared_norm import share_statistics
from asnn_deploy.training.checkpoint import AtomicCheckpoints, Checkpoints, last_checkpoint
from asnn_deploy.training.config import RunConfig, TrainingConfig, write_config
from asnn_deploy.training.loading import loaders, settling_images
from asnn_deploy.training.losses import LOSSES
from asnn_deploy.training.memory import keep_freed_memory
from asnn_deploy.training.module import TrainingModule
from asnn_deploy.training.monitor import Monitor
from asnn_deploy.training.network import use_kernel
from asnn_deploy.training.processes import check_devices, check_sharded, end_others, trainer_options, weights
from asnn_deploy.training.progress import Epochs, expected
from asnn_deploy.training.quiet import quiet_lightning
from asnn_deploy.training.ranks import rank
from asnn_deploy.training.run_folder import CONFIG, finish_run, writing_run
from asnn_deploy.training.speed import Speed
from asnn_deploy.training.start import check_integer_training, start_from
from asnn_deploy.training.summary import measuring, summarise, warn_if_apart
from asnn_deploy.training.teacher import load_teacher
from asnn_deploy.training.trained import new_network, save_weights
from asnn_deploy.training.validation import Best, with_validation
from asnn_deploy.util.files import write_text
from asnn_deploy.util.progress import phase, plan


def train(
    config: RunConfig,
    data: Data,
    folder: Path,
    resume: bool = False,
    start: Path | None = None,
) -> dict[str, Any]:
    """Train as configured and write the run folder; returns what summary.json holds, nothing in other processes.

    resume: continue from the folder's last checkpoint. start: a run folder to take the first weights from.
    Raises ConfigError or DataError where configuration and data do not fit together, BundleError where a checkpoint or
    the start is of another network, KeyboardInterrupt when interrupted: the folder can then be resumed from the last
    finished epoch.
    """
    data = with_validation(data, config.training)
    config = settle(config, data)
    data = prepared(data, config.image)
    config = with_levels(config, data)
    LOSSES.find(config.loss.name).check(config.loss, config.time_steps)
    check_devices(config.training)
    check_sharded(config)
    if rank():
        started = _start(config, data, folder, resume, start)
        try:
            _fit(*started)
        except AsnnDeployError as error:  # the first process says what it was
            raise SystemExit(error.exit_code) from None
        return {}
    phases = {**expected(config, data), **measuring(config, data)}
    with writing_run(folder, resume), plan(phases):
        started = _start(config, data, folder, resume, start)
        write_text(folder / CONFIG, write_config(config))
        network, epoch, speed = _fit(*started)
        save_weights(network, folder)
        graph = lower(network.eval(), config.dt)  # before it is measured, and folded
        summary = summarise(config, data, network, epoch, speed * config.training.devices * config.training.nodes)
        warn_if_apart(summary, config.training)
        return finish_run(folder, graph, summary)


@phase("prepare the training")
def _start(
    config: RunConfig, data: Data, folder: Path, resume: bool, start: Path | None
) -> tuple[TrainingModule, tuple[DataLoader[Any], list[DataLoader[Any]]], Monitor, Path | None]:
    """What is trained, on what, what is written down, and the checkpoint that it goes on from."""
    keep_freed_memory()
    if config.training.threads:
        torch.set_num_threads(config.training.threads)
    lightning.seed_everything(config.training.seed, verbose=False)
    network = new_network(config)
    use_kernel(network, config.kernel, torch.device(choose_device(config.training.device)))
    check_integer_training(network, config)
    if start is not None:
        start_from(network, start, config)
    checkpoint, done = (last_checkpoint(folder, config, network) if resume else None) or (None, (0, 0))
    teacher = None
    if config.loss.teacher is not None:
        teacher = load_teacher(Path(config.loss.teacher), data, config.model.classes or 0, config.image)
    if config.training.sync_batch_norm:
        share_statistics(network)
    module = TrainingModule(network, config, data.classes, settling_images(config, data), teacher)
    monitor = Monitor(folder, config.monitor, data, rank() == 0)
    return module, loaders(config, data, rank(), done), monitor, checkpoint


def _fit(
    module: TrainingModule,
    drawn: tuple[DataLoader[Any], list[DataLoader[Any]]],
    monitor: Monitor,
    checkpoint: Path | None,
) -> tuple[SpikingNetwork, int, float]:
    """Train, and return the network to deploy, its epoch, and the images that this process trained on in a second.

    Raises KeyboardInterrupt when interrupted.
    """
    training = module.config.training
    best = Best(monitor) if training.deploy == "best" else None
    device, speed = choose_device(training.device), Speed()
    with quiet_lightning(), phase("train") as under_way:
        trainer = lightning.Trainer(
            **trainer_options(training, device),
            max_epochs=training.epochs,
            logger=False,
            plugins=[AtomicCheckpoints(), precision(training, device)],
            callbacks=[
                speed,
                monitor,
                *([best] if best else []),
                Checkpoints(monitor.folder, training.checkpoint_minutes, training.seed),
                Epochs(monitor, under_way, 0 if module.settling is None else len(module.settling)),
            ],
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
        try:
            trainer.fit(module, *drawn, None, checkpoint, weights_only=True)
        except RuntimeError as error:
            # The backends have no error of their own for a process that is gone.
            if "connection" not in str(error).lower() or training.devices * training.nodes == 1:
                raise
            raise TrainingError(f"another process of this training has ended; resume the run ({error})") from None
        except SystemExit:  # Lightning's way of ending after Ctrl-C
            raise KeyboardInterrupt from None
        finally:
            if not trainer.state.finished:
                end_others(trainer)
    network = new_network(module.config)
    state = best.weights if best else weights(module.network)
    if state:  # of shared-out weights, the first process has them all
        network.load_state_dict(state)
    return network, best.epoch if best else int(monitor.rows[-1]["epoch"]), speed.images_per_second


def settle(config: RunConfig, data: Data) -> RunConfig:
    """The configuration with input shape and classes taken from the data, or DataError where they disagree."""
    if data.kind != "image":
        raise DataError(f"{data.spec}: holds frames of {data.kind}; networks are trained on images here")
    model = config.model
    shape, classes = data.shape, data.classes
    if model.input_shape is not None and tuple(model.input_shape) != shape:
        raise DataError(
            f"{data.spec}: images are {shape} (channels, height, width), model.input_shape is "
            f"{tuple(model.input_shape)}; give other data, or set model.input_shape=null to take theirs"
        )
    # Labels may happen to leave out the last classes, names do not.
    if model.classes is not None and (classes > model.classes or (data.class_names and classes != model.classes)):
        raise DataError(
            f"{data.spec}: has {classes} classes, model.classes is {model.classes}; give other data, or set "
            "model.classes=null to take theirs"
        )
    if len(data.labels["train"]) < 2:
        raise DataError(f"{data.spec}: has {len(data.labels['train'])} training images; training takes at least 2")
    if (model.classes or classes) > MOST_CLASSES:
        raise DataError(f"{data.spec}: labels go up to {classes - 1}; a network has at most {MOST_CLASSES} classes")
    if (model.classes or classes) < 2:
        raise DataError(f"{data.spec}: all labels are 0; a network answers at least 2 classes")
    settled = model.model_copy(update={"input_shape": shape, "classes": model.classes or classes})
    return config.model_copy(update={"model": settled, "data": data.spec})


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
        raise ConfigError("training.device = cuda: no CUDA device is available here; set training.device = cpu or auto")
    return "cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu"
