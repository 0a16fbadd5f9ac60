"""Configuration: what a run is. Checked by pydantic; written to and read from YAML. Without torch.

The sections `model` and `loss` are those of the network and the loss that they name (see `sections.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BeforeValidator, Field, SerializeAsAny, ValidationError

from asnn_deploy.errors import ConfigError, InputError
from asnn_deploy.input.choices import KEY, DataText
from asnn_deploy.input.data import SOURCES
from asnn_deploy.models.config import ModelConfig, Section
from asnn_deploy.training.losses import LossConfig
from asnn_deploy.training.sections import CHOICES
from asnn_deploy.util.schema import explain
from asnn_deploy.util.suggest import unknown_name


class TrainingConfig(Section):
    """Optimisation. Defaults: the reference code of ASNN (Adam 5e-3, cosine schedule)."""

    epochs: int = Field(200, ge=1, le=1_000_000)
    batch_size: int = Field(128, ge=2, le=1_000_000)
    """At least 2: batch norm has no statistics of one sample."""
    learning_rate: float = Field(5e-3, gt=0, le=1e6, allow_inf_nan=False)
    weight_decay: float = Field(0.0, ge=0, le=1e6, allow_inf_nan=False)
    limit: int | None = Field(None, ge=2)
    """Train on this many samples, the same share of each class."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    devices: int = Field(1, ge=1, le=4096)
    """Cards on each machine, one process each; they share every batch. With device = cpu: processes."""
    nodes: int = Field(1, ge=1, le=65_536)
    """Machines."""
    sharded: bool = False
    """Weights, gradients and the optimiser's state are shared out over the devices (FSDP), not held by each."""
    sync_batch_norm: bool = False
    """Batch norm takes its statistics over the whole batch, not over each device's part of it."""
    precision: Annotated[Literal["32", "bf16", "64"], BeforeValidator(str)] = "32"
    segment: int | None = Field(None, ge=1)
    """Keep the signals of this many steps in memory, and compute the others again in the backward pass; null: all."""
    checkpoint_minutes: float = Field(10.0, ge=0, allow_inf_nan=False)
    """Longest time between two checkpoints, besides the one after every epoch."""
    batch_norm: Literal["step", "run"] = "run"
    """Over what batch norm takes its statistics in training: all steps in one call, as deployed, or each step by itself
    (the reference code)."""
    statistics: Literal["deployed", "running"] = "deployed"
    """Where batch norm's deployed statistics come from: measured on training images after every epoch, or the running
    averages of the batches (the reference code)."""
    validation: float = Field(0.0, ge=0, lt=1)
    """Share of each class's training images that is taken out for validation, drawn by the seed; 0 takes none."""
    deploy: Literal["last", "best"] = "last"
    """Which epoch's weights are deployed: the last one's, or those that answer the validation split best."""
    reset_gradient: Literal["attached", "detached"] | None = None
    """Whether the reset passes gradients to the spikes; null: where it subtracts, but not where it is to zero."""
    seed: int = Field(0, ge=0, lt=2**32)
    workers: int = Field(0, ge=0, le=256)
    threads: int | None = Field(None, ge=1, le=1024)
    """Threads on the CPU; null leaves it to torch. Small networks train fastest, and unshaken by neighbours, on one."""


class AugmentationConfig(Section):
    """Changes to training images. Defaults: none; the reference code's values are in `cifar-lenet`."""

    flip: bool = False
    rotation: float = Field(0.0, ge=0, le=180)
    """Largest angle in degrees."""
    crop_padding: int = Field(0, ge=0, le=1024)
    mixup: float = Field(0.0, ge=0, allow_inf_nan=False)
    """Alpha of the Beta distribution that mixes pairs of images; 0 is off."""
    mixup_until: float = Field(1.0, ge=0, le=1)
    """Share of the epochs after which mixup is switched off."""


class MonitorConfig(Section):
    """What is written down after every epoch, besides loss and accuracy."""

    energy: bool = False
    """Synaptic operations and energy of the network as it stands, in metrics.csv."""
    samples: int = Field(64, ge=1)
    """Test samples of that estimate."""
    profile: str = "horowitz-45nm"
    """Its energy profile."""
    tensorboard: bool = False
    """TensorBoard's event files, in RUN/tensorboard."""


class QuantizationConfig(Section):
    """The integer version."""

    bits: int | None = Field(None, ge=2, le=8)
    """Train with weights of this many bits; null trains in float, and the integer version gets 8 bits afterwards."""
    scales: Literal["channel", "layer"] = "channel"
    """One weight scale for each output channel where what reads a layer allows it, or one for each layer."""
    samples: int = Field(256, ge=1)
    """Training samples on which weight clips are chosen."""


class RunConfig(Section):
    """Everything a run depends on."""

    preset: str | None = None
    data: str | None = "digits"
    """NAME[,KEY=VALUE...][:PATH]; null: none is remembered, as in a network that was imported without."""
    coding: str = "hybrid-latency"
    time_steps: int = Field(7, ge=1, le=1024)
    thresholds: Literal["even", "equal-mass"] = "even"
    """Of the coding: evenly spaced, or at the quantiles of the training pixels."""
    levels: list[int] | None = None
    """How bright the coding takes each of the 256 pixel values to be; found when a training with equal-mass starts."""
    image: Literal["raw", "layernorm-sigmoid"] = "raw"
    """What the host does to an image before it is coded."""
    dt: float = Field(1e-3, gt=0, allow_inf_nan=False)
    """Length of a time step on the chip, in seconds."""
    kernel: Literal["auto", "norse", "fused"] = "auto"
    """How training computes neurons: step by step in Norse, or all steps in one pass, with the same spikes."""
    model: SerializeAsAny[ModelConfig] = Field(default_factory=lambda: CHOICES["model"].kind({})())
    training: TrainingConfig = Field(default_factory=lambda: TrainingConfig())
    loss: SerializeAsAny[LossConfig] = Field(default_factory=lambda: CHOICES["loss"].kind({})())
    monitor: MonitorConfig = Field(default_factory=lambda: MonitorConfig())
    augmentation: AugmentationConfig = Field(default_factory=lambda: AugmentationConfig())
    quantization: QuantizationConfig = Field(default_factory=lambda: QuantizationConfig())


def make_config(values: Mapping[str, Any], where: str) -> RunConfig:
    """Check plain values. Raises ConfigError naming `where`, the key, the value found and what is allowed.

    Keys of a network or a loss that is not chosen are left out, so that the sections may hold those of several.
    """
    plain, within = dict(values), []
    try:
        for section, choice in CHOICES.items():
            given, within = plain.get(section, {}), [section]
            if isinstance(given, Mapping):
                plain[section] = choice.kind(given).model_validate(choice.own(given))
        within = []
        return RunConfig.model_validate(plain)
    except ValidationError as error:
        problem = explain(error, lambda path: unknown_name("key", ".".join(path), all_keys()), within)
        raise ConfigError(f"{where}: {problem}") from None
    except InputError as error:  # a name that is unknown or claimed twice, or another part's key
        raise ConfigError(f"{where}: {error}") from None


def all_keys() -> list[str]:
    """Return every key that a configuration may hold, dotted; those of all networks and losses."""
    chosen = {name: choice.kinds().values() for name, choice in CHOICES.items()}
    kinds = {name: chosen.get(name, [field.annotation]) for name, field in RunConfig.model_fields.items()}
    return list(dict.fromkeys(key for name, each in kinds.items() for kind in each for key in _keys(name, kind)))


def _keys(name: str, kind: Any) -> list[str]:
    if not (isinstance(kind, type) and issubclass(kind, Section)):
        return [name]
    return [key for inner, field in kind.model_fields.items() for key in _keys(f"{name}.{inner}", field.annotation)]


def merge(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Plain values with dotted changes applied: `{"training.epochs": 3}`; `data.KEY` becomes part of the data's text.

    Raises ConfigError for an unknown key.
    """
    result: dict[str, Any] = yaml.safe_load(yaml.safe_dump(dict(values)))
    known, chosen = all_keys(), dict[str, Any]()
    for key, value in changes.items():
        if key.startswith(KEY):
            chosen[key.removeprefix(KEY)] = value
            continue
        if key not in known:
            raise ConfigError(unknown_name("key", key, [*known, *_choices_of(result.get("data"))]))
        *sections, last = key.split(".")
        place = result
        for section in sections:
            place = place.setdefault(section, {})
            if not isinstance(place, dict):
                raise ConfigError(f"{key}: {section!r} is not a section")
        place[last] = value
    if chosen:
        if not isinstance(result.get("data"), str):
            raise ConfigError(f"{KEY}{next(iter(chosen))}: belongs to a data set, and data names none")
        result["data"] = str(DataText.of(result["data"]).choosing(chosen))
    return result


def _choices_of(data: Any) -> list[str]:
    """The keys of what a data set lets the user choose."""
    source = SOURCES.get(DataText.of(data).name) if isinstance(data, str) else None
    return [KEY + key for key in source.choices.model_fields] if source is not None and source.choices else []


def unread(config: RunConfig, keys: Iterable[str]) -> list[str]:
    """Return those of some dotted keys that say nothing here: they are of a network or a loss that is not chosen."""
    chosen = {section: type(getattr(config, section)).model_fields for section in CHOICES}
    parts = {key: key.partition(".") for key in keys}
    return [key for key, (section, _, name) in parts.items() if section in chosen and name not in chosen[section]]


def read_config(path: Path) -> dict[str, Any]:
    """The plain values of a YAML file. Raises ConfigError naming the file."""
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such configuration file") from None
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: not readable as YAML ({' '.join(str(error).split())})") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected a mapping of keys to values, found {type(values).__name__}")
    return values


def write_config(config: RunConfig) -> str:
    """The configuration as YAML text."""
    text: str = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)
    return text
