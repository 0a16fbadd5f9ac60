"""Networks, one file each, found by being here or by the entry-point group `asnn_deploy.networks`.

They are loaded without torch, which only `build` needs.
"""

from __future__ import annotations

from asnn_deploy.models.networks.base import Network
from asnn_deploy.util.discover import Parts

NETWORKS: Parts[Network] = Parts("model", "asnn_deploy.networks", __name__, __path__, "network", base=Network)

__all__ = ["NETWORKS", "Network"]
