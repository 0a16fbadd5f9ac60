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
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from asnn_deploy.errors import InputError, TargetError
from asnn_deploy.ir.graph import DeployGraph, check_neurons
from asnn_deploy.ir.trace import Record, Trace
from asnn_deploy.util.arrays import Array
from asnn_deploy.util.machine import cores
from asnn_targets.lava.messages import ANSWER, SUMMAND, potential_of
from asnn_targets.lava.partition import Form, best_form, measure, partition, rows_of
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


class LavaSession:
    """One network on Lava, batch after batch.

    graph: what runs; its arithmetic chooses the ProcessModels.
    rows: samples per message; larger batches are sent as several, which keeps all stages busy.
    stages: at most so many Processes in a line; None for the form that pays off most. lanes: so many lines, where the
        stages are given.
    time_limit: seconds without any message after which the runtime counts as hung.
    """

    program = "asnn_targets.lava.host"

    def __init__(
        self,
        name: str,
        graph: DeployGraph,
        batch_size: int,
        rows: int,
        stages: int | None,
        lanes: int,
        time_limit: float,
    ) -> None:
        check_neurons(graph)
        self.name, self.graph, self.batch_size = name, graph, batch_size
        self.rows, self.stages, self.lanes, self.time_limit = rows, stages, lanes, time_limit
        self._hosts: list[HostProcess] = []
        self._plan: Plan | None = None
        self._form: Form | None = None

    @property
    def pids(self) -> list[int]:
        """The process ids of the running Lava Processes, lane by lane in the pipeline's order, each with its runtime
        service behind it."""
        return [pid for host in self._hosts for pid in host.pids]

    def run(self, images: Array, record: Record = LOGITS_ONLY) -> Trace:
        """See protocols.Session. The network starts at the first run, and again where `record` changes."""
        if len(images) > self.batch_size:
            raise InputError(f"target {self.name!r}: {len(images)} images, opened for batches of {self.batch_size}")
        if not len(images):
            return self._collector(self._planned(record, images), 0).trace()
        try:
            if not self._hosts or self._plan is None or self._plan.record != record:
                self.close()
                self._plan = self._planned(record, images)
                lanes = self._form.lanes if self._form else 1
                self._hosts = [HostProcess(self.name, self.time_limit, self.program) for _ in range(lanes)]
                for host in self._hosts:
                    host.begin(self._plan)
                for host in self._hosts:
                    host.pids = host.receive("ready")
            return self._run(self._plan, np.ascontiguousarray(images, self.graph.code.dtype))
        except BaseException:
            self._abandon()
            raise

    def _planned(self, record: Record, images: Array) -> Any:
        form = self._best_form(images)
        return plan(self.graph, record, rows_of(form, self.batch_size, self.rows), form.stages)

    def _best_form(self, images: Array) -> Form:
        """The stages and lanes, by what layers cost on the first images that are run."""
        if self._form is None and len(images):
            costs = measure(self.graph, images[: self.rows])
            if self.stages is None:
                self._form = best_form(self.graph, costs, cores(), self.batch_size, self.rows)
            else:
                self._form = Form(partition(self.graph, costs, self.stages), self.lanes)
        return self._form or Form([tuple(self.graph.by_name)], 1)

    def _collector(self, whole: Any, samples: int) -> Any:
        return Collector(self.name, whole, samples)

    def _run(self, whole: Any, images: Array) -> Trace:
        collector = self._collector(whole, len(images))
        share = -(-len(images) // len(self._hosts))
        busy: dict[HostProcess, Iterator[tuple[int, int]]] = {}
        for start, host in zip(range(0, len(images), share), self._hosts):
            host.ask("run", images[start : start + share])
            stop = min(start + share, len(images))
            busy[host] = iter([(t, first) for first in range(start, stop, whole.rows) for t in whole.answering_steps])
        while busy:
            for host in heard(list(busy)):
                if (place := next(busy[host], None)) is not None:
                    collector.take(*place, whole.answers.unpack(host.receive("message")))
                else:
                    host.receive("done")
                    del busy[host]
        return collector.trace()

    def _abandon(self) -> None:
        hosts, self._hosts = self._hosts, []
        for host in hosts:
            host.kill()

    def close(self) -> None:
        """Stop the network; nothing stays behind."""
        hosts, self._hosts = self._hosts, []
        for host in hosts:
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
        self.spikes = {n.name: room(n.name, steps) for n in graph.spiking} if record.spikes else {}
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
        return Trace(self.name, logits, self.spikes, self.potentials, steps, rule=self.readout.rule)
