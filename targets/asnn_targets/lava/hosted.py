"""The host program as seen from here: started in its own process, watched, and ended without a trace."""

from __future__ import annotations

import os
import pickle
import signal
import socket
import subprocess
import sys
import tempfile
import time
from abc import abstractmethod
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from asnn_deploy.deploy.protocols import LOGITS_ONLY, Session
from asnn_deploy.errors import InputError, TargetError
from asnn_deploy.ir.graph import DeployGraph, check_neurons
from asnn_deploy.ir.trace import Record, Trace
from asnn_deploy.util.arrays import Array
from asnn_deploy.util.progress import phase

LONGEST_FOLDER = 50
"""Letters of a folder in which multiprocessing can still put its socket: its whole path may have 107."""
_ENVIRONMENT = {
    # The stages share the cores; more threads in each only get in their way.
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"),
    # Every step frees the arrays that the next one takes again: glibc is to keep them (a tenth more samples/s).
    "MALLOC_MMAP_THRESHOLD_": str(2**25),
    "MALLOC_TRIM_THRESHOLD_": str(2**30),
}
_PROGRAM = (
    "import sys; from multiprocessing.connection import Connection; link = Connection(int(sys.argv[1])); "
    "sys.path[:] = link.recv(); from {module} import main; main(link, sys.argv[2])"
)


class HostProcess:
    """The host program and the socket to it. Every failure ends as one TargetError, with nothing left running.

    module: where the program's `main` is.
    """

    def __init__(self, name: str, time_limit: float, module: str) -> None:
        self.name, self.time_limit = name, time_limit
        crowded = len(tempfile.gettempdir()) > LONGEST_FOLDER
        self._folder = tempfile.TemporaryDirectory(prefix="asnn-", dir="/tmp" if crowded else None)
        self._log = Path(self._folder.name) / "log"
        ours, theirs = socket.socketpair()
        self.link = Connection(ours.detach())
        with theirs, self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _PROGRAM.format(module=module), str(theirs.fileno()), self._folder.name],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **_ENVIRONMENT, "TMPDIR": self._folder.name},
                # Python looks for modules in the working directory first, here and in the helpers that multiprocessing
                # starts. The user's may be anybody's bundle; this one is new and ours alone.
                cwd=self._folder.name,
                start_new_session=True,  # Ctrl-C reaches us alone, and we can end the whole group
            )
        self.pids: list[int] = []

    def begin(self, whole: Any) -> None:
        """Send the plan. When the network runs, "ready" is received, with the ids of its processes."""
        self._send(module_path())
        self._send(whole)

    def _send(self, message: Any) -> None:
        with suppress(OSError):  # the host is gone: the next `receive` says why
            self.link.send(message)

    def ask(self, command: str, payload: Any) -> None:
        """Send a command."""
        self._send((command, payload))

    def receive(self, expected: str) -> Any:
        """The payload of the next message. Raises TargetError for any other kind, an end, or none in time."""
        if not self.link.poll(self.time_limit):
            raise self.failure(
                f"no progress for {self.time_limit:g} s, so it was stopped: "
                "a Process hangs, or one step of a batch takes longer than that; try a smaller batch size"
            )
        try:
            kind, payload = self.link.recv()
        except (EOFError, OSError, pickle.UnpicklingError):
            raise self.failure(f"the runtime ended unexpectedly: {self._last_words()}") from None
        if kind != expected:
            raise self.failure(str(payload))
        return payload

    def failure(self, text: str) -> TargetError:
        """End everything, and put the reason into words."""
        self.kill()
        return TargetError(f"target {self.name!r}: {text}")

    def _last_words(self) -> str:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return lines[-1].strip() if lines else f"exit code {self._process.returncode}"

    def close(self) -> None:
        """End politely where possible."""
        with phase(f"stop {self.name}"):
            self.ask("close", None)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(3)
            self.kill()

    def kill(self) -> None:
        """End it now: first the host, which cleans up after itself, then whatever is left of its process group."""
        self.link.close()
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(2)
        self._process.kill()
        self._process.wait()
        # SIGTERM spares multiprocessing's resource tracker, which then gives shared memory back.
        for number, patience in ((signal.SIGTERM, 1.0), (signal.SIGKILL, 0.5)):
            if group_is_gone(self._process.pid, number, patience):
                break
        self._folder.cleanup()


def module_path() -> list[str]:
    """Return where this interpreter finds modules, for another one; without the working directory as such, which
    whoever starts `python -c` or a notebook has in the list unasked."""
    return [os.path.abspath(entry) for entry in sys.path if os.path.normpath(entry) != os.curdir]


def group_is_gone(group: int, number: int, patience: float) -> bool:
    """Send a signal to a process group, and wait until it is empty; False where it is not in time."""
    end = time.monotonic() + patience
    try:
        os.killpg(group, number)
        while time.monotonic() < end:
            os.killpg(group, 0)
            time.sleep(0.01)
    except ProcessLookupError:
        return True
    return False


def heard(hosts: list[HostProcess]) -> list[HostProcess]:
    """Those of which something can be received; the first of all, where nothing comes in its time."""
    links = {host.link: host for host in hosts}
    ready = wait(list(links), hosts[0].time_limit)
    return [links[link] for link in ready if isinstance(link, Connection)] or hosts[:1]


class HostedSession(Session):
    """One network in its own Lava runtimes, batch after batch.

    program: the module whose `main` is the host's.
    time_limit: seconds without any message after which the runtime counts as hung.
    """

    program: str

    def __init__(self, name: str, graph: DeployGraph, batch_size: int, time_limit: float) -> None:
        check_neurons(graph)
        self.name, self.graph, self.batch_size, self.time_limit = name, graph, batch_size, time_limit
        self._hosts: list[HostProcess] = []
        self._plan: Any = None

    @abstractmethod
    def _planned(self, record: Record, images: Array) -> Any:
        """Return what a host builds for this `record`; its first images are there to measure by."""

    @abstractmethod
    def _empty(self, whole: Any) -> Trace:
        """Return the trace of no samples."""

    @abstractmethod
    def _run(self, whole: Any, images: Array) -> Trace:
        """Run at least one image `[N, C, H, W]` on the hosts."""

    def _width(self) -> int:
        """Return how many runtimes work side by side."""
        return 1

    @property
    def pids(self) -> list[int]:
        """The process ids of the running Lava Processes, lane by lane in the pipeline's order, each with its runtime
        service behind it."""
        return [pid for host in self._hosts for pid in host.pids]

    def run(self, images: Array, record: Record = LOGITS_ONLY) -> Trace:
        """See Session. The network starts at the first run, and again if `record` changes."""
        if len(images) > self.batch_size:
            raise InputError(f"target {self.name!r}: {len(images)} images, opened for batches of {self.batch_size}")
        if not len(images):
            return self._empty(self._planned(record, images))
        try:
            if not self._hosts or self._plan is None or self._plan.record != record:
                self._start(record, images)
            return self._run(self._plan, np.ascontiguousarray(images, self.graph.code.dtype))
        except BaseException:
            self._abandon()
            raise

    def _start(self, record: Record, images: Array) -> None:
        self.close()
        self._plan = self._planned(record, images)
        self._hosts = [HostProcess(self.name, self.time_limit, self.program) for _ in range(self._width())]
        for host in self._hosts:
            host.begin(self._plan)
        for host in self._hosts:
            host.pids = host.receive("ready")

    def _abandon(self) -> None:
        hosts, self._hosts = self._hosts, []
        for host in hosts:
            host.kill()

    def close(self) -> None:
        """Stop the network; nothing stays behind."""
        hosts, self._hosts = self._hosts, []
        for host in hosts:
            host.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self._abandon()
