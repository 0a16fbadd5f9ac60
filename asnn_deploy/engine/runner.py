"""Runs batch after batch of images on all cores."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import local
from typing import TypeVar

import numpy as np

from asnn_deploy.engine.executor import LOGITS_ONLY, Executor, synaptic_inputs
from asnn_deploy.ir.graph import DeployGraph, check_neurons
from asnn_deploy.ir.trace import Record, Trace
from asnn_deploy.util.arrays import Array
from asnn_deploy.util.machine import cores
from asnn_deploy.util.progress import batches

R = TypeVar("R")


PIECE = 16
"""Samples that a thread computes at a time: few enough for the cache, enough to outweigh a call."""


class Runner:
    """Runs batch after batch of images on all cores: each thread computes pieces of a batch by its own executor."""

    def __init__(self, graph: DeployGraph, threads: int | None = None) -> None:
        check_neurons(graph)
        self.graph, self.threads = graph, threads or cores()
        self._pool = ThreadPoolExecutor(self.threads)
        self._mine = local()

    def run(self, images: Array, record: Record = LOGITS_ONLY) -> Trace:
        """Run uint8 images `[N, C, H, W]`."""
        return Trace.concatenate(self.map(images, record, lambda _, trace: trace))

    def map(self, images: Array, record: Record, work: Callable[[slice, Trace], R]) -> list[R]:
        """Run images in pieces, and have each thread do `work` on its piece's trace while that is in the cache."""
        return self._pieces(images, lambda cut: work(cut, self._executor(record).run(images[cut], record)))

    def run_until(self, images: Array, margin: float) -> tuple[Trace, Array]:
        """Run uint8 images `[N, C, H, W]`, each until it answers; see `Executor.run_until`."""
        parts = self._pieces(images, lambda cut: self._executor(LOGITS_ONLY).run_until(images[cut], margin))
        return Trace.concatenate([trace for trace, _ in parts]), np.concatenate([steps for _, steps in parts])

    def _pieces(self, images: Array, work: Callable[[slice], R]) -> list[R]:
        size = max(1, min(PIECE, -(-len(images) // self.threads)))
        cuts = [slice(i, i + size) for i in range(0, max(len(images), 1), size)]
        if len(cuts) == 1:
            return [work(cuts[0])]
        return list(self._pool.map(work, cuts))

    def _executor(self, record: Record) -> Executor:
        """This thread's own."""
        if getattr(self._mine, "record", None) != record:
            graph = self.graph
            wanted = {graph.readout.name, *(synaptic_inputs(graph) if record.arriving else ())}
            wanted |= {neuron.name for neuron in graph.spiking if record.spikes}
            self._mine.executor = Executor(graph, None, wanted, record.potentials, counts=record.spike_counts)
            self._mine.record = record
        executor: Executor = self._mine.executor
        return executor

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown()

    def __enter__(self) -> Runner:
        return self

    def __exit__(self, *_reason: object) -> None:
        self.close()


def run(
    graph: DeployGraph,
    images: Array,
    record: Record = LOGITS_ONLY,
    batch_size: int = 64,
    what: str = "run the reference",
) -> Trace:
    """Run uint8 images `[N, C, H, W]` in batches and join their traces; what: the phase that this is."""
    with Runner(graph) as runner:
        cuts = batches(max(len(images), 1), batch_size, what)
        return Trace.concatenate([runner.run(images[cut], record) for cut in cuts])
