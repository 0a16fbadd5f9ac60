"""The work of the pipeline's parts, free of Lava: the encoder, and stages that run layers.

Each part turns the message of one time step into the next part's. The first message of a sample clears all state;
bubbles pass through and do not count as time steps, so samples follow each other without rebuilding anything.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

import numpy as np

from asnn_deploy.graph import INPUT, DeployGraph, Neuron
from asnn_deploy.reference import Executor
from asnn_deploy.step_table import Array
from asnn_deploy.trace import Record
from asnn_targets.lava.messages import ANSWER, SUMMAND, Layout, Slot, filled, potential_of, signal_slots
from asnn_targets.lava.partition import partition


@dataclass(frozen=True)
class StagePlan:
    """One stage: its layers, what enters and what leaves."""

    graph: DeployGraph
    layers: tuple[str, ...]
    inlet: Layout
    outlet: Layout
    record: Record
    rows: int

    @property
    def title(self) -> str:
        """The stage's layers, for messages to people."""
        return self.layers[0] if len(self.layers) == 1 else f"{self.layers[0]}..{self.layers[-1]}"


@dataclass(frozen=True)
class Plan:
    """A whole pipeline: the raw images' layout, the encoder's, and the stages.

    rows: how many samples travel in one message.
    """

    graph: DeployGraph
    record: Record
    rows: int
    images: Layout
    frames: Layout
    stages: tuple[StagePlan, ...]

    @property
    def answers(self) -> Layout:
        """What leaves the last stage."""
        return self.stages[-1].outlet


def plan(graph: DeployGraph, record: Record, rows: int, count: int) -> Plan:
    """Cut a graph into at most `count` stages and lay out the messages between them."""
    images = Layout([Slot(INPUT, "uint8", graph.input_shape)])
    frames = inlet = cut(graph, record, {INPUT})
    done = {INPUT}
    stages = []
    for names in partition(graph, count):
        done.update(names)
        outlet = cut(graph, record, done)
        stages.append(StagePlan(graph, names, inlet, outlet, record, rows))
        inlet = outlet
    return Plan(graph, record, rows, images, frames, tuple(stages))


def cut(graph: DeployGraph, record: Record, done: Set[str]) -> Layout:
    """What travels on when the layers in `done` have run: signals that others read, what is recorded, the answer."""
    slots = signal_slots(graph)
    read = {e.source for e in graph.edges if e.target not in done}
    neurons = [n for n in done if isinstance(graph.by_name.get(n), Neuron)]
    kept = read | set(neurons if record.spikes else ())
    native = slots[graph.readout.name].dtype
    live = [slot for name, slot in slots.items() if name in done and name in kept]
    if record.potentials:
        live += [Slot(potential_of(n), native, graph.shapes[n]) for n in slots if n in neurons]
    if graph.readout.name in done:
        answers = [ANSWER, SUMMAND] if record.step_logits else [ANSWER]
        live += [Slot(name, native, graph.shapes[graph.readout.name]) for name in answers]
    return Layout(live)


class Encoder:
    """Turns raw images into the input code's frames, one step after another."""

    def __init__(self, whole: Plan) -> None:
        self.plan = whole
        self._step = 0
        self._images: Array = np.zeros((0, *whole.graph.input_shape), np.uint8)
        self._message = whole.frames.empty(whole.rows)

    @property
    def wants_images(self) -> bool:
        """Whether the next step begins new samples."""
        return self._step == 0

    def begin(self, message: Array) -> None:
        """Take the images of the next samples; a bubble where there are none."""
        self._images = self.plan.images.unpack(message)[INPUT]

    def step(self) -> Array:
        """The message of this step: frames, or a bubble."""
        code = self.plan.graph.code
        samples = len(self._images)
        frames = code.frame(self._images, self._step)
        self._step = (self._step + 1) % code.time_steps if samples else 0
        return self.plan.frames.pack(self._message, samples, {INPUT: frames})


class Stage:
    """Runs its layers for one message after another, by the reference executor's own layer functions."""

    def __init__(self, stage: StagePlan) -> None:
        graph = stage.graph
        self.plan = stage
        self.executor = Executor(graph, stage.layers)
        self._read = {e.source for name in stage.layers for e in graph.inputs_of[name]} - set(stage.layers)
        self._potentials = [n for n in stage.layers if isinstance(graph.by_name[n], Neuron)]
        self._step = 0
        self._answer: Array = np.zeros(0)
        self._message = stage.outlet.empty(stage.rows)

    def step(self, message: Array) -> Array:
        """The next stage's message. The array is written anew at each step."""
        samples = filled(message)
        if not samples:
            return self.plan.outlet.pack(self._message, 0, {})
        values = self.plan.inlet.unpack(message)
        for name in self._read:
            values[name] = values[name].astype(self.executor.dtype, copy=False)
        if self._step == 0:
            self.executor.reset(samples)
        self.executor.step(self._step, values)
        self._keep(values)
        self._step = (self._step + 1) % self.plan.graph.time_steps
        return self.plan.outlet.pack(self._message, samples, values)

    def _keep(self, values: dict[str, Array]) -> None:
        """Add what is recorded and, where the readout is here, the answer so far."""
        if self.plan.record.potentials:
            for name in self._potentials:
                values[potential_of(name)] = self.executor.potential(name)
        readout = self.plan.graph.readout.name
        if readout in values:
            summand = values[readout]
            before = np.zeros_like(summand) if self._step == 0 else self._answer
            self._answer = before + summand
            values[ANSWER], values[SUMMAND] = self._answer, summand
