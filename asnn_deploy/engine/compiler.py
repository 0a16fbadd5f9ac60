"""`compiled`: how every kernel of the engine is compiled: once, kept on disk, without the interpreter's lock.

The one place that imports Numba, whose names kernels need, from here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from typing import Any

# Numba reads `.numba_config.yaml` in the working directory, which may be anybody's bundle, and unpickles what it finds
# in the cache that is named there. What the environment says goes before; "" is Numba's own default.
os.environ.setdefault("NUMBA_CACHE_DIR", "")

import numba
from numba import types
from numba.extending import intrinsic, overload

__all__ = ["compiled", "intrinsic", "overload", "types"]


def compiled(function: Callable[..., Any], fastmath: Collection[str] = ()) -> Any:
    """Compile for the argument types it meets. No fused multiply-adds: roundings are as written.

    fastmath: what the compiler may do to floats all the same, such as "reassoc", to add in another order.
    """
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": set(fastmath)}
    try:
        return numba.njit(function, cache=True, **options)
    except RuntimeError:  # no folder for the cache can be written: compile anew in each process
        return numba.njit(function, **options)
