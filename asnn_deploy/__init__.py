"""asnn-deploy: adaptive spiking networks with hybrid-coded input, carried to neuromorphic targets exactly.

    net = asnn_deploy.load("run, bundle or .nir")  # or asnn_deploy.from_torch(module, example)
    trace = asnn_deploy.run(net, images, target="lava-fixed")
    trace.logits, trace.spikes["conv1"]
    net = asnn_deploy.from_checkpoint("lenet.pt", coding="mix time")

Importing this package loads nothing heavy; the names below are looked up when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from asnn_deploy.util.version import __version__

if TYPE_CHECKING:
    from asnn_deploy.api import from_checkpoint, from_torch, load, run
    from asnn_deploy.errors import AsnnDeployError
    from asnn_deploy.ir.graph import DeployGraph
    from asnn_deploy.ir.step_table import StepTable
    from asnn_deploy.ir.trace import Trace

_HOMES = {
    "from_checkpoint": "api",
    "from_torch": "api",
    "load": "api",
    "run": "api",
    "AsnnDeployError": "errors",
    "DeployGraph": "ir.graph",
    "StepTable": "ir.step_table",
    "Trace": "ir.trace",
}

__all__ = [
    "AsnnDeployError",
    "DeployGraph",
    "StepTable",
    "Trace",
    "__version__",
    "from_checkpoint",
    "from_torch",
    "load",
    "run",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'asnn_deploy' has no attribute {name!r}")
    return getattr(import_module(f"asnn_deploy.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
