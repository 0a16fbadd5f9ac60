"""What an exporter, a target and a simulator are, and how they are found.

Built-in and third-party ones register alike, by the entry-point groups `asnn_deploy.exporters`, `asnn_deploy.targets`
and `asnn_deploy.simulators`; each entry point names an object with the attributes below. Nothing is imported before it
is asked for by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from asnn_deploy.errors import InputError, MissingDependency
from asnn_deploy.graph import DeployGraph
from asnn_deploy.step_table import Array
from asnn_deploy.suggest import unknown_name
from asnn_deploy.trace import Record, Trace

if TYPE_CHECKING:
    from asnn_deploy.deployment import Deployment
    from asnn_deploy.energy.simulation import Simulation


class Exporter(Protocol):
    """Writes a graph in one format.

    name: what `--target` calls it.
    suffix: the ending of its one file (".nir"); None where the format exists only as a bundle.
    settings (may be left out): what `export --set KEY=VALUE` chooses: key to allowed values, the default first. They
        reach `write` as options.
    """

    name: str
    suffix: str | None

    def unavailable(self) -> str | None:
        """Why it cannot be used here (a package is missing), in one line; None where it can."""

    def write(self, graph: DeployGraph, folder: Path, **options: Any) -> list[str]:
        """Write the format's files into an existing, empty folder and return their names.

        The first name is the main file (the one that stands alone where `suffix` is set). Raises UnsupportedError
        naming the layer that the format cannot carry. options: `dialect` (NIR), `data` (a `--data` text for examples).
        """


class Session(AbstractContextManager["Session"], Protocol):
    """A target, loaded with one network and ready for batch after batch. Leaving it frees everything."""

    def run(self, images: Array, record: Record = ...) -> Trace:
        """Run uint8 images `[B, C, H, W]`, B at most the batch size that the session was opened with.

        A session may also have `run_until(images, margin) -> (trace, steps)`, which computes no step of a sample that
        has answered (see `reference.Executor.run_until`); for others, early exits are found in whole runs.
        """


class Target(Protocol):
    """Runs a network.

    name: what `--target` calls it.
    arithmetic: "float32" or "fixed".
    runs (may be left out): `runs(deployment) -> bool`: whether it is made for this network, and `verify` shall take it
        unasked; without it, any network is.
    step_logits (may be left out): False where its sessions cannot record them, which early exit needs.
    """

    name: str
    arithmetic: str

    def unavailable(self) -> str | None:
        """Why it cannot be used here, in one line; None where it can."""

    def open(self, deployment: Deployment, batch_size: int) -> Session:
        """Load the network."""


class Simulator(Protocol):
    """Simulates the energy and the time of a chip from recorded spikes.

    name: what `--profile` calls it.
    chip: the chip whose placement it needs (see `asnn_deploy.fit`).
    constant_based: the energy profile that its figures are held against.
    source: where it comes from, one line for `list`.
    """

    name: str
    chip: str
    constant_based: str
    source: str

    def unavailable(self) -> str | None:
        """Why it cannot be used here, in one line; None where it can."""

    def simulate(
        self,
        graph: DeployGraph,
        images: Array,
        trace: Trace,
        placement: Any,
        progress: Callable[[list[int]], Iterable[int]] = ...,
    ) -> Simulation:
        """Replay the trace of uint8 images `[N, C, H, W]`; placement: `core_of` by layer, and `cores`.

        progress: passed the samples' indices, gives them back one by one.
        """


def _entry_points(group: str) -> dict[str, EntryPoint]:
    return {point.name: point for point in sorted(entry_points(group=f"asnn_deploy.{group}"), key=lambda p: p.name)}


def names(group: str) -> list[str]:
    """The registered names of a group: "exporters", "targets" or "simulators"."""
    return list(_entry_points(group))


def find(group: str, name: str) -> Any:
    """The exporter, target or simulator of that name, whether or not it is available.

    Raises InputError where the name is not registered, MissingDependency where its module cannot be imported.
    """
    points = _entry_points(group)
    if name not in points:
        raise InputError(unknown_name(group.removesuffix("s"), name, points))
    try:
        return points[name].load()
    except ImportError as error:
        raise MissingDependency(f"{group.removesuffix('s')} {name!r} cannot be loaded: {error}") from error


def available(group: str, name: str) -> Any:
    """Like `find`, but raises MissingDependency with the reason where it cannot be used here."""
    plugin = find(group, name)
    reason = plugin.unavailable()
    if reason:
        raise MissingDependency(f"{group.removesuffix('s')} {name!r} is not available: {reason}")
    return plugin
