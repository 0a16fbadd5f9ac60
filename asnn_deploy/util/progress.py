"""Progress: the core says which phase of the work it is in; whoever wants to show that listens.

    with phase("export"): ...
    for batch in track(batches, "verify"): ...
    with plan({"train": 30, "evaluate": 5}):  # what is to come, and about how long it takes
        with phase("train", total=300) as training: training.advance()

Nobody listens unless asked to: the command line shows bars on a terminal and lines elsewhere, Python users have
`asnn_deploy.show_progress()`. Phases may begin in any thread; processes that were forked off are silent.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol, TypeVar

T = TypeVar("T")
LOOK = 0.1
"""Seconds between two looks of a listener."""


class Phase:
    """A stretch of work under way. total: its units, if they can be counted; done: those that are behind it."""

    def __init__(self, name: str, total: float | None = None, once: bool = False) -> None:
        self.name, self.total, self.done = name, total, 0.0
        self.once, self.aside = once, 0.0
        self.began, self.thread = time.monotonic(), threading.get_ident()
        self.inner: Plan | None = None
        self.describe: Callable[[], str] = str
        """Return what else is to be said of it at the moment; asked by the listener, from its own thread."""

    def advance(self, units: float = 1) -> None:
        """Go on by some units."""
        self.done += units

    def say(self, text: str) -> None:
        """State what has been reached, such as an epoch's accuracy: a line of its own where lines are shown."""
        _reached(self, text)

    def elapsed(self) -> float:
        """Return the seconds since it began."""
        return time.monotonic() - self.began

    def worked(self) -> float:
        """Return the seconds that tell how long the rest takes: without what is done once, such as compilation."""
        return self.elapsed() - self.aside

    def left(self) -> float | None:
        """Return the seconds that it is expected to take yet; None as long as nothing is known."""
        if self.total:
            return self.worked() * max(0.0, self.total - self.done) / self.done if self.done else None
        return self.inner.left() if self.inner is not None else None


class Plan(Phase):
    """Phases that follow one another, each with the share of the time that it is expected to take, in any unit."""

    def __init__(self, weights: Mapping[str, float]) -> None:
        super().__init__("")
        self.weights = dict(weights)
        self.later = list(weights)
        self.current: Phase | None = None
        self.behind: list[tuple[float, float]] = []
        """Of each phase that has ended: its weight and its seconds."""

    def begin(self, part: Phase) -> None:
        """A part begins; those before it that never did are left out."""
        if part.name in self.later:
            self.later = self.later[self.later.index(part.name) + 1 :]
            self.current = part

    def end(self, part: Phase) -> None:
        """A part has ended."""
        if part is self.current:
            self.behind.append((self.weights[part.name], part.worked()))
            self.current = None

    def left(self) -> float | None:
        """Return what is left of the current part, and of those to come, at the speed of what was done so far."""
        known, own, current = list(self.behind), None, self.current
        if current is not None:
            elapsed, own = current.worked(), current.left()
            if own is not None and elapsed + own > 0:
                known.append((self.weights[current.name] * elapsed / (elapsed + own), elapsed))
        weight, seconds = (sum(column) for column in zip(*known)) if known else (0.0, 0.0)
        if not weight:
            return own
        rate = seconds / weight
        if current is not None and own is None:
            own = max(0.0, rate * self.weights[current.name] - current.worked())
        return (own or 0.0) + rate * sum(self.weights[name] for name in self.later)


class Listener(Protocol):
    """Shows progress. It is called from one thread at a time."""

    def look(self, phases: Sequence[Phase]) -> None:
        """See the phases under way, outermost first, ten times a second and, empty, when the last one has ended."""

    def reached(self, phases: Sequence[Phase], text: str) -> None:
        """Something was reached in the last of the phases."""


class _State:
    """What is under way in this process, and who listens."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.phases: list[Phase] = []
        self.listener: Listener | None = None
        self.ended = threading.Event()
        self.watch: threading.Thread | None = None


_state = _State()
if hasattr(os, "register_at_fork"):  # there, the lock may be held, and no thread watches
    os.register_at_fork(after_in_child=_state.__init__)  # type: ignore[misc]


@contextmanager
def phase(name: str, total: float | None = None, once: bool = False) -> Iterator[Phase]:
    """Be in a phase; within one of the same name, it is part of that one. once: it says nothing of how long others
    take that are under way meanwhile."""
    with _state.lock:
        around = _state.phases[-1] if _state.phases else None
    if around is not None and around.name == name and total is None:
        yield around
        return
    begun = Phase(name, total, once)
    with _under_way(begun):
        yield begun


def track(items: Collection[T], name: str) -> Iterator[T]:
    """Yield the items of a phase, one unit each."""
    with phase(name, len(items)) as begun:
        for item in items:
            yield item
            begun.advance()


@contextmanager
def plan(weights: Mapping[str, float]) -> Iterator[None]:
    """Announce the phases that follow, by name, with about how long each takes in relation to the others."""
    with _under_way(Plan(weights)):
        yield


def batches(count: int, size: int, name: str) -> Iterator[slice]:
    """Yield slices of at most `size` over `count` samples, a unit each sample."""
    with phase(name, count) as begun:
        for i in range(0, count, size):
            cut = slice(i, min(i + size, count))
            yield cut
            begun.advance(cut.stop - cut.start)


@contextmanager
def listening(listener: Listener | None) -> Iterator[None]:
    """Let a listener, or nobody, see all phases meanwhile; one that listened before does not."""
    before = _state.listener
    _listen(listener)
    try:
        yield
    finally:
        _listen(before)


def _listen(listener: Listener | None) -> None:
    with _state.lock:
        if _state.listener is not None:
            _state.listener.look(())
        _state.listener = listener
        if listener is not None and _state.phases:
            _watch()


@contextmanager
def _under_way(begun: Phase) -> Iterator[None]:
    with _state.lock:
        around = _state.phases[-1] if _state.phases else None
        if isinstance(begun, Plan) and around is not None and not isinstance(around, Plan):
            around.inner = begun
        if isinstance(around, Plan):
            around.begin(begun)
        _state.phases.append(begun)
        if _state.listener is not None:
            _watch()
    try:
        yield
    finally:
        with _state.lock:
            if begun in _state.phases:  # not in a process that was forked off meanwhile
                place = _state.phases.index(begun)  # what began in it is over too, also a loop that an error has left
                inside = [one for one in _state.phases[place:] if one.thread == begun.thread]
                _state.phases = [one for one in _state.phases if one not in inside]
            if isinstance(around, Plan):
                around.end(begun)
            for one in _state.phases if begun.once else ():
                one.aside += begun.elapsed()
            if not _named(_state.phases) and _state.listener is not None:
                _state.listener.look(())
            if not _state.phases:
                _state.ended.set()


def _watch() -> None:
    """Start the thread that shows what is under way; it ends with the last phase."""
    _state.ended.clear()
    if _state.watch is None:
        _state.watch = threading.Thread(target=_looking, args=(_state.ended,), name="progress", daemon=True)
        _state.watch.start()


def _looking(ended: threading.Event) -> None:
    while True:
        over = ended.wait(LOOK)
        with _state.lock:
            shown = _named(_state.phases)
            if _state.listener is None or (over and not _state.phases):
                _state.watch = None
                return
            if shown:
                _state.listener.look(shown)


def _reached(one: Phase, text: str) -> None:
    with _state.lock:
        if _state.listener is not None and one in _state.phases:
            _state.listener.reached(_named(_state.phases[: _state.phases.index(one) + 1]), text)


def _named(phases: Sequence[Phase]) -> list[Phase]:
    """Phases as they are shown: of those that are alone in one of their own name, the inner one."""
    named = [one for one in phases if not isinstance(one, Plan)]
    return [one for one, inner in zip(named, [*named[1:], None]) if inner is None or inner.name != one.name]


def time_left() -> float | None:
    """Return the seconds that all phases under way, and those planned after them, are expected to take yet."""
    with _state.lock:
        outermost = next(iter(_state.phases), None)
    return None if outermost is None else outermost.left()


def in_words(seconds: float) -> str:
    """Return a time as a reader counts it: "12 s", "3 min", "2 h 10 min"."""
    whole = round(seconds)
    if whole < 100:
        return f"{whole} s"
    minutes = round(whole / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"
