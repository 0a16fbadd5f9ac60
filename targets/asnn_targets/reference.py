"""Targets `reference` and `reference-fixed`: the project's own executors, on all cores."""

from __future__ import annotations

from asnn_deploy.deploy.deployment import Deployment
from asnn_deploy.deploy.protocols import LOGITS_ONLY, Session, Target
from asnn_deploy.engine.runner import Runner
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.trace import Record, Trace
from asnn_deploy.util.arrays import Array


class ReferenceSession(Session):
    """A runner with a network in it."""

    def __init__(self, graph: DeployGraph) -> None:
        self.runner = Runner(graph)

    def run(self, images: Array, record: Record = LOGITS_ONLY) -> Trace:
        """See Session."""
        return self.runner.run(images, record)

    def run_until(self, images: Array, margin: float, spikes: bool = False) -> tuple[Trace, Array]:
        """See Session; without spikes, no step of a sample that has answered is computed."""
        return super().run_until(images, margin, spikes) if spikes else self.runner.run_until(images, margin)

    def close(self) -> None:
        """End its threads."""
        self.runner.close()


class ReferenceTarget(Target):
    """An executor, in float32 or in integers."""

    def __init__(self, name: str, arithmetic: str) -> None:
        self.name = name
        self.arithmetic = arithmetic

    def open(self, deployment: Deployment, batch_size: int) -> ReferenceSession:
        """See Target."""
        return ReferenceSession(deployment.fixed if self.arithmetic == "fixed" else deployment.graph)


target = ReferenceTarget("reference", "float32")
fixed_target = ReferenceTarget("reference-fixed", "fixed")
