"""`compiled`: how every kernel of the engine is compiled: once, kept on disk, without the interpreter's lock.

A kernel on disk holds all kernels that it calls, so it is renewed when any file of its folder changes; Numba alone
would look at the kernel's own file only. What kernels use of each other thus stands in one folder.

The one place that imports Numba, whose names kernels need, from here.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Collection
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

# Numba reads `.numba_config.yaml` in the working directory, which may be anybody's bundle, and unpickles what it finds
# in the cache that is named there. What the environment says goes before; "" is Numba's own default.
os.environ.setdefault("NUMBA_CACHE_DIR", "")

import numba
from numba import types
from numba.core import event
from numba.core.caching import FunctionCache
from numba.extending import intrinsic, overload

from asnn_deploy.util.progress import phase

__all__ = ["compiled", "intrinsic", "overload", "types"]


class Announced(event.Listener):  # type: ignore[misc]
    """Says as a phase that Numba compiles; what is on disk already is only loaded, and says nothing."""

    def __init__(self) -> None:
        self.mine = threading.local()

    def on_start(self, event: event.Event) -> None:
        """A kernel, perhaps on behalf of one that calls it, begins to be compiled in this thread."""
        under_way = phase("compiling kernels, once")
        under_way.__enter__()
        self.mine.__dict__.setdefault("under_way", []).append(under_way)

    def on_end(self, event: event.Event) -> None:
        """It is done, or has failed."""
        self.mine.under_way.pop().__exit__(None, None, None)


event.register("numba:compile", Announced())  # type: ignore[no-untyped-call]


def compiled(function: Callable[..., Any], fastmath: Collection[str] = ()) -> Any:
    """Compile for the argument types it meets. No fused multiply-adds: roundings are as written.

    fastmath: what the compiler may do to floats all the same, such as "reassoc", to add in another order.
    """
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": set(fastmath)}
    made = numba.njit(function, **options)
    with suppress(RuntimeError):  # no folder for the cache can be written: compile in each process
        made._cache = FolderCache(function)  # type: ignore[no-untyped-call]
    return made


class FolderCache(FunctionCache):  # type: ignore[misc]
    """Numba's cache of a function on disk, whose entries are those of one state of the function's folder."""

    def _index_key(self, sig: Any, codegen: Any) -> tuple[Any, ...]:
        own = super()._index_key(sig, codegen)  # type: ignore[no-untyped-call]
        return (*own, sources(Path(self._py_func.__code__.co_filename).parent))


@cache
def sources(folder: Path) -> str:
    """Return a digest of all Python files in a folder."""
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.glob("*.py"))]
    return hashlib.sha256("".join(digests).encode()).hexdigest()
