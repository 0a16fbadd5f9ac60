"""What a loss is. How to write one: copy `cross_entropy.py`; it ends in `loss = ...`.

A loss's file must not import torch when it is loaded: reading a configuration loads it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from asnn_deploy.models.config import Section

if TYPE_CHECKING:
    from torch import Tensor


class LossConfig(Section):
    """What the sections of all losses have in common."""

    name: str = "cross-entropy"
    """Which loss; see `asnn-deploy list`."""
    sop_penalty: float = Field(0.0, ge=0, allow_inf_nan=False)
    """Price of the synaptic operations: of all that are possible."""
    teacher: str | None = None
    """A run folder, or an ONNX file, whose answers are to be learned too."""
    teacher_share: float = Field(0.5, ge=0, le=1)
    """Share of the teacher's answers in the loss."""
    temperature: float = Field(4.0, gt=0, le=1e3)
    """Of the softmax in which teacher and network are compared."""


class Loss:
    """One loss.

    name: as in `loss.name`; summary: one line for `asnn-deploy list`.
    section: its keys in the section `loss` of a configuration, with their checks and defaults.
    """

    name: ClassVar[str]
    summary: ClassVar[str] = ""
    section: ClassVar[type[LossConfig]] = LossConfig

    def check(self, config: Any, time_steps: int) -> None:
        """Raise ConfigError naming the key that does not fit the number of steps."""

    def __call__(self, summands: Tensor, targets: Tensor, config: Any) -> Tensor:
        """Return the loss, a scalar.

        summands: each step's summand of the logits, `[T, B, classes]` (their sum is what the network answers); targets:
        labels `[B]`, or shares of classes `[B, classes]` where images are mixed; config: a `section`.
        """
        raise NotImplementedError(f"loss {self.name!r} lacks its method `__call__`")
