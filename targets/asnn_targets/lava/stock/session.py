"""Lava's own Processes as a Session."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from asnn_deploy.ir.answers import final
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.trace import Record, Trace
from asnn_deploy.loihi import check_loihi
from asnn_deploy.util.arrays import Array
from asnn_targets.lava.hosted import HostedSession


@dataclass(frozen=True)
class StockPlan:
    """What the host shall build: a graph that `check_loihi` accepts, and what of it is wanted."""

    graph: DeployGraph
    record: Record

    @property
    def tapped(self) -> list[str]:
        """The layers whose output is wanted: the neurons where spikes are recorded, and what the readout reads."""
        return list(dict.fromkeys([*self.recorded, self.last]))

    @property
    def recorded(self) -> list[str]:
        """The neurons whose spikes are wanted."""
        return [neuron.name for neuron in self.graph.neurons] if self.record.spikes else []

    @property
    def last(self) -> str:
        """What the readout reads."""
        return self.graph.inputs_of[self.graph.readout.name][0].source


class StockSession(HostedSession):
    """One network on Lava's own Processes, batch after batch. Membrane potentials cannot be read; all else can."""

    program = "asnn_targets.lava.stock.host"

    def __init__(self, name: str, graph: DeployGraph, batch_size: int, time_limit: float) -> None:
        super().__init__(name, graph, batch_size, time_limit)
        check_loihi(graph)

    def _planned(self, record: Record, _images: Array) -> StockPlan:
        return StockPlan(self.graph, record)

    def _empty(self, whole: StockPlan) -> Trace:
        return StockCollector(self.name, whole, 0).trace()

    def _run(self, whole: StockPlan, images: Array) -> Trace:
        (host,) = self._hosts
        host.ask("run", images)
        collector = StockCollector(self.name, whole, len(images))
        for _ in range(len(images) * self.graph.time_steps * len(whole.tapped)):
            collector.take(*host.receive("message"))
        host.receive("done")
        return collector.trace()


class StockCollector:
    """Puts the messages of a run together into a Trace. The answer, a weighted sum, is added up here."""

    def __init__(self, name: str, whole: StockPlan, samples: int) -> None:
        self.name, self.graph, self.record = name, whole.graph, whole.record
        self.last = whole.last
        shapes, steps = whole.graph.shapes, whole.graph.time_steps
        self.spikes = {n: np.zeros((steps, samples, *shapes[n]), np.uint8) for n in whole.recorded}
        self.answers = np.zeros((steps, samples, *shapes[self.last]), np.int64)

    def take(self, layer: str, sample: int, step: int, values: Array) -> None:
        """What left a layer for one sample at one step, in Lava's order of axes."""
        for kept in (self.spikes.get(layer), self.answers if layer == self.last else None):
            if kept is not None:
                kept[step, sample] = values.transpose()

    def trace(self) -> Trace:
        """All of it."""
        readout = self.graph.readout
        assert readout.bias is not None
        steps, samples = self.answers.shape[:2]
        answers = self.answers.reshape(steps, samples, self.graph.classes)
        summands = readout.scale.at(0).reshape(-1) * answers + readout.bias.at(0).reshape(-1)
        kept = summands * readout.unit if self.record.step_logits else None
        answer = final(readout.rule, summands) * readout.unit
        return Trace(self.name, answer, self.spikes, {}, kept, rule=readout.rule)


def time_steps_of(samples: int, steps: int, lag: int) -> int:
    """How long Lava runs: all samples and what is under way behind them, in whole samples, so that the next run
    finds every reset where it was."""
    return math.ceil((samples * steps + lag) / steps) * steps
