"""`train`: a configuration and data in, a run folder out."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from asnn_deploy.api.loading import load
from asnn_deploy.api.network import check_type, path_of, settings_of
from asnn_deploy.errors import BundleError, ConfigError
from asnn_deploy.input.coding import input_code
from asnn_deploy.input.data import Data, load_data
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.training.config import RunConfig, make_config, merge, read_config
from asnn_deploy.training.presets import PRESETS, preset
from asnn_deploy.training.ranks import rank
from asnn_deploy.training.run_folder import CONFIG, check_new
from asnn_deploy.util.files import claim_folder

Config: TypeAlias = "str | os.PathLike[str] | Mapping[str, Any] | RunConfig"
"""A preset's name, the path of a CONFIG.yaml, its values, or a checked configuration."""


@dataclass(frozen=True, eq=False)
class Trained:
    """A run folder and what its summary.json says; the summary is empty in all but the first of several processes."""

    path: Path
    summary: Mapping[str, Any] = field(repr=False)

    @property
    def net(self) -> DeployGraph:
        """The network as deployed."""
        return load(self.path)

    @property
    def test_accuracy(self) -> float:
        """As deployed, in float."""
        return float(self.summary["test_accuracy"])

    def __repr__(self) -> str:
        if not self.summary:
            return f"<Trained: {str(self.path)!r}>"
        count = self.summary["epochs"]
        epochs = "1 epoch" if count == 1 else f"{count} epochs"
        return f"<Trained: {str(self.path)!r}, test accuracy {self.test_accuracy:.2%}, {epochs}>"


def train(
    config: Config,
    out: str | os.PathLike[str],
    *,
    data: str | Data | None = None,
    settings: Mapping[str, Any] | None = None,
    start: str | os.PathLike[str] | None = None,
    resume: bool = False,
) -> Trained:
    """Train a network and write a run folder.

    config: a preset's name, the path of a CONFIG.yaml, its values, or a checked configuration. out: a new or empty
    folder, or the run to resume. data: "NAME[:PATH]" or loaded data; default: the configuration's. settings: keys of
    the configuration with dots, such as {"training.epochs": 3, "model.hidden": 64}. start: a run folder to take the
    first weights from. resume: continue from the last checkpoint in `out`, bit for bit.
    Returns the run folder and what its summary.json says; `net` is the network as deployed.
    Raises ConfigError naming the key, DataError, InputError for a folder that holds something else, TrainingError if
    the training diverges.
    """
    folder = path_of(out, "out")
    origin = None if start is None else path_of(start, "start")
    if data is not None:
        check_type(data, (str, Data), "data", "NAME[:PATH] or loaded data")
    if start is not None and resume:
        raise ConfigError("a start begins a new run, resume continues one; give one of them")
    changes = settings_of(settings) | ({"data": data} if isinstance(data, str) else {})
    settled = settled_config(config, changes)
    check_folder(folder, resume)
    loaded = data if isinstance(data, Data) else load_data(settled.data)  # what is not there is said before torch loads
    from asnn_deploy.training.train import train as trained

    return Trained(folder, trained(settled, loaded, folder, resume, start=origin))


def settled_config(config: Config, changes: Mapping[str, Any]) -> RunConfig:
    """Return a configuration with changes. Raises ConfigError."""
    if isinstance(config, RunConfig):
        if changes:
            raise ConfigError("a checked configuration takes no settings; give its values, a preset or a file")
        return config
    check_type(config, (str, os.PathLike, Mapping), "config", "a preset's name, a CONFIG.yaml's path, or its values")
    if isinstance(config, Mapping):
        values, where = dict(config), "config"
    elif isinstance(config, str) and (config in PRESETS or not config.endswith((".yaml", ".yml"))):
        values, where = preset(config), f"preset {config}"
    else:
        values, where = read_config(Path(config)), os.fspath(config)
    make_config(values, where)
    settled = make_config(merge(values, changes), where if not changes else f"{where} with settings")
    input_code(settled.coding, settled.time_steps)
    return settled


def check_folder(out: Path, resume: bool) -> None:
    """Raise InputError unless a run may be written: the folder is new or empty, or holds the run to resume."""
    if resume and not (out / CONFIG).is_file():
        raise BundleError(f"{out}: nothing to resume (no {CONFIG}); train without resuming")
    if rank() == 0:
        claim_folder(out, CONFIG)
        check_new(out, resume)
