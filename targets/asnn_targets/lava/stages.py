"""The work of the pipeline's stages, free of Lava.

Each stage turns the message of one time step into the next stage's; the first one takes images, once for all T steps,
and encodes them. The first message of a sample clears all state; bubbles pass through and do not count as time steps,
so samples follow each other without rebuilding anything.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass

import numpy as np

from asnn_deploy.engine.encoder import encode
from asnn_deploy.engine.executor import Executor
from asnn_deploy.engine.signals import potential_type
from asnn_deploy.ir.answers import Answer
from asnn_deploy.ir.graph import INPUT, DeployGraph
from asnn_deploy.ir.trace import Record
from asnn_deploy.util.arrays import Array
from asnn_targets.lava.messages import ANSWER, SUMMAND, Layout, Slot, filled, potential_of, signal_slots


@dataclass(frozen=True)
class StagePlan:
    """One stage: its layers, what enters (for the first one raw images, else signals) and what leaves."""

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
    stages: tuple[StagePlan, ...]

    @property
    def images(self) -> Layout:
        """What enters the first stage."""
        return self.stages[0].inlet

    @property
    def answers(self) -> Layout:
        """What leaves the last stage."""
        return self.stages[-1].outlet

    @property
    def answering_steps(self) -> range:
        """The steps after which the last stage's message leaves the pipeline: where nothing but the answer is wanted,
        the last one, whose sum is the whole answer."""
        steps = self.graph.time_steps
        return range(0 if self.record != Record() else steps - 1, steps)


def plan(graph: DeployGraph, record: Record, rows: int, parts: Sequence[tuple[str, ...]]) -> Plan:
    """Lay out the messages between stages of these layers."""
    inlet = Layout([entering(graph)])
    done = {INPUT}
    stages = []
    for names in parts:
        done.update(names)
        outlet = cut(graph, record, done)
        stages.append(StagePlan(graph, names, inlet, outlet, record, rows))
        inlet = outlet
    return Plan(graph, record, rows, tuple(stages))


def entering(graph: DeployGraph) -> Slot:
    """What the first stage takes: the raw image, or all frames of a sequence, once for all T steps."""
    sequence = graph.code.kind == "sequence"
    shape = (graph.time_steps, *graph.input_shape) if sequence else graph.input_shape
    return Slot(INPUT, graph.code.dtype.name, shape)


def cut(graph: DeployGraph, record: Record, done: Set[str]) -> Layout:
    """What travels on when the layers in `done` have run: signals that others read, what is recorded, the answer."""
    slots = signal_slots(graph)
    read = {e.source for e in graph.edges if e.target not in done}
    neurons = [neuron.name for neuron in graph.neurons if neuron.name in done]
    kept = read | {neuron.name for neuron in graph.spiking if record.spikes}
    native = slots[graph.readout.name].dtype
    live = [slot for name, slot in slots.items() if name in done and name in kept]
    if record.potentials:
        kind = np.dtype(potential_type(graph)).name
        live += [Slot(potential_of(n), kind, graph.shapes[n]) for n in slots if n in neurons]
    if graph.readout.name in done:
        answers = [ANSWER, SUMMAND] if record.step_logits else [ANSWER]
        live += [Slot(name, native, graph.shapes[graph.readout.name]) for name in answers]
    return Layout(live)


class Stage:
    """Runs its layers for one message after another, by the reference executor's own units.

    first: whether it takes images and encodes them.
    """

    def __init__(self, stage: StagePlan, first: bool) -> None:
        graph = stage.graph
        self.plan, self.first = stage, first
        wanted = {slot.name for slot in stage.outlet.slots} & set(graph.by_name)
        readout = {graph.readout.name} & set(stage.layers)
        self.executor = Executor(graph, stage.layers, wanted | readout, stage.record.potentials)
        self.next_step = 0
        self._frames: Array = np.zeros(0)
        self._answer = Answer("sum")
        self._message = stage.outlet.empty(stage.rows)

    @property
    def wants_message(self) -> bool:
        """Whether the next step begins with a message: the first stage takes one for all steps of its samples."""
        return not self.first or self.next_step == 0

    def step(self, message: Array | None) -> Array:
        """The next stage's message. The array is written anew at each step."""
        values = self._entering(message)
        if not values:
            return self.plan.outlet.pack(self._message, 0, {})
        samples = len(next(iter(values.values())))
        if self.next_step == 0:
            self.executor.reset(samples)
        self.executor.step(self.next_step, values)
        self._keep(values)
        self.next_step = (self.next_step + 1) % self.plan.graph.time_steps
        return self.plan.outlet.pack(self._message, samples, values)

    def _entering(self, message: Array | None) -> dict[str, Array]:
        """The signals that enter at this step; none for a bubble."""
        if message is not None and not filled(message):
            return {}
        if not self.first:
            assert message is not None
            return self.plan.inlet.unpack(message)
        if message is not None:
            self._frames = encode(self.plan.graph.code, self.plan.inlet.unpack(message)[INPUT])
        return {INPUT: self._frames[self.next_step]}

    def _keep(self, values: dict[str, Array]) -> None:
        """Add what is recorded and, where the readout is here, the answer so far."""
        if self.plan.record.potentials:
            for name, potentials in self.executor.potentials().items():
                values[potential_of(name)] = potentials[-1]
        readout = self.plan.graph.readout.name
        if readout in values:
            summand = values[readout]
            if self.next_step == 0:
                self._answer = Answer(self.plan.graph.readout.rule)
            values[ANSWER], values[SUMMAND] = self._answer.add(summand), summand
