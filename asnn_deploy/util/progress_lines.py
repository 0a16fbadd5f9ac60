"""Progress as plain lines, for logs and whoever reads no terminal: a line for each epoch and each phase that lasts."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TextIO

from asnn_deploy.util.progress import Phase, in_words, listening, time_left
from asnn_deploy.util.text import printable

PATIENCE = 1.0
"""Seconds without a line after which the phase under way is named."""
SHORTEST = 0.3
"""A phase of fewer seconds is not named: the one around it is."""
OFTEN, SHARE, MOST = 2.0, 0.1, 60.0
"""What was named is told again after OFTEN seconds or that share of what has passed, but after MOST at the latest."""


class Lines:
    """Writes lines, never a carriage return; file: stderr, as it is now, if none is given."""

    def __init__(self, file: TextIO | None = None) -> None:
        self.file, self.last = file or sys.stderr, float("inf")
        self.told: set[tuple[str, ...]] = set()

    def look(self, phases: Sequence[Phase]) -> None:
        """Name the phase under way, or tell how far it is."""
        self.last = min(self.last, time.monotonic())  # what was before the first phase is no silence of its own
        lasting = [one for one in phases if one.elapsed() >= SHORTEST]
        if not lasting:
            return
        names, outer = tuple(one.name for one in lasting), lasting[0].elapsed()
        known = names in self.told
        if time.monotonic() - self.last >= (min(max(OFTEN, SHARE * outer), MOST) if known else PATIENCE):
            one = lasting[-1]
            so_far = f" ({in_words(one.elapsed())} so far)" if known and not one.total else ""
            self._write(": ".join(map(far, lasting)) + so_far)
            self.told.add(names)

    def reached(self, phases: Sequence[Phase], text: str) -> None:
        """Write what was reached."""
        self._write(f"{': '.join(one.name for one in phases)}: {text}")

    def _write(self, text: str) -> None:
        self.last = time.monotonic()
        with suppress(OSError, ValueError, AttributeError):  # closed: nobody reads it
            print(printable(text) + remaining(time_left()), file=self.file, flush=True)


def far(one: Phase) -> str:
    """Return a phase's name and how far it is."""
    share = f" {100 * min(1, one.done / one.total):.0f} %" if one.total else ""
    more = one.describe()
    return f"{one.name}{share}, {more}" if more else f"{one.name}{share}"


def remaining(seconds: float | None) -> str:
    """Return the end of a line that tells the time left."""
    return "" if seconds is None or seconds < 0.5 else f"; about {in_words(seconds)} left"


@contextmanager
def show_progress(file: TextIO | None = None) -> Iterator[None]:
    """Show meanwhile, on stderr or in a file, a line for each phase that lasts over a second, and for each epoch."""
    with listening(Lines(file)):
        yield
