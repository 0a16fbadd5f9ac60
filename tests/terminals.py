"""Commands run in this process as on a terminal or in pipes, and what came out of them when."""

from __future__ import annotations

import os
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass

import click

from asnn_deploy.cli import run
from asnn_deploy.cli.progress import shown_progress
from asnn_deploy.util import progress

SAMPLED = 0.05
"""Seconds between two looks at what a command is doing."""


@dataclass
class Shown:
    """stdout and stderr as they came, the exit code, the seconds of all, and the longest stretch without a phase."""

    code: int
    out: str
    err: str
    seconds: float
    unnamed: float

    @property
    def lines(self):
        """What stands on stdout at last, without styles."""
        return click.unstyle(self.out).replace("\r", "").splitlines()


class Collected(threading.Thread):
    """Reads one end until the other is closed."""

    def __init__(self, terminal):
        super().__init__(daemon=True)
        self.reader, writer = os.openpty() if terminal else os.pipe()
        self.file = os.fdopen(writer, "w", buffering=1, encoding="utf-8")
        self.parts = []

    def run(self):
        try:
            while part := os.read(self.reader, 1 << 16):
                self.parts.append(part)
        except OSError:  # how a terminal says that the other end is closed
            pass
        os.close(self.reader)

    def text(self):
        self.file.close()
        self.join()
        return b"".join(self.parts).decode()


class Watch(threading.Thread):
    """Looks at a thread, and measures its longest stretch in which it neither imports nor is in a phase."""

    def __init__(self):
        super().__init__(daemon=True)
        self.watched, self.over, self.longest = threading.get_ident(), threading.Event(), 0.0

    def run(self):
        since = time.monotonic()
        while not self.over.wait(SAMPLED):
            frame, importing = sys._current_frames().get(self.watched), False
            while frame is not None and not importing:
                importing = "importlib._bootstrap" in frame.f_code.co_filename
                frame = frame.f_back
            now = time.monotonic()
            if importing or progress._named(progress._state.phases):
                since = now
            self.longest = max(self.longest, now - since)


@contextmanager
def streams(terminal):
    before = sys.stdout, sys.stderr
    out, err = Collected(terminal), Collected(terminal)
    for each in (out, err):
        each.start()
    sys.stdout, sys.stderr = out.file, err.file
    try:
        yield out, err
    finally:
        sys.stdout, sys.stderr = before


def shown(arguments, terminal, width=80):
    """Run a command on a terminal of so many columns, or in pipes."""
    watch, begin = Watch(), time.monotonic()
    columns = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = str(width)
    try:
        with streams(terminal) as (out, err):
            watch.start()
            code = run([str(argument) for argument in arguments], shown_progress)
            watch.over.set()
    finally:
        os.environ.pop("COLUMNS")
        if columns is not None:
            os.environ["COLUMNS"] = columns
    return Shown(code, out.text(), err.text(), time.monotonic() - begin, watch.longest)
