"""What the fields of NIR's nodes must be, for tests/naive_nir.py. Source: nir 1.0.8, nir/ir/*.py."""

from __future__ import annotations

from typing import Any

import numpy as np

CONVOLUTION = "weight stride padding dilation groups"
NEEDED = {
    "IF": "r v_threshold",
    "LIF": "tau r v_leak v_threshold",
    "LI": "tau r v_leak",
    "I": "r",
    "CubaLIF": "tau_mem tau_syn r v_leak v_threshold",
    "CubaLI": "tau_mem tau_syn r v_leak",
    "Threshold": "threshold",
    "Affine": "weight",
    "Linear": "weight",
    "Scale": "scale",
    "Delay": "delay",
    "Conv1d": CONVOLUTION,
    "Conv2d": CONVOLUTION,
    "AvgPool2d": "kernel_size",
    "SumPool2d": "kernel_size",
    "Flatten": "",
    "Input": "shape",
    "Output": "shape",
}
"""The fields that a node must have; the rest has a usual value."""
READ = "bias v_reset w_in stride padding start_dim end_dim input_type input_shape"
"""The fields that a node may have."""
LEAST = {"shape": 1, "stride": 1, "dilation": 1, "kernel_size": 1, "groups": 1, "padding": 0}
"""Fields of whole numbers, and the least each may be."""
WHOLE = {*LEAST, "start_dim", "end_dim", "input_shape", "input_type"}
SINGLE = ("groups", "start_dim", "end_dim")
AXES = {"Conv1d": 3, "Conv2d": 4, "Affine": 2, "Linear": 2}
"""Of weights."""


class Refused(Exception):
    """A network that the documents call undefined, and why."""


def check_fields(node: dict[str, Any]) -> dict[str, Any]:
    """Return what counts of a node. Raises Refused unless all fields are there, finite, and whole where they count."""
    kind = node["type"]
    missing = [key for key in NEEDED[kind].split() if key not in node]
    if missing:
        raise Refused(f"{kind} lacks {missing}")
    found = {key: value for key, value in node.items() if key in f"{NEEDED[kind]} {READ}".split()}
    for key, value in found.items():
        if not (key == "padding" and kind.startswith("Conv") and str(value) in ("same", "valid")):
            check(kind, key, np.asarray(value))
    return found | {"type": kind}


def check(kind: str, key: str, value: Any) -> None:
    if value.dtype.kind not in "biuf" or not value.size:
        raise Refused(f"{key} holds no numbers")
    with np.errstate(over="ignore"):
        if not np.isfinite(value.astype(np.float32)).all():
            raise Refused(f"{key} is not finite")
    if key in WHOLE and (np.any(value != np.round(value)) or value.min() < LEAST.get(key, -(2**31)) or value.ndim > 1):
        raise Refused(f"{key} is not what counts axes or elements")
    if key in SINGLE and value.size != 1:
        raise Refused(f"{key} is not one number")
    if (key.startswith("tau") and value.min() <= 0) or (key == "delay" and value.min() < 0):
        raise Refused(f"{key} lies below what time can be")
    if key == "weight" and value.ndim != AXES[kind]:
        raise Refused("a weight has not the axes of its kind")
