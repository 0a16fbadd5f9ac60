"""This project's Lava pipeline as a Session."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.trace import Record, Trace
from asnn_deploy.util.arrays import Array
from asnn_deploy.util.machine import cores
from asnn_targets.lava.hosted import HostedSession, HostProcess, heard
from asnn_targets.lava.messages import ANSWER, SUMMAND, potential_of
from asnn_targets.lava.partition import Form, best_form, measure, partition, rows_of
from asnn_targets.lava.stages import Plan, plan


class LavaSession(HostedSession):
    """One network on this project's Processes.

    graph: what runs; its arithmetic chooses the ProcessModels.
    rows: samples per message; larger batches are sent as several, which keeps all stages busy.
    stages: the most Processes in a line; None for the form that pays off most. lanes: how many lines, if the
        stages are given.
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
        super().__init__(name, graph, batch_size, time_limit)
        self.rows, self.stages, self.lanes = rows, stages, lanes
        self._form: Form | None = None

    def _planned(self, record: Record, images: Array) -> Plan:
        form = self._best_form(images)
        return plan(self.graph, record, rows_of(form, self.batch_size, self.rows), form.stages)

    def _width(self) -> int:
        return self._form.lanes if self._form else 1

    def _best_form(self, images: Array) -> Form:
        """The stages and lanes, by what layers cost on the first images that are run."""
        if self._form is None and len(images):
            costs = measure(self.graph, images[: self.rows])
            if self.stages is None:
                self._form = best_form(self.graph, costs, cores(), self.batch_size, self.rows)
            else:
                self._form = Form(partition(self.graph, costs, self.stages), self.lanes)
        return self._form or Form([tuple(self.graph.by_name)], 1)

    def _empty(self, whole: Plan) -> Trace:
        return Collector(self.name, whole, 0).trace()

    def _run(self, whole: Plan, images: Array) -> Trace:
        collector = Collector(self.name, whole, len(images))
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
