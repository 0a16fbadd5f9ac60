"""`compiled`: how every kernel of the engine is compiled: once, kept on disk, without the interpreter's lock."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import numba


def compiled(function: Callable[..., Any], fastmath: Collection[str] = ()) -> Any:
    """Compile for the argument types it meets. No fused multiply-adds: roundings are as written.

    fastmath: what the compiler may do to floats all the same, such as "reassoc", to add in another order.
    """
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": set(fastmath)}
    try:
        return numba.njit(function, cache=True, **options)
    except RuntimeError:  # no folder for the cache can be written: compile anew in each process
        return numba.njit(function, **options)
