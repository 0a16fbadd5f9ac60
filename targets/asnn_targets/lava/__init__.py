"""Targets `lava` and `lava-fixed`: Lava 0.10 Processes, floating point and Loihi-style fixed point.

    processes.py, models.py (in network/)   the Stage Process and its ProcessModels
    partition.py, messages.py, stages.py    how a network becomes a line of stages, without Lava
    host.py                                 the program that the runtime lives in
    hosted.py, session.py                   this side of it

Measured choices (see benchmarks/lava.py): fused stages, each one time step behind its neighbour, and a batch axis in
the ports.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

from asnn_deploy.deploy.deployment import Deployment
from asnn_deploy.deploy.protocols import Target

if TYPE_CHECKING:
    from asnn_targets.lava.session import LavaSession

LAVA_PYTHON = (3, 10)


@dataclass(frozen=True)
class LavaRuntime(Target):
    """What all targets need that run on Lava. time_limit: seconds without progress after which a run is given up."""

    name: str
    arithmetic: str
    time_limit: float = 120.0

    def unavailable(self) -> str | None:
        """Lava must be there, and it needs a certain Python."""
        if os.name != "posix":
            return "Lava's runtime needs Linux or macOS"
        if sys.version_info[:2] != LAVA_PYTHON:
            return (
                f"lava-nc 0.10.0 needs Python 3.10, this is {sys.version_info[0]}.{sys.version_info[1]}; "
                "make the environment with Python 3.10 (everything else works here)"
            )
        if find_spec("lava") is None or find_spec("lava.magma") is None:
            return "lava-nc is not installed; run: pip install lava-nc==0.10.0"
        return None


@dataclass(frozen=True)
class LavaTarget(LavaRuntime):
    """This project's Processes.

    rows: samples per message between stages.
    stages: the most Processes in a line; None for the form that pays off most. lanes: how many lines side by
        side, if the stages are given.
    """

    rows: int = 64
    stages: int | None = None
    lanes: int = 1

    def open(self, deployment: Deployment, batch_size: int) -> LavaSession:
        """See Target."""
        from asnn_targets.lava.session import LavaSession

        graph = deployment.fixed if self.arithmetic == "fixed" else deployment.graph
        return LavaSession(self.name, graph, batch_size, self.rows, self.stages, self.lanes, self.time_limit)


target = LavaTarget("lava", "float32")
fixed_target = LavaTarget("lava-fixed", "fixed")
