"""The exporters, targets and simulators by name.

`TARGETS.find(name)` returns a Target, whether or not it can be used here, and raises InputError for an unknown name;
`TARGETS.available(name)` raises MissingDependency with the reason if it cannot be used. See `plugins.Plugins`.
"""

from __future__ import annotations

from asnn_deploy.deploy.exporters import EXPORTERS
from asnn_deploy.deploy.plugins import Plugins
from asnn_deploy.deploy.protocols import Simulator, Target

__all__ = ["EXPORTERS", "SIMULATORS", "TARGETS"]

TARGETS = Plugins(Target)  # type: ignore[type-abstract]
SIMULATORS = Plugins(Simulator)  # type: ignore[type-abstract]
