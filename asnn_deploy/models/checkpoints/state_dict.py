"""State dicts: files of torch.save that hold tensors by name. They are read without unpickling, and checked."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from asnn_deploy.errors import BundleError
from asnn_deploy.util.files import describe

REMEDY = "write it with torch.save(network.state_dict(), PATH)"
PREFIX = "module."
"""What torch.nn.DataParallel puts before every name."""


@dataclass(frozen=True)
class Foreign:
    """A network of others in this project's terms.

    settings: the configuration's values that describe it, dotted. weights: by the names of our network's state dict.
    """

    settings: Mapping[str, Any]
    weights: Mapping[str, Tensor]


def read_state_dict(path: Path) -> dict[str, Any]:
    """Return what a state dict holds by name, on the CPU; a prefix "module." of the names is dropped.

    Raises BundleError if it is not a file of torch.save, is damaged, or holds anything but tensors and plain values:
    such a file is never unpickled.
    """
    if not path.is_file():
        raise BundleError(f"{path}: {'is not a' if path.exists() else 'no such'} file; give a state dict, {REMEDY}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickles, which are refused
            found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise BundleError(
            f"{path}: holds {_refused(path)} besides tensors, or is not a file of torch.save; it is not unpickled, "
            f"since that may run code; {REMEDY}"
        ) from None
    except Exception as error:  # whatever torch makes of damaged bytes
        raise BundleError(f"{path}: damaged, or not a file of torch.save ({describe(error)[:100]}); {REMEDY}") from None
    if not isinstance(found, dict) or not all(isinstance(key, str) for key in found):
        raise BundleError(f"{path}: holds a {type(found).__name__}, needed is a state dict (tensors by name); {REMEDY}")
    tensors: dict[str, Any] = {}
    for key, value in found.items():
        name = key.removeprefix(PREFIX)
        if name in tensors:
            raise BundleError(f"{path}: holds {name!r} with and without the prefix {PREFIX!r}; keep one of them")
        tensors[name] = value
    return tensors


def _refused(path: Path) -> str:
    """The types that a file holds and that are not read, in words."""
    try:
        types = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except Exception:  # whatever torch makes of damaged bytes
        types = []
    return f"objects ({', '.join(types[:3])})" if types else "objects"


def check(path: Path, found: Mapping[str, Any], shapes: Mapping[str, Sequence[int | str]], what: str) -> dict[str, int]:
    """Raise BundleError, naming the file and the key, unless every key is a finite tensor of floats of its shape.

    shapes: key to its axes, a number or a name; axes of one name are equal. what: the network that they belong to.
    Returns the sizes by name; the first key with a name settles it.
    """
    sizes: dict[str, int] = {}
    settled_by: dict[str, str] = {}
    for key, axes in shapes.items():
        if key not in found:
            raise BundleError(f"{path}: lacks {key!r}, which {what} has; {REMEDY}")
        value = found[key]
        if not isinstance(value, Tensor) or not value.is_floating_point() or value.layout != torch.strided:
            kind = f"a tensor of {value.dtype}" if isinstance(value, Tensor) else f"of type {type(value).__name__}"
            raise BundleError(f"{path}: {key!r} is {kind}, {what} has a dense tensor of floats there; {REMEDY}")
        shape = tuple(value.shape)
        new = {axis: n for axis, n in zip(axes, shape) if isinstance(axis, str) and axis not in sizes and n > 0}
        known = sizes | new
        needed = tuple(known.get(axis, axis) if isinstance(axis, str) else axis for axis in axes)
        if shape != needed:
            others = sorted({settled_by[axis] for axis in axes if axis in settled_by})
            because = f" (by {', '.join(map(repr, others))})" if others else ""
            text = ", ".join(map(str, needed))
            raise BundleError(f"{path}: {key!r} has shape {list(shape)}, {what} needs [{text}]{because}; {REMEDY}")
        if not torch.isfinite(value).all():
            raise BundleError(f"{path}: {key!r} holds NaN or infinity; take a checkpoint of before it diverged")
        settled_by |= dict.fromkeys(new, key)
        sizes = known
    return sizes
