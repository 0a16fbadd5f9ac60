"""Networks that other code has trained, as runs of ours."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asnn_deploy.errors import ConfigError
from asnn_deploy.input.data import Data
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.models.checkpoints import read_checkpoint
from asnn_deploy.models.lowering import lower
from asnn_deploy.models.network import SpikingNetwork
from asnn_deploy.training.config import RunConfig, make_config, merge, write_config
from asnn_deploy.training.run_folder import CONFIG, finish_run, writing_run
from asnn_deploy.training.summary import as_deployed, names_of, versions
from asnn_deploy.training.trained import new_network, save_weights
from asnn_deploy.util.files import digest, write_text


@dataclass(frozen=True)
class Imported:
    """A network that other code has trained.

    config: what a run of ours with this network would depend on; it names no data. origin: where it comes from.
    """

    config: RunConfig
    network: SpikingNetwork
    origin: dict[str, Any]

    @property
    def graph(self) -> DeployGraph:
        """The deployable network."""
        return lower(self.network, self.config.dt)


def read_imported(path: Path, kind: str, coding: str, adaptive: bool = True) -> Imported:
    """Return the network of a checkpoint; see `models/checkpoints` for the kinds, and the arguments of each.

    Raises InputError for an unknown kind or coding, BundleError naming file and key of what cannot be used, and
    ConfigError naming the file for a size or a number of steps that no network of ours has.
    """
    foreign = read_checkpoint(path, kind, coding, adaptive)
    config = make_config(merge({"data": None}, foreign.settings), str(path))
    try:
        network = new_network(config)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    network.load_state_dict({**network.state_dict(), **foreign.weights})
    origin = {"kind": kind, "file": path.name, "sha256": digest(path), "coding": coding, "adaptive": adaptive}
    return Imported(config, network.eval(), origin)


def write_imported(imported: Imported, folder: Path, data: Data | None = None) -> dict[str, Any]:
    """Write a run folder that holds the network, and return what its summary.json holds.

    data: remembered by the folder, and measured on; its images and labels fit the network. Without, accuracies and the
    integer version's clips are left out.
    Raises InputError if the folder holds a run or cannot be written.
    """
    graph = imported.graph
    config = imported.config.model_copy(update={"data": None if data is None else data.spec})
    summary = {
        "imported": imported.origin,
        "time_steps": config.time_steps,
        "coding": config.coding,
        "neuron": config.model.neuron,
        "parameters": graph.parameter_count,
        "versions": versions(),
    }
    with writing_run(folder, resume=False):
        write_text(folder / CONFIG, write_config(config))
        save_weights(imported.network, folder)
        if data is not None:
            summary |= {**as_deployed(config, data, imported.network), "class_names": names_of(data)}
        return finish_run(folder, graph, summary)
