"""The program that hosts the Lava runtime, in an interpreter of its own.

Lava forks its Processes, sets the start method of `multiprocessing` for its whole interpreter, waits for ever where a
Process dies, and prints when it is killed. Here that touches nobody: no torch, no threads and no GPU context are
forked, thread pools have one thread each, and whatever happens, one exit leaves no process and no shared memory.

The other end is `session.py`. Over a socket come a Plan, then `("run", images)` again and again, and `("close", None)`.
Back go `("ready", process ids)`; for each run `("message", rows)` for each chunk and answering step, then
`("done", None)`; or `("failed", text)`. A closed socket ends the program.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from threading import Event
from types import FrameType
from typing import Any

import numpy as np
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.magma.runtime.mgmt_token_enums import MGMT_RESPONSE, enum_equal

from asnn_deploy.ir.graph import INPUT
from asnn_deploy.util.arrays import Array
from asnn_targets.lava.messages import filled
from asnn_targets.lava.network import processes
from asnn_targets.lava.stages import Plan, Stage

WAKE_SECONDS = 0.005
"""The longest sleep: a port's observer is not called for a message that arrives while another one is being taken."""
CHECK_SECONDS = 0.05
"""How often to look at the Processes' health."""
CHANNEL_SIZE = 2
"""Messages that fit into a channel between stages: the one being read and the one being written."""
GRACE_SECONDS = 1
"""How long to wait for the reason why Processes ended without a fault of their own."""
POLITE_SECONDS = 2
"""How long Lava may take for its own STOP."""
TAGS = {"float32": "floating_pt", "fixed": "fixed_pt"}


class Failure(Exception):
    """One of the Processes failed; the text says which and how."""


class Host:
    """A running pipeline. `close` leaves nothing behind, whatever state it is in."""

    def __init__(self, plan: Plan, link: Connection) -> None:
        self.plan, self.link = plan, link
        self.steps = plan.graph.time_steps
        self.stages = processes.connect(plan)
        self.changed = Event()
        self.parent = os.getppid()
        self.next_check = 0.0
        self.runtime: Any = None

    def start(self) -> None:
        """Compile the network and start its Processes."""
        with suppress(Exception):  # a stage that cannot run says so itself, with its name
            warm_up(self.plan)
        try:
            self.stages[0].create_runtime(
                run_cfg=Loihi2SimCfg(select_tag=TAGS[self.plan.graph.arithmetic]),
                compile_config={"pypy_channel_size": CHANNEL_SIZE},
            )
        finally:
            self.runtime = self.stages[0].runtime
        self.inlet = self.stages[0].s_in.external_pipe_csp_send_port
        self.outlet = self.stages[-1].s_out.external_pipe_csp_recv_port
        self.response = self.runtime.service_to_runtime[0]

    def run(self, images: Array) -> None:
        """Send images `[N, C, H, W]` through in chunks of `rows`, and every message of the last stage to the socket."""
        rows, layout = self.plan.rows, self.plan.images
        chunks = [images[i : i + rows] for i in range(0, len(images), rows)]
        waiting = deque(layout.pack(layout.empty(rows), len(chunk), {INPUT: chunk}) for chunk in chunks)
        # Behind the last sample, bubbles carry it through: each stage is one time step behind the one before.
        waiting.extend(layout.empty(rows) for _ in self.stages[1:])
        expected = len(chunks) * len(self.plan.answering_steps)
        self.runtime.start(RunSteps(len(chunks) * self.steps + len(self.stages) - 1, blocking=False))
        for port in (self.inlet, self.outlet, self.response):  # again for each run: Lava's own waiting takes them off
            port.observer = self.changed.set
        while expected or waiting or not self.answered(MGMT_RESPONSE.DONE):
            while waiting and self.inlet.probe():
                self.inlet.send(waiting.popleft())
            while self.outlet.probe():
                message = self.outlet.recv()
                self.link.send(("message", message[: filled(message)]))
                expected -= 1
            if self.answered(MGMT_RESPONSE.ERROR) or time.monotonic() > self.next_check:
                self.check()
                self.next_check = time.monotonic() + CHECK_SECONDS
            self.changed.wait(WAKE_SECONDS)
            self.changed.clear()
        self.runtime.wait()

    def answered(self, response: Any) -> bool:
        """Whether the runtime service has sent this response."""
        return bool(self.response.probe() and enum_equal(self.response.peek(), response))

    def actors(self) -> list[tuple[str, Any]]:
        """The operating-system processes in the pipeline's order, each with the title of what runs in it."""
        if self.runtime is None or self.runtime._messaging_infrastructure is None:
            return []
        titles = self.titles()
        # Lava starts a process for each builder, in the builders' order, and the runtime service last.
        started = [*self.runtime._executable.proc_builders, None]
        found = dict(zip(started, self.runtime._messaging_infrastructure.actors))
        return [(titles.get(p, "the runtime service"), found[p]) for p in (*titles, None) if p in found]

    def titles(self) -> dict[Any, str]:
        """What to call each Process, in the pipeline's order."""
        return {p: f"stage {i} ({p.plan.title})" for i, p in enumerate(self.stages, 1)}

    def check(self) -> None:
        """Raise Failure where a Process has raised or died; end the program where nobody listens any more."""
        if os.getppid() != self.parent or self.link.poll():
            raise EOFError
        patience = time.monotonic() + GRACE_SECONDS
        while True:
            # In this order: what a Process raised is sent before it ends.
            dead = [(title, actor) for title, actor in self.actors() if not actor.is_alive()]
            for title, actor in self.actors():
                if actor.exception is not None:
                    raise Failure(f"{title} failed with {described(actor.exception[0])}")
            for title, actor in dead:
                if actor.exitcode or time.monotonic() > patience:
                    raise Failure(f"{title} (process {actor.pid}) {how_ended(actor.exitcode)}")
            if not dead:
                return
            time.sleep(WAKE_SECONDS)  # where one raised, Lava stops the others, and they may be gone first

    def stop(self) -> None:
        """The polite way: Lava's own STOP, which may hang."""
        signal.signal(signal.SIGALRM, leave)
        signal.alarm(POLITE_SECONDS)
        self.runtime.stop()
        signal.alarm(0)

    def close(self) -> None:
        """The sure way: kill every process that is left, and give the shared memory back."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        for _, actor in self.actors():
            with suppress(ValueError):  # it was closed by the polite way
                actor.kill()
                actor.join()
        infrastructure = self.runtime and self.runtime._messaging_infrastructure
        if infrastructure:
            with suppress(OSError, EOFError):  # its server was killed: the resource tracker gives the memory back
                infrastructure.smm.shutdown()
        resource_tracker._resource_tracker._stop()  # type: ignore[attr-defined]


def warm_up(plan: Plan) -> None:
    """Compile every stage's kernels, or read them from their cache, once: the Processes forked from here have them."""
    line = [Stage(stage, first=i == 0) for i, stage in enumerate(plan.stages)]
    message = plan.images.pack(
        plan.images.empty(plan.rows), 1, {INPUT: np.zeros((1, *plan.images.slots[0].shape), plan.graph.code.dtype)}
    )
    for t in range(plan.graph.time_steps):
        passed = message if t == 0 else None
        for stage in line:
            passed = stage.step(passed)


def how_ended(exit_code: int | None) -> str:
    """What an exit code says, in words."""
    if exit_code is not None and exit_code < 0:
        name = signal.Signals(-exit_code).name
        return f"was killed by {name}" + ("; the machine may be out of memory" if name == "SIGKILL" else "")
    return f"ended with exit code {exit_code}"


def leave(_number: int, _frame: FrameType | None) -> None:
    """Signal handler: unwind."""
    raise SystemExit


def serve(link: Connection, make: Callable[[Any, Connection], Host]) -> None:
    """Serve one plan until the socket says so or is closed."""
    host = None
    try:
        host = make(link.recv(), link)
        host.start()
        link.send(("ready", [actor.pid for _, actor in host.actors()]))
        while True:
            command, images = link.recv()
            if command == "close":
                host.stop()
                return
            host.run(images)
            link.send(("done", None))
    except Exception as error:
        with suppress(OSError):  # nobody listens any more
            link.send(("failed", str(error) if isinstance(error, Failure) else described(error)))
    finally:
        if host:
            host.close()


def described(error: Exception) -> str:
    """An exception in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split()) or 'no message'}"


def main(link: Connection, folder: str, make: Callable[[Any, Connection], Host] = Host) -> None:
    """Run the program; it ends here, without the waits that Lava's objects would add at an ordinary exit.

    folder: for temporary files; removed here where nobody else is left to do it. make: the host of a plan.
    """
    parent = os.getppid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, leave)

    def become_actor() -> None:
        link.close()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    os.register_at_fork(after_in_child=become_actor)
    try:
        serve(link, make)
    except SystemExit:
        pass
    finally:
        if os.getppid() != parent:
            shutil.rmtree(folder, ignore_errors=True)
        os._exit(0)
