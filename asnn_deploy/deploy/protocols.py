"""What an exporter, a target and a simulator are."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.trace import Record, Trace
from asnn_deploy.util.arrays import Array

if TYPE_CHECKING:
    from asnn_deploy.deploy.deployment import Deployment
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
