"""SOURCE: a run folder, a bundle or a `.nir` file, opened as a Deployment.

This module joins parts, as `cli` does: in the core, it and `api` alone reach for training, and only when they meet a
run folder or a checkpoint.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asnn_deploy.analysis.order_free import snap
from asnn_deploy.deploy.bundle import FIXED, MANIFEST, NETWORK, read_bundle
from asnn_deploy.deploy.deployment import Deployment
from asnn_deploy.deploy.exporters import EXPORTERS
from asnn_deploy.deploy.reading import Foreign, Reading, is_settled, settled
from asnn_deploy.errors import BundleError, DataError, InputError
from asnn_deploy.ir.graph import DeployGraph, check_neurons
from asnn_deploy.ir.inputs import SequenceInput
from asnn_deploy.ir.serialize import load_graph
from asnn_deploy.util.arrays import Array
from asnn_deploy.util.progress import phase
from asnn_deploy.util.text import is_unicode

FEW = 5
"""Classes that a message names."""

if TYPE_CHECKING:
    from asnn_deploy.training.trained import TrainedRun


@dataclass(frozen=True)
class Source:
    """What a SOURCE names.

    kind: "run", "bundle", "nir", or another for a network that has no path. data: the `--data` text it remembers.
    summary: what is known of its training.
    foreign: the file of another tool that it is, if it is one; reading: how that was read. class_names: what its
    answers mean, in their order; empty if that is not known (yet, see `called`).
    """

    path: Path
    kind: str
    deployment: Deployment
    data: str | None
    summary: Mapping[str, Any]
    foreign: Foreign | None = None
    reading: Reading = field(default_factory=Reading)
    class_names: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        names = self.summary.get("class_names")
        if names is None:
            return
        known = isinstance(names, list) and all(isinstance(name, str) and is_unicode(name) for name in names)
        if not known or len(names) != self.graph.classes:
            raise BundleError(
                f"{self.path}: class_names of its summary are not {self.graph.classes} texts, one for each class; "
                "restore the file"
            )
        self.class_names.extend(names)

    def called(self, names: Sequence[str] | None) -> None:
        """Take the names of classes from data, if none are known; the data may have none.

        Raises DataError if the data's differ from those that are known.
        """
        if names is None:
            return
        if not self.class_names and len(names) == self.graph.classes:
            self.class_names.extend(names)
        if self.class_names and list(names) != self.class_names:
            raise DataError(
                f"classes are {_listed(names)}; the network was trained on {_listed(self.class_names)}; give data of "
                "the same classes"
            )

    @property
    def graph(self) -> DeployGraph:
        """The network in float32."""
        return self.deployment.graph

    def settle(self, samples: Array) -> None:
        """Take what enters, and how many steps, from samples `[N, T, ...]`, if the network is still open to both."""
        self._become(settled(self.graph, samples))

    def settle_for_spikes(self) -> None:
        """Take spikes to enter, if the network is still open to anything. Raises GraphError if T is not known."""
        graph = self.graph
        if isinstance(graph.code, SequenceInput) and not graph.code.stated:
            graph = replace(graph, code=replace(graph.code, values="spikes", most=1.0, stated=True))
        self._become(graph.over(graph.time_steps))

    def _become(self, graph: DeployGraph) -> None:
        self.deployment.graph = snap(graph) if self.reading.snapped and not is_settled(self.graph) else graph


def _listed(names: Sequence[str]) -> str:
    """The first few names."""
    few = ", ".join(repr(name) for name in names[:FEW])
    return few if len(names) <= FEW else f"{few} and {len(names) - FEW} more"


@phase("open the network")
def open_source(path: Path, reading: Reading | None = None) -> Source:
    """Open a SOURCE. reading: what is said of a file by another tool.

    Raises InputError if it is none of the three, or if something is said of a network of ours; and the errors of each.
    """
    reading = reading or Reading()
    if path.is_file() and path.suffix == ".nir":
        foreign = EXPORTERS.available("nir").foreign(path)
        if foreign is not None:
            return _open_foreign(path, foreign, reading)
    if reading.says_anything:
        raise InputError(
            f"{path}: is a network of asnn-deploy and states its own rules; leave out what is for other tools' files"
        )
    if path.is_dir():
        return _open_bundle(path) if (path / MANIFEST).exists() else _open_run(path)
    if not path.exists():
        raise InputError(f"{path}: does not exist; give a run folder, a bundle or a .nir file")
    if path.suffix != ".nir":
        raise InputError(f"{path}: is not a run folder, bundle or .nir file")
    deployment = Deployment(read_nir(path), files={"nir": path})
    return Source(path, "nir", deployment, None, {})


def _open_foreign(path: Path, foreign: Foreign, reading: Reading) -> Source:
    graph = reading.graph_of(foreign)
    check_neurons(graph)
    if reading.snapped and is_settled(graph):
        graph = snap(graph)
    return Source(path, "nir", Deployment(graph), None, {}, foreign, reading)


def read_nir(path: Path) -> DeployGraph:
    """A graph from a NIR file."""
    graph = EXPORTERS.available("nir").read(path)
    check_neurons(graph)
    return graph


def _open_bundle(path: Path) -> Source:
    bundle = read_bundle(path)
    graph = read_nir(path / NETWORK)
    fixed = load_graph(path / FIXED) if FIXED in bundle.files else None
    if fixed is not None and (fixed.arithmetic != "fixed" or fixed.shapes != graph.shapes or fixed.code != graph.code):
        raise BundleError(f"{path / FIXED}: is not the integer version of {NETWORK}; export again")
    # A network of another tool may be kept as its own nodes, not unrolled as targets run it.
    names = [name for name in bundle.files if name != NETWORK or graph.meaning is None]
    deployment = Deployment(graph, files={name: path / name for name in names}, fixed=fixed)
    return Source(path, "bundle", deployment, bundle.data, bundle.summary)


def _open_run(path: Path) -> Source:
    """A run folder: the network that training left for this, or, of an older or changed folder, its weights lowered."""
    from asnn_deploy.training.run_folder import kept_network, read_summary, settled_config

    config, (summary, _) = settled_config(path), read_summary(path)
    graph = kept_network(path, summary)
    deployment = _lowered(path) if graph is None else Deployment(graph, partial(_trained, path))
    return Source(path, "run", deployment, config.data, summary)


def _trained(path: Path) -> TrainedRun:
    from asnn_deploy.training.trained import load_run  # loads torch

    return load_run(path)


def _lowered(path: Path) -> Deployment:
    from asnn_deploy.models.lowering import lower

    run = _trained(path)
    return Deployment(replace(lower(run.network, run.config.dt), quantization=run.quantization), lambda: run)
