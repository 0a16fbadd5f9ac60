"""The program that hosts the Lava runtime for Lava's own Processes. Its other end is `session.py`.

As `asnn_targets.lava.host`; for each run it answers with `("message", (layer, sample, step, values))` for every step
of every layer that is wanted, then `("done", None)`.
"""

from __future__ import annotations

import os
import time
from collections import deque
from multiprocessing.connection import Connection
from threading import Event
from typing import Any

import numpy as np
from lava.magma.core.run_conditions import RunSteps
from lava.magma.runtime.mgmt_token_enums import MGMT_RESPONSE

from asnn_deploy.util.arrays import Array
from asnn_targets.lava import host
from asnn_targets.lava.stock.network import RUN_CONFIG, Network, frames_of
from asnn_targets.lava.stock.session import StockPlan, time_steps_of


class StockHost(host.Host):
    """A running network of Lava's own Processes."""

    def __init__(self, plan: StockPlan, link: Connection) -> None:
        self.link, self.graph = link, plan.graph
        self.network = Network(plan.graph, plan.tapped)
        self.changed = Event()
        self.parent = os.getppid()
        self.next_check = 0.0
        self.runtime: Any = None

    def titles(self) -> dict[Any, str]:
        return dict(self.network.titles)

    def start(self) -> None:
        source = self.network.source
        try:
            source.create_runtime(run_cfg=RUN_CONFIG)
        finally:
            self.runtime = source.runtime
        self.inlet = source.in_port.external_pipe_csp_send_port
        self.outlets = [(tap, tap.process.out_port.external_pipe_csp_recv_port) for tap in self.network.taps]
        self.response = self.runtime.service_to_runtime[0]

    def run(self, images: Array) -> None:
        """Send images `[N, C, H, W]` through, step by step, and every layer's answer to the socket."""
        frames, steps = frames_of(self.graph, images), self.graph.time_steps
        length = time_steps_of(len(images), steps, max(tap.lag for tap, _ in self.outlets))
        nothing = np.zeros_like(frames[0])
        waiting = deque([*frames, *[nothing] * (length - len(frames))])
        seen = [0] * len(self.outlets)
        self.runtime.start(RunSteps(length, blocking=False))
        for port in (self.inlet, self.response, *(port for _, port in self.outlets)):
            port.observer = self.changed.set  # again for each run: Lava's own waiting takes them off
        while waiting or min(seen) < length or not self.answered(MGMT_RESPONSE.DONE):
            while waiting and self.inlet.probe():
                self.inlet.send(waiting.popleft())
            for i, (tap, port) in enumerate(self.outlets):
                while port.probe():
                    sample, step = divmod(seen[i] - tap.lag, steps)
                    values = port.recv()
                    if 0 <= sample < len(images):
                        self.link.send(("message", (tap.layer, sample, step, values)))
                    seen[i] += 1
            if self.answered(MGMT_RESPONSE.ERROR) or time.monotonic() > self.next_check:
                self.check()
                self.next_check = time.monotonic() + host.CHECK_SECONDS
            self.changed.wait(host.WAKE_SECONDS)
            self.changed.clear()
        self.runtime.wait()


def main(link: Connection, folder: str) -> None:
    """See `asnn_targets.lava.host.main`."""
    host.main(link, folder, StockHost)
