"""asnn-deploy: adaptive spiking networks with hybrid-coded input, carried to neuromorphic targets exactly.

    net = asnn_deploy.load("run, bundle or .nir")  # or from_torch(module, example), from_checkpoint(file, coding=...)
    trace = asnn_deploy.run(net, images, target="lava-fixed")
    trace.logits, trace.spikes["conv1"]
    asnn_deploy.train("digits-lenet", "run").net
    asnn_deploy.verify("run", "digits", limit=100).holds
    asnn_deploy.fit("run", "loihi2").fits
    asnn_deploy.report("run", "digits", "report"); asnn_deploy.export("run", "lava", "run.lava")

Importing this package loads nothing heavy; the names below are looked up when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from asnn_deploy.util.version import __version__

if TYPE_CHECKING:
    from asnn_deploy.api.checking import verify
    from asnn_deploy.api.counting import report
    from asnn_deploy.api.exporting import export
    from asnn_deploy.api.integers import quantize
    from asnn_deploy.api.loading import from_checkpoint, from_torch, load, save
    from asnn_deploy.api.placing import fit
    from asnn_deploy.api.running import run
    from asnn_deploy.api.training import train
    from asnn_deploy.errors import AsnnDeployError, DeployNote
    from asnn_deploy.ir.graph import DeployGraph
    from asnn_deploy.ir.step_table import StepTable
    from asnn_deploy.ir.trace import Trace
    from asnn_deploy.util.progress_lines import show_progress

_HOMES = {
    "export": "api.exporting",
    "fit": "api.placing",
    "from_checkpoint": "api.loading",
    "from_torch": "api.loading",
    "load": "api.loading",
    "quantize": "api.integers",
    "report": "api.counting",
    "run": "api.running",
    "save": "api.loading",
    "train": "api.training",
    "verify": "api.checking",
    "AsnnDeployError": "errors",
    "DeployNote": "errors",
    "DeployGraph": "ir.graph",
    "StepTable": "ir.step_table",
    "Trace": "ir.trace",
    "show_progress": "util.progress_lines",
}

__all__ = [
    "AsnnDeployError",
    "DeployGraph",
    "DeployNote",
    "StepTable",
    "Trace",
    "__version__",
    "export",
    "fit",
    "from_checkpoint",
    "from_torch",
    "load",
    "quantize",
    "report",
    "run",
    "save",
    "show_progress",
    "train",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'asnn_deploy' has no attribute {name!r}")
    return getattr(import_module(f"asnn_deploy.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
