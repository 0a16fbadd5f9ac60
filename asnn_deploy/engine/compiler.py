"""`compiled`: how every kernel of the engine is compiled: once, kept on disk, without the interpreter's lock.

A kernel on disk holds all kernels that it calls, so it is renewed when any file of its folder changes; Numba alone
would look at the kernel's own file only. What kernels use of each other thus stands in one folder.

They are kept in the user's folder for caches, not in the package, which is then gone when it is uninstalled: a folder
for each state of the code, of which the latest stay. What stands there is unpickled, so it must be the user's alone.

The one place that imports Numba, whose names kernels need, from here.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
from collections.abc import Callable, Collection
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

# Numba reads `.numba_config.yaml` in the working directory, which may be anybody's bundle, and unpickles what it finds
# in the cache that is named there. What the environment says goes before; "" is Numba's own default.
os.environ.setdefault("NUMBA_CACHE_DIR", "")
os.environ.setdefault("NUMBA_CACHE_LOCATOR_CLASSES", "")

import numba
from numba import types
from numba.core import event
from numba.core.caching import CompileResultCacheImpl, FunctionCache, UserProvidedCacheLocator, UserWideCacheLocator
from numba.extending import intrinsic, overload

from asnn_deploy.util.machine import user_cache
from asnn_deploy.util.progress import phase

__all__ = ["compiled", "intrinsic", "overload", "types"]

KEPT = 16
"""States of code whose kernels are kept: this package has kernels in four folders, so the last four versions of it."""


class Announced(event.Listener):  # type: ignore[misc]
    """Says as a phase that Numba compiles; what is on disk already is only loaded, and says nothing."""

    def __init__(self) -> None:
        self.mine = threading.local()

    def on_start(self, event: event.Event) -> None:
        """A kernel, perhaps on behalf of one that calls it, begins to be compiled in this thread."""
        under_way = phase("compiling kernels, once", once=True)
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


class UserLocator(UserWideCacheLocator):  # type: ignore[misc]
    """Where a kernel is kept: a folder for the state of all files beside its own."""

    def __init__(self, py_func: Any, py_file: str) -> None:
        self._py_file, self._lineno = py_file, py_func.__code__.co_firstlineno
        folder = Path(py_file).parent
        self._root = kernels_folder()
        self._cache_path = str(self._root / f"{folder.name}-{sources(folder)[:16]}")

    @classmethod
    def from_function(cls, py_func: Any, py_file: str) -> UserLocator | None:
        """Return the place of a kernel; None if it cannot be kept."""
        return None if user_cache() is None else super().from_function(py_func, py_file)  # type: ignore[no-untyped-call]

    def get_source_stamp(self) -> str:
        """Return what is the same as long as the folder is; times of files differ between installations."""
        return sources(Path(self._py_file).parent)

    def ensure_cache_path(self) -> None:
        """Make the folder, and leave out the oldest of the others. Raises OSError if it is not the user's alone."""
        root, own = self._root, Path(self._cache_path)
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = root.stat()
        if hasattr(os, "getuid") and (status.st_uid != os.getuid() or status.st_mode & 0o022):
            raise OSError(f"{root}: others may write into it")
        new = not own.exists()
        super().ensure_cache_path()  # type: ignore[no-untyped-call]
        os.utime(own)
        if new:
            with suppress(OSError):  # another process may be at it, too
                last_used = sorted((p for p in root.iterdir() if p.is_dir()), key=lambda p: p.stat().st_mtime)
                for state in last_used[:-KEPT]:
                    shutil.rmtree(state, ignore_errors=True)


class KernelCacheImpl(CompileResultCacheImpl):  # type: ignore[misc]
    """Numba's, in the folder that NUMBA_CACHE_DIR names, else in the user's."""

    _locator_classes = [UserProvidedCacheLocator, UserLocator]  # noqa: RUF012 - as Numba has it


class FolderCache(FunctionCache):  # type: ignore[misc]
    """Numba's cache of a function on disk, whose entries are those of one state of the function's folder."""

    _impl_class = KernelCacheImpl

    def _index_key(self, sig: Any, codegen: Any) -> tuple[Any, ...]:
        own = super()._index_key(sig, codegen)  # type: ignore[no-untyped-call]
        return (*own, sources(Path(self._py_func.__code__.co_filename).parent))

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep a kernel, unless the disk is full or the folder was removed: then it is compiled again next time."""
        with suppress(OSError):
            super().save_overload(sig, data)  # type: ignore[no-untyped-call]


def kernels_folder() -> Path:
    """Return the folder of all kernels, of a user who has one for caches."""
    root = user_cache()
    assert root is not None
    return root / "asnn-deploy" / "kernels"


@cache
def sources(folder: Path) -> str:
    """Return a digest of all Python files in a folder, and of Numba's version."""
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.glob("*.py"))]
    return hashlib.sha256("".join([numba.__version__, *digests]).encode()).hexdigest()
