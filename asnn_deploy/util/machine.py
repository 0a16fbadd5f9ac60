"""What this machine has."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def cores() -> int:
    """How many processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def threads() -> int:
    """How many threads to compute with: OMP_NUM_THREADS, if that is a number above 0, else one for each core."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    return int(given) if given.isdecimal() and int(given) else cores()


def user_cache() -> Path | None:
    """Return the folder in which this user's programs keep what can be made again; None if there is no such user.

    As the systems have it: LOCALAPPDATA, ~/Library/Caches, XDG_CACHE_HOME (absolute paths only) or ~/.cache.
    """
    variable, usual = "XDG_CACHE_HOME", Path(".cache")
    if sys.platform == "win32":
        variable, usual = "LOCALAPPDATA", Path("AppData", "Local")
    elif sys.platform == "darwin":
        variable, usual = "", Path("Library", "Caches")
    given = Path(os.environ.get(variable, ""))
    if given.is_absolute():
        return given
    try:
        home = Path.home()
    except RuntimeError:
        return None
    return home / usual if home.is_absolute() else None
