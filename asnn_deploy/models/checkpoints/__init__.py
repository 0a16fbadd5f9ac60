"""Checkpoints of networks that other code has trained: each kind has a file that says how its weights become ours."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from asnn_deploy.errors import InputError
from asnn_deploy.models.checkpoints import asnn_reference
from asnn_deploy.models.checkpoints.state_dict import Foreign
from asnn_deploy.util.progress import phase
from asnn_deploy.util.suggest import unknown_name

KINDS: dict[str, Callable[[Path, str, bool], Foreign]] = {"asnn-reference": asnn_reference.read}
"""Kind to what reads it: a file, the name of its input coding there, and whether its readout is adaptive."""


@phase("read the checkpoint")
def read_checkpoint(path: Path, kind: str, coding: str, adaptive: bool) -> Foreign:
    """Return what a checkpoint holds. Raises InputError for an unknown kind, and the errors of each kind."""
    if kind not in KINDS:
        raise InputError(unknown_name("kind of checkpoint", kind, KINDS))
    return KINDS[kind](path, coding, adaptive)
