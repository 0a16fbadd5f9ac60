"""What plug-ins inherit from: Exporter, Target with its Session, and Simulator. Defaults are what most of them do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from asnn_deploy.deploy.deployment import Deployment
from asnn_deploy.deploy.exporters import Exporter
from asnn_deploy.deploy.plugins import Plugin
from asnn_deploy.engine.early_exit import at_exit
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.trace import Record, Trace
from asnn_deploy.util.arrays import Array

if TYPE_CHECKING:
    from asnn_deploy.energy.simulation import Simulation

__all__ = ["Exporter", "Session", "Simulator", "Target"]

LOGITS_ONLY = Record()
S = TypeVar("S", bound="Session")


class Session(ABC):
    """A target, loaded with one network and ready for batch after batch. Leaving it frees everything."""

    @abstractmethod
    def run(self, images: Array, record: Record = LOGITS_ONLY) -> Trace:
        """Run uint8 images `[B, C, H, W]`, B at most the batch size that the session was opened with."""

    def run_until(self, images: Array, margin: float, spikes: bool = False) -> tuple[Trace, Array]:
        """Return each sample's answer at the step where its softmax margin reaches `margin`, and its steps `[B]`.

        spikes: record them up to there. This finds the exits in whole runs; a session that can stop early overrides it.
        """
        return at_exit(self.run(images, Record(spikes=spikes, step_logits=True)), margin)

    def close(self) -> None:  # noqa: B027 - most have nothing to free
        """Free everything."""

    def __enter__(self: S) -> S:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Target(Plugin, ABC):
    """Runs a network.

    arithmetic: "float32" or "fixed". step_logits: whether its sessions can record them, which early exit needs.
    """

    arithmetic: str
    step_logits: bool = True

    def runs(self, deployment: Deployment) -> bool:
        """Return whether it is made for this network, so that `verify` takes it unasked."""
        return True

    @abstractmethod
    def open(self, deployment: Deployment, batch_size: int) -> Session:
        """Load the network."""


class Simulator(Plugin, ABC):
    """Simulates the energy and the time of a chip from recorded spikes.

    chip: the chip whose placement it needs (see `asnn_deploy.fitting`).
    constant_based: the energy profile that its figures are held against.
    source: where it comes from, one line for `list`.
    """

    chip: str
    constant_based: str
    source: str

    @abstractmethod
    def simulate(
        self,
        graph: DeployGraph,
        images: Array,
        trace: Trace,
        placement: Any,
    ) -> Simulation:
        """Replay the trace of uint8 images `[N, C, H, W]`; placement: `core_of` by layer, and `cores`.

        What takes long says how far it is by `asnn_deploy.util.progress`.
        """
