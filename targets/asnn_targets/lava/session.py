"""A Lava pipeline as a Session: started in a process of its own, watched, and ended without a trace."""

from __future__ import annotations

import math
import os
import pickle
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from asnn_deploy.errors import InputError, TargetError
from asnn_deploy.graph import DeployGraph
from asnn_deploy.neurons import check_neurons
from asnn_deploy.reference import cores
from asnn_deploy.step_table import Array
from asnn_deploy.trace import Record, Trace
from asnn_targets.lava.messages import ANSWER, SUMMAND, potential_of
from asnn_targets.lava.partition import best_partition, measure, partition
from asnn_targets.lava.stages import Plan, plan

LOGITS_ONLY = Record()
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
        self._link = Connection(ours.detach())
        with theirs, self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _PROGRAM.format(module=module), str(theirs.fileno()), self._folder.name],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **_ENVIRONMENT, "TMPDIR": self._folder.name},
                start_new_session=True,  # Ctrl-C reaches us alone, and we can end the whole group
            )
        self.pids: list[int] = []

    def start(self, whole: Plan) -> None:
        """Send the plan and wait until the network runs."""
        self._send(sys.path)
        self._send(whole)
        self.pids = self.receive("ready")

    def _send(self, message: Any) -> None:
        with suppress(OSError):  # the host is gone: the next `receive` says why
            self._link.send(message)

    def ask(self, command: str, payload: Any) -> None:
        """Send a command."""
        self._send((command, payload))

    def receive(self, expected: str) -> Any:
        """The payload of the next message. Raises TargetError for any other kind, an end, or none in time."""
        if not self._link.poll(self.time_limit):
            raise self.failure(
                f"no progress for {self.time_limit:g} s, so it was stopped: "
                "a Process hangs, or one step of a batch takes longer than that; try a smaller batch size"
            )
        try:
            kind, payload = self._link.recv()
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
        self.ask("close", None)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(3)
        self.kill()

    def kill(self) -> None:
        """End it now: first the host, which cleans up after itself, then whatever is left of its process group."""
        self._link.close()
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


class LavaSession:
    """One network on Lava, batch after batch.

    graph: what runs; its arithmetic chooses the ProcessModels.
    rows: samples per message; larger batches are sent as several, which keeps all stages busy.
    stages: at most so many Processes in the line; None for as many as pay off.
    time_limit: seconds without any message after which the runtime counts as hung.
    """

    program = "asnn_targets.lava.host"

    def __init__(
        self, name: str, graph: DeployGraph, batch_size: int, rows: int, stages: int | None, time_limit: float
    ) -> None:
        check_neurons(graph)
        self.name, self.graph, self.batch_size = name, graph, batch_size
        self.rows, self.stages, self.time_limit = rows, stages, time_limit
        self._host: HostProcess | None = None
        self._plan: Plan | None = None
        self._parts: list[tuple[str, ...]] = [tuple(graph.by_name)]
        self._measured = False

    @property
    def pids(self) -> list[int]:
        """The process ids of the running Lava Processes, in the pipeline's order, then the runtime service."""
        return list(self._host.pids) if self._host else []

    def run(self, images: Array, record: Record = LOGITS_ONLY) -> Trace:
        """See asnn_deploy.plugins.Session. The network starts at the first run, and again where `record` changes."""
        if len(images) > self.batch_size:
            raise InputError(f"target {self.name!r}: {len(images)} images, opened for batches of {self.batch_size}")
        if not len(images):
            return self._collector(self._planned(record, images), 0).trace()
        try:
            if self._host is None or self._plan is None or self._plan.record != record:
                self.close()
                self._plan = self._planned(record, images)
                self._host = HostProcess(self.name, self.time_limit, self.program)
                self._host.start(self._plan)
            return self._run(self._host, self._plan, np.ascontiguousarray(images, np.uint8))
        except BaseException:
            self._abandon()
            raise

    def _planned(self, record: Record, images: Array) -> Any:
        return plan(self.graph, record, self.rows, self._partition(images))

    def _partition(self, images: Array) -> list[tuple[str, ...]]:
        """The layers of each stage, by what they cost on the first images that are run."""
        if len(images) and not self._measured:
            costs = measure(self.graph, images[: self.rows])
            if self.stages is None:
                self._parts = best_partition(self.graph, costs, cores())
            else:
                self._parts = partition(self.graph, costs, self.stages)
            self._measured = True
        return self._parts

    def _collector(self, whole: Any, samples: int) -> Any:
        return Collector(self.name, whole, samples)

    def _run(self, host: HostProcess, whole: Any, images: Array) -> Trace:
        host.ask("run", images)
        collector = self._collector(whole, len(images))
        for start in range(0, len(images), whole.rows):
            for t in range(self.graph.time_steps):
                collector.take(t, start, whole.answers.unpack(host.receive("message")))
        host.receive("done")
        return collector.trace()

    def _abandon(self) -> None:
        host, self._host = self._host, None
        if host:
            host.kill()

    def close(self) -> None:
        """Stop the network; nothing stays behind."""
        host, self._host = self._host, None
        if host:
            host.close()

    def __enter__(self) -> LavaSession:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self._abandon()


class Collector:
    """Puts the messages of a run together into a Trace."""

    def __init__(self, name: str, whole: Plan, samples: int) -> None:
        graph, record = whole.graph, whole.record
        self.name, self.readout = name, graph.readout
        self.fixed = graph.arithmetic == "fixed"
        slots = {slot.name: slot for slot in whole.answers.slots}

        def room(name: str, *leading: int) -> Array:
            return np.zeros((*leading, samples, *slots[name].shape), slots[name].dtype)

        steps, neurons = graph.time_steps, [neuron.name for neuron in graph.neurons]
        self.answer = room(ANSWER)
        self.summands = room(SUMMAND, steps) if record.step_logits else None
        self.spikes = {n: room(n, steps) for n in neurons} if record.spikes else {}
        self.potentials = {n: room(potential_of(n), steps) for n in neurons} if record.potentials else {}

    def take(self, step: int, start: int, values: dict[str, Array]) -> None:
        """The values of one time step for the samples from `start` on."""
        samples = slice(start, start + len(values[ANSWER]))
        self.answer[samples] = values[ANSWER]
        if self.summands is not None:
            self.summands[step, samples] = values[SUMMAND]
        for name, array in self.spikes.items():
            array[step, samples] = values[name]
        for name, array in self.potentials.items():
            array[step, samples] = values[potential_of(name)]

    def trace(self) -> Trace:
        """All of it."""
        samples, classes = len(self.answer), math.prod(self.answer.shape[1:])
        logits, steps = self.answer.reshape(samples, classes), self.summands
        if steps is not None:
            steps = steps.reshape(len(steps), samples, classes)
        if self.fixed:
            logits = logits * self.readout.unit
            steps = None if steps is None else steps * self.readout.unit
        return Trace(self.name, logits, self.spikes, self.potentials, steps)
