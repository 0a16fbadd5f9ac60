"""How the command line shows progress, on stderr: bars where somebody watches, lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from asnn_deploy.util.progress import Phase, listening, time_left
from asnn_deploy.util.progress_lines import Lines, far, remaining

SHORTEST = 0.3
"""A phase of fewer seconds gets no bar, which would only flicker."""


@contextmanager
def shown_progress() -> Iterator[None]:
    """Show meanwhile what is under way; of several processes that train together, the first one does."""
    from asnn_deploy.training.ranks import rank

    with listening(None if rank() or sys.stderr is None else Bars() if sys.stderr.isatty() else Lines()):
        yield


class Bars:
    """A bar for each phase under way, and below them the time left of all. They vanish with the last phase."""

    def __init__(self) -> None:
        self.file = sys.stderr
        self.bars: Any = None  # of rich, which is loaded when the first bar is drawn
        self.tasks: dict[Phase, Any] = {}

    def look(self, phases: Sequence[Phase]) -> None:
        """Draw the phases under way."""
        if not phases:
            self._clear()
            return
        lasting = [one for one in phases if one.elapsed() >= SHORTEST or one in self.tasks]
        if self.bars is None:
            if not lasting:
                return
            from asnn_deploy.cli.common import bars

            self.bars = bars(self.file)
            self.bars.start()
        for one in [one for one in self.tasks if one not in lasting]:
            self.bars.remove_task(self.tasks.pop(one))
        left = remaining(time_left()).removeprefix("; ")
        for one in lasting:
            if one not in self.tasks:
                self.tasks[one] = self.bars.add_task("", total=None, left="")
            self.bars.update(
                self.tasks[one],
                description=far(one),
                total=one.total,
                completed=one.done,
                left=left if one is lasting[-1] else "",
            )
        self.bars.refresh()

    def reached(self, phases: Sequence[Phase], text: str) -> None:
        """What was reached is in the bar's description (`Phase.describe`)."""

    def _clear(self) -> None:
        if self.bars is not None:
            self.bars.stop()
        self.bars, self.tasks = None, {}
