"""The fields of each kind of node of NIR 1.0.8: which there are, and what each may hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from asnn_deploy.errors import BundleError
from asnn_deploy.ir.layers import Shape
from asnn_exporters.nir.others.network import Node, named

POOL = (("kernel_size",), ("stride", "padding"))
CONVOLUTION = (("weight", "stride", "padding", "dilation", "groups"), ("bias", "input_shape"))
KINDS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "Affine": (("weight",), ("bias",)),
    "Linear": (("weight",), ()),
    "Scale": (("scale",), ()),
    "Conv1d": CONVOLUTION,
    "Conv2d": CONVOLUTION,
    "AvgPool2d": POOL,
    "SumPool2d": POOL,
    "Flatten": ((), ("start_dim", "end_dim", "input_type")),
    "Delay": (("delay",), ()),
    "IF": (("r", "v_threshold"), ("v_reset",)),
    "LI": (("tau", "r", "v_leak"), ()),
    "LIF": (("tau", "r", "v_leak", "v_threshold"), ("v_reset",)),
    "I": (("r",), ()),
    "CubaLI": (("tau_mem", "tau_syn", "r", "v_leak"), ("w_in",)),
    "CubaLIF": (("tau_mem", "tau_syn", "r", "v_leak", "v_threshold"), ("v_reset", "w_in")),
    "Threshold": (("threshold",), ()),
    "Input": (("shape",), ()),
    "Output": (("shape",), ()),
}
"""The fields that a node of each kind must have, and those that it may lack. Source: nir 1.0.8, nir/ir/*.py; files of
older versions lack v_reset and w_in, and input_shape where it was not known."""
GRAPH = "NIRGraph"
TIMES = ("tau", "tau_mem", "tau_syn")
PARAMETERS = ("r", *TIMES, "v_leak", "v_threshold", "v_reset", "w_in", "threshold", "scale", "delay")
"""Fields of one number for the node, or for each of its elements."""
SHAPES = ("shape", "input_type", "input_shape")
LARGEST = 2**31 - 1
"""Of whole numbers, and of the elements of a signal: a signal of more than 8 GiB is a mistake."""


def checked(node: Node) -> Node:
    """Return a node with its fields validated. Its fields: numbers, texts and arrays by name; None: it says nothing.

    Raises BundleError naming node and field, what was found and what is allowed.
    """
    found = {key: _check(node, key, value) for key, value in node.fields.items() if value is not None}
    return Node(node.name, node.kind, {key: value for key, value in found.items() if value is not None})


def damaged(node: Node, key: str, problem: str) -> BundleError:
    """Return a BundleError that names a node's field."""
    return BundleError(f"{node}: field {key!r} {problem}")


def _check(node: Node, key: str, value: Any) -> Any:
    if key == "padding" and isinstance(value, str):
        if value not in ("same", "valid") or not node.kind.startswith("Conv"):
            raise damaged(node, key, f"is {named(value)}; allowed: whole numbers, or of convolutions 'same' or 'valid'")
        return value
    if key in CHECKS:
        return CHECKS[key](node, key, value)
    array = numbers(node, key, value)
    if key in TIMES and array.astype(np.float32).min() <= 0:
        raise damaged(node, key, f"holds {array.min():g}; time constants must be positive")
    if key == "delay" and array.min() < 0:
        raise damaged(node, key, f"holds {array.min():g}; a delay is at least 0")
    if key == "weight":
        axes = {"Conv1d": 3, "Conv2d": 4}.get(node.kind, 2)
        if array.ndim != axes:
            wanted = ("outputs", "inputs") if axes == 2 else ("outputs", "inputs / groups", *("kernel",) * (axes - 2))
            raise damaged(node, key, f"has shape {array.shape}, expected ({', '.join(wanted)})")
    return array


def numbers(node: Node, key: str, value: Any) -> Any:
    """Return a field's array. Raises BundleError unless it holds numbers, all finite, and at least one."""
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise damaged(node, key, f"holds {named(value) if isinstance(value, str) else array.dtype}, expected numbers")
    if array.size == 0:
        raise damaged(node, key, f"is empty (shape {array.shape}), expected numbers")
    with np.errstate(over="ignore"):
        single = array.astype(np.float32)
    if not np.isfinite(single).all():
        raise damaged(node, key, "holds NaN, infinity, or a number beyond float32; every number must be finite")
    return array.astype(np.uint8) if array.dtype.kind == "b" else array


def _whole(node: Node, key: str, value: Any) -> list[int]:
    array = numbers(node, key, value)
    if array.ndim > 1:
        raise damaged(node, key, f"has shape {array.shape}, expected one number, or a list of them")
    wide = array.astype(np.float64).reshape(-1)
    if (wide != np.rint(wide)).any() or np.abs(wide).max() > LARGEST:
        raise damaged(node, key, f"is {_short(array)}, expected whole numbers up to {LARGEST}")
    return [int(n) for n in wide]


def _short(array: Any) -> str:
    flat = np.asarray(array).reshape(-1).tolist()
    return str(flat if len(flat) > 1 else flat[0]) if len(flat) <= 8 else f"{flat[:8]}".replace("]", ", ...]")


def _one(least: int) -> Callable[[Node, str, Any], int]:
    def check(node: Node, key: str, value: Any) -> int:
        found = _whole(node, key, value)
        if len(found) != 1 or found[0] < least:
            raise damaged(node, key, f"is {_short(found)}, expected one whole number of at least {least}")
        return found[0]

    return check


def _each_axis(least: int) -> Callable[[Node, str, Any], Shape]:
    def check(node: Node, key: str, value: Any) -> Shape:
        found = _whole(node, key, value)
        axes = 1 if node.kind == "Conv1d" else 2
        found = found * axes if len(found) == 1 else found
        if len(found) != axes or min(found) < least:
            wanted = "one number" if axes == 1 else "one or two numbers"
            raise damaged(node, key, f"is {_short(found)}, expected {wanted} of at least {least}")
        return tuple(found)

    return check


def _shape(node: Node, key: str, value: Any) -> Shape | None:
    found = _whole(node, key, value)
    if key != "shape" and min(found) == 0:
        return None  # how exporters write that they do not know it
    elements = 1
    for n in found:
        elements *= n
    if min(found) < 1 or elements > LARGEST:
        raise damaged(node, key, f"is {_short(found)}; each axis has at least 1 element, and all at most {LARGEST}")
    axes = {"Conv1d": 1, "Conv2d": 2}.get(node.kind, len(found))
    if key == "input_shape" and len(found) != axes:
        raise damaged(node, key, f"is {_short(found)}, expected {axes} number(s): the spatial axes without channels")
    return tuple(found)


CHECKS: Mapping[str, Callable[[Node, str, Any], Any]] = {
    "stride": _each_axis(1),
    "dilation": _each_axis(1),
    "kernel_size": _each_axis(1),
    "padding": _each_axis(0),
    "groups": _one(1),
    "start_dim": _one(-LARGEST),
    "end_dim": _one(-LARGEST),
    **dict.fromkeys(SHAPES, _shape),
}
"""Fields of whole numbers, and how each is checked."""
