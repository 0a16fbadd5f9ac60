"""Losses, one small file each. How to add one: a function like `tet`, and its line in `LOSSES`.

A loss takes each step's summand of the logits, `[T, B, classes]` (their sum is what the network answers), the targets
(labels `[B]`, or shares of classes `[B, classes]` where images are mixed) and `config.LossConfig`.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from asnn_deploy.training.config import LossConfig
from asnn_deploy.training.losses.cross_entropy import cross_entropy
from asnn_deploy.training.losses.tet import tet

LOSSES: dict[str, Callable[[Tensor, Tensor, LossConfig], Tensor]] = {"cross-entropy": cross_entropy, "tet": tet}
