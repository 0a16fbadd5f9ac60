"""What `verify --json` wrote, read back and held against its schema before a page shows it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from asnn_deploy.errors import InputError


def read_verify(path: Path) -> dict[str, Any]:
    """What `verify --json` wrote. Raises InputError where the file is anything else."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        _check_verify(found)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}); give what `verify` wrote") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        what = f"lacks {error}" if isinstance(error, KeyError) else str(error).splitlines()[0]
        raise InputError(f"{path}: was not written by `verify` ({what}); let it write its JSON file again") from None
    return found  # type: ignore[no-any-return]


def _check_verify(found: Any) -> None:
    """Hold a file against the contract. Raises KeyError, TypeError, ValueError or AttributeError."""
    steps = found["time_steps"]
    _number(found["samples"], "samples")
    for name, target in found["targets"].items():
        if not isinstance(target["against"], str) or not isinstance(target["exact"], bool):
            raise ValueError(f"target {name}: against must be a text, exact true or false")
        for key in ("spikes_compared", "spike_mismatches", "argmax_mismatches", "max_abs_logit_diff"):
            _number(target[key], f"{name}.{key}")
        if target["accuracy"] is not None:
            _number(target["accuracy"], f"{name}.accuracy")
        if target["first_divergence"] is not None:
            _ = [target["first_divergence"][key] for key in ("layer", "step", "sample", "expected", "got")]
        for layer in target["layers"]:
            counts = layer["per_step_mismatches"]
            if not isinstance(layer["name"], str) or not isinstance(counts, list) or len(counts) != steps:
                raise ValueError(f"target {name}: a layer needs a name and {steps} mismatch counts")
            for count in counts:
                _number(count, f"{name}.{layer['name']}")


def _number(value: Any, key: str) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < float("inf"):
        raise ValueError(f"{key} = {value!r} is no count")
