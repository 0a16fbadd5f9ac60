"""Losses, one file each, found by being here or by the entry-point group `asnn_deploy.losses`.

They are loaded without torch, which only computing needs.
"""

from __future__ import annotations

from asnn_deploy.training.losses.base import Loss, LossConfig
from asnn_deploy.util.discover import Parts

LOSSES: Parts[Loss] = Parts("loss", "asnn_deploy.losses", __name__, __path__, "loss", base=Loss)

__all__ = ["LOSSES", "Loss", "LossConfig"]
