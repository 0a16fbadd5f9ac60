"""Every way in which a Lava runtime can end: one clear line in time, and nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import psutil
import pytest
from asnn_targets.lava import fixed_target, hosted, session, target
from asnn_targets.lava.messages import Layout, Slot
from asnn_targets.lava.partition import cut_positions
from networks.lenet import small_lenet
from networks.making import random_inputs

from asnn_deploy.deploy.deployment import Deployment
from asnn_deploy.engine import runner as reference
from asnn_deploy.errors import TargetError
from asnn_deploy.ir.trace import Record

pytestmark = pytest.mark.skipif(target.unavailable() is not None, reason=str(target.unavailable()))


def opened(chosen, graph, **options):
    return replace(chosen, **options).open(Deployment(graph), 8)


def finest(graph):
    """A stage for every place where a graph may be cut."""
    edges = [0, *cut_positions(graph), len(graph.layers)]
    return [tuple(layer.name for layer in graph.layers[a:b]) for a, b in pairwise(edges)]


def shared_memory(processes):
    """The names of the shared memory segments that processes have mapped."""
    return {file.path for process in processes for file in process.memory_maps() if file.path.startswith("/dev/shm/")}


class Footprint:
    """The processes, shared memory and files of a host."""

    def __init__(self, host):
        self.folder = Path(host._folder.name)
        parent = psutil.Process(host._process.pid)
        self.processes = [parent, *parent.children(recursive=True)]
        self.segments = shared_memory(self.processes)
        assert len(self.processes) >= len(host.pids) + 3  # the host, the shared memory manager, the resource tracker
        assert self.segments
        assert self.folder.exists()

    def check_gone(self):
        running = [p for p in self.processes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
        assert not running
        assert not [path for path in self.segments if os.path.exists(path)]
        assert not self.folder.exists()


PATIENCE = 60
"""Seconds in which everything has ended; a slow machine takes a few."""


@contextmanager
def nothing_left(lava):
    """The block ends, and no process, segment or file of the session remains."""
    footprint = Footprint(lava._hosts[0])
    start = time.monotonic()
    yield
    assert time.monotonic() - start < PATIENCE
    footprint.check_gone()
    assert lava.pids == []


@pytest.fixture
def images():
    return random_inputs(small_lenet(), 4)


def test_an_ordinary_end_leaves_nothing(images, capfd):
    with opened(target, small_lenet()) as lava:
        lava.run(images)
        with nothing_left(lava):
            lava.close()
        again = lava.run(images)  # a closed session starts anew
    assert np.array_equal(again.logits, reference.run(small_lenet(), images).logits)
    assert capfd.readouterr() == ("", "")


def test_a_process_model_that_raises(images, monkeypatch, capfd):
    whole = session.plan(small_lenet(), Record(), 4, finest(small_lenet()))
    first, second, third, fourth = whole.stages
    impossible = Layout([*second.outlet.slots, Slot("nobody", "uint8", ())])
    line = (first, replace(second, outlet=impossible), replace(third, inlet=impossible), fourth)
    monkeypatch.setattr(session, "plan", lambda *_: replace(whole, stages=line))
    ask, seen = hosted.HostProcess.ask, []

    def watched(host, command, payload):
        seen.append((Footprint(host), time.monotonic()))
        ask(host, command, payload)

    monkeypatch.setattr(hosted.HostProcess, "ask", watched)
    with opened(target, small_lenet()) as lava:
        with pytest.raises(TargetError) as error:
            lava.run(images)
        ((footprint, start),) = seen
        assert time.monotonic() - start < PATIENCE
        footprint.check_gone()
    assert str(error.value) == "target 'lava': stage 2 (conv2..flatten) failed with KeyError: 'nobody'"
    assert error.value.exit_code == 3
    assert capfd.readouterr() == ("", "")


def test_a_process_model_that_cannot_be_built(images, monkeypatch, capfd):
    whole = session.plan(small_lenet(), Record(), 4, [tuple(small_lenet().by_name)])
    unknown = replace(whole.stages[0], graph=None)
    monkeypatch.setattr(session, "plan", lambda *_: replace(whole, stages=(unknown,)))
    with (
        opened(target, small_lenet()) as lava,
        pytest.raises(TargetError, match=r"^target 'lava': AttributeError: 'NoneType' .*$"),
    ):
        lava.run(images)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("victim", [0, 1, -1])
def test_a_killed_actor(images, victim, capfd):
    with opened(fixed_target, small_lenet(), stages=2) as lava:
        lava.run(images)
        pid = lava.pids[victim]
        first, second = (f"stage {i} ({stage.title})" for i, stage in enumerate(lava._plan.stages, 1))
        title = [first, second, "the runtime service"][victim]
        with nothing_left(lava):
            os.kill(pid, signal.SIGKILL)
            with pytest.raises(TargetError) as error:
                lava.run(images)
    assert str(error.value) == (
        f"target 'lava-fixed': {title} (process {pid}) was killed by SIGKILL; the machine may be out of memory"
    )
    assert capfd.readouterr() == ("", "")


def test_a_killed_host(images, capfd):
    with opened(target, small_lenet()) as lava:
        lava.run(images)
        with nothing_left(lava):
            lava._hosts[0]._process.kill()
            with pytest.raises(TargetError, match=r"target 'lava': the runtime ended unexpectedly: exit code -9"):
                lava.run(images)
    assert capfd.readouterr() == ("", "")


def test_an_exceeded_time_limit(images, capfd):
    with opened(target, small_lenet()) as lava:
        lava.run(images)
        for host in lava._hosts:  # it has started, which may take long on a busy machine
            host.time_limit = 1.0
        with nothing_left(lava):
            os.kill(lava.pids[1], signal.SIGSTOP)
            with pytest.raises(TargetError, match=r"target 'lava': no progress for 1 s, so it was stopped: "):
                lava.run(images)
    assert capfd.readouterr() == ("", "")


def test_control_c(images, capfd):
    with opened(target, small_lenet()) as lava:
        lava.run(images)
        with nothing_left(lava):
            os.kill(lava.pids[1], signal.SIGSTOP)
            threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
            with pytest.raises(KeyboardInterrupt):
                lava.run(images)
    assert capfd.readouterr() == ("", "")


def test_a_dead_user_takes_the_runtime_along():
    """Killed without a chance to clean up, this side is missed by the other."""
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from networks.lenet import small_lenet\n"
        "from networks.making import random_inputs\n"
        "from asnn_targets.lava import target\n"
        "from asnn_deploy.deploy.deployment import Deployment\n"
        "graph = small_lenet()\n"
        "lava = target.open(Deployment(graph), 4)\n"
        "lava.run(random_inputs(graph, 4))\n"
        "print(lava._hosts[0]._process.pid, lava._hosts[0]._folder.name, flush=True)\n"
        "sys.stdin.read()\n"
    )
    tests = str(Path(__file__).parent.parent)
    command = [sys.executable, "-c", program, tests]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as user:
        pid, folder = user.stdout.readline().split()
        host = psutil.Process(int(pid))
        processes = [host, *host.children(recursive=True)]
        segments = shared_memory(processes)
        assert segments
        user.kill()
    psutil.wait_procs(processes, timeout=PATIENCE)
    assert not [process for process in processes if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
    assert not [path for path in segments if os.path.exists(path)]
    assert not os.path.exists(folder)
