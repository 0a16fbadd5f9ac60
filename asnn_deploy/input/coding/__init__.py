"""Input codings: each file defines one in NumPy, and is found by being here.

A coding is deployed as the table of what each 8-bit pixel value sends at each step (`InputCode`), made by running the
definition on all 256 values; torch, NIR, ONNX and Lava read that table.
"""

from __future__ import annotations

from collections.abc import Sequence

from asnn_deploy.errors import ConfigError
from asnn_deploy.input.coding.base import Coding
from asnn_deploy.ir.images import PIXEL_LEVELS, InputCode
from asnn_deploy.util.discover import Parts
from asnn_deploy.util.suggest import unknown_name

CODINGS: Parts[Coding] = Parts("coding", "asnn_deploy.codings", __name__, __path__, "coding", base=Coding)  # type: ignore[type-abstract]

PLANNED = ("rate", "phase", "burst", "single-spike-hybrid")
"""Names that a later version gives a meaning."""

__all__ = ["CODINGS", "Coding", "input_code"]


def input_code(
    name: str, time_steps: int, levels: Sequence[int] = range(PIXEL_LEVELS), preparation: str = "raw"
) -> InputCode:
    """The named coding over that many steps. Raises ConfigError for an unknown name or an impossible T.

    levels: how bright each pixel value is taken to be (see `asnn_deploy.input.levels`); preparation: of the images.
    """
    if name not in CODINGS:
        raise ConfigError(unknown_name("coding", name, CODINGS, PLANNED))
    coding = CODINGS[name]
    problem = "needs at least 1 time step" if time_steps < 1 else coding.check(time_steps)
    if problem:
        raise ConfigError(f"coding {name!r} {problem}, found time_steps = {time_steps}")
    analog = coding.analog(time_steps)
    return InputCode.tabulate(name, lambda pixels: coding.frames(pixels, time_steps), analog, levels, preparation)
