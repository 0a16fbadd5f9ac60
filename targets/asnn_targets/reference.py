"""Targets `reference` and `reference-fixed`: the project's own executors, on all cores."""

from __future__ import annotations

from types import TracebackType

from asnn_deploy.deploy.deployment import Deployment
from asnn_deploy.engine.executor import LOGITS_ONLY
from asnn_deploy.engine.runner import Runner
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.trace import Record, Trace
from asnn_deploy.util.arrays import Array


class ReferenceSession:
    """A runner with a network in it."""

    def __init__(self, graph: DeployGraph) -> None:
        self.runner = Runner(graph)

    def run(self, images: Array, record: Record = LOGITS_ONLY) -> Trace:
        """See protocols.Session."""
        return self.runner.run(images, record)

    def run_until(self, images: Array, margin: float) -> tuple[Trace, Array]:
        """See protocols.Session."""
        return self.runner.run_until(images, margin)

    def __enter__(self) -> ReferenceSession:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End its threads."""
        self.runner.close()


class ReferenceTarget:
    """See protocols.Target."""

    def __init__(self, name: str, arithmetic: str) -> None:
        self.name = name
        self.arithmetic = arithmetic

    def unavailable(self) -> str | None:
        """It needs nothing else."""
        return None

    def open(self, deployment: Deployment, batch_size: int) -> ReferenceSession:
        """See protocols.Target."""
        return ReferenceSession(deployment.fixed if self.arithmetic == "fixed" else deployment.graph)


target = ReferenceTarget("reference", "float32")
fixed_target = ReferenceTarget("reference-fixed", "fixed")
