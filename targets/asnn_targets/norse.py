"""Targets `norse` and `norse-fixed`: the trained torch/Norse module itself, evaluated with the weights that were
deployed, or with its modules replaced by their twins in torch integers (`asnn_deploy.models.integers`).

On the CPU; see `exact_sums` for what must not run.
"""

from __future__ import annotations

import importlib.util
from copy import deepcopy
from typing import Any

import numpy as np

from asnn_deploy.deploy.deployment import Deployment
from asnn_deploy.deploy.protocols import LOGITS_ONLY, Session, Target
from asnn_deploy.errors import UnsupportedError
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.trace import Record, Trace
from asnn_deploy.util.arrays import Array


class NorseSession(Session):
    """A trained network in evaluation mode, folded into a graph; None keeps its own weights and batch norm."""

    def __init__(self, deployment: Deployment, name: str = "norse", graph: DeployGraph | None = None) -> None:
        import torch

        from asnn_deploy.training.network import use_kernel

        if deployment.run is None:
            raise UnsupportedError(
                f"target {name!r} runs the trained module, which only a run folder holds; give the run folder"
            )
        self.network: Any = deepcopy(deployment.run.network)  # it is folded and given a kernel
        use_kernel(self.network, "norse", torch.device("cpu"))
        if graph is not None:
            self.network.fold(graph)
        self.name = name

    def run(self, images: Array, record: Record = LOGITS_ONLY) -> Trace:
        """See Session; potentials and summands are not recorded."""
        import torch

        from asnn_deploy.models.network import exact_sums

        with exact_sums():
            logits, spikes = self.network.trace(torch.from_numpy(np.ascontiguousarray(images)))
        kept = {name: s.numpy().astype(np.uint8) for name, s in spikes.items()} if record.spikes else {}
        return Trace(self.name, logits.numpy(), kept)


class NorseTarget(Target):
    """The trained module, in float32 or in integers."""

    step_logits = False

    def __init__(self, name: str, arithmetic: str) -> None:
        self.name = name
        self.arithmetic = arithmetic

    def unavailable(self) -> str | None:
        """It needs torch and Norse."""
        missing = [name for name in ("torch", "norse") if importlib.util.find_spec(name) is None]
        return f"needs {missing[0]}; pip install {missing[0]}" if missing else None

    def open(self, deployment: Deployment, batch_size: int) -> NorseSession:
        """See Target."""
        graph = deployment.fixed if self.arithmetic == "fixed" else deployment.graph
        return NorseSession(deployment, self.name, graph)


target = NorseTarget("norse", "float32")
fixed_target = NorseTarget("norse-fixed", "fixed")
