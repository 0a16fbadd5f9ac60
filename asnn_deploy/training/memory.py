"""Keeping freed memory: training over T steps allocates and frees the same large arrays again and again."""

from __future__ import annotations

import ctypes
import sys

# glibc's malloc.h
M_TRIM_THRESHOLD = -1
M_MMAP_MAX = -4


def keep_freed_memory() -> None:
    """Let glibc's allocator reuse large blocks instead of handing them back to the system after each operation.

    Every block handed back must be cleared and mapped again, page by page, which costs as much as the arithmetic of
    a neuron. Nothing happens where the C library is another.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    mallopt(M_MMAP_MAX, 0)
    mallopt(M_TRIM_THRESHOLD, -1)
