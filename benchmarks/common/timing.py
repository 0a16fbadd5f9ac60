"""How long something takes."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence


def seconds(work: Callable[[], object], rounds: int) -> float:
    """The fastest of several rounds, behind one that compiles."""
    work()
    return min(_once(work) for _ in range(rounds))


def in_turns(works: Sequence[Callable[[], object]], rounds: int) -> list[float]:
    """The median of several rounds of each, one after the other in every round, behind two that warm up."""
    for work in (*works, *works):
        work()
    times = [[_once(work) for work in works] for _ in range(rounds)]
    return [statistics.median(each) for each in zip(*times)]


def _once(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
