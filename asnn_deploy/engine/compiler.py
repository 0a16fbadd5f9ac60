"""`compiled`: how every kernel of the engine is compiled: once, kept on disk, without the interpreter's lock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """Compile for the argument types it meets. No fast math, no fused multiply-adds: roundings are as written."""
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
    try:
        return numba.njit(function, cache=True, **options)  # type: ignore[no-any-return]
    except RuntimeError:  # no folder for the cache can be written: compile anew in each process
        return numba.njit(function, **options)  # type: ignore[no-any-return]
