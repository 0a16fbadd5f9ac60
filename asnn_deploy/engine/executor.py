"""The reference executors: a graph and images in, a Trace out.

`reference` runs float32 graphs, `reference-fixed` integer graphs; both are this one loop over the units of
`engine.units`. Compiled units compute events; `compiled=False` computes every layer by its definition in NumPy, which
is what the tests hold them against.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence
from time import perf_counter

import numpy as np

from asnn_deploy.engine.early_exit import softmax_margin
from asnn_deploy.engine.encoder import encode
from asnn_deploy.engine.population import Population
from asnn_deploy.engine.signals import carried_types
from asnn_deploy.engine.units import Stepwise, Unit, plan_units
from asnn_deploy.ir.answers import Answer, final
from asnn_deploy.ir.graph import INPUT, DeployGraph, check_neurons
from asnn_deploy.ir.trace import Record, Trace
from asnn_deploy.util.arrays import Array

LOGITS_ONLY = Record()


class Executor:
    """Runs a graph, or a part of it, some time steps at a time.

    layers: the names of the layers to run, in topological order; all of them by default.
    wanted: the signals that will be read; None for all of them, which keeps layers from being fused.
    potentials: whether membrane potentials will be read; counts: whether the numbers of spikes will be.
    compiled: False computes every layer in NumPy.
    """

    def __init__(
        self,
        graph: DeployGraph,
        layers: Sequence[str] | None = None,
        wanted: Collection[str] | None = None,
        potentials: bool = True,
        compiled: bool = True,
        counts: bool = True,
    ) -> None:
        check_neurons(graph)
        self.graph = graph
        names = set(graph.by_name if layers is None else layers)
        self.units = plan_units(graph, names, wanted, potentials, counts, compiled)
        self.types = carried_types(graph)
        delays: dict[str, int] = {}
        for edge in (e for unit in self.units for e in graph.inputs_of[unit.layers[0]]):
            delays[edge.source] = max(delays.get(edge.source, 0), edge.delay)
        self._past: dict[str, deque[Array]] = {name: deque(maxlen=d) for name, d in delays.items() if d}
        self._batch = 0

    def reset(self, batch: int) -> None:
        """Begin a new batch of that many samples."""
        self._batch = batch
        for unit in self.units:
            unit.reset(batch)
        for past in self._past.values():
            past.clear()

    def keep(self, samples: Array) -> None:
        """Go on with some of the batch's samples only, by their indices; with them come their states and pasts."""
        self._batch = len(samples)
        for unit in self.units:
            unit.keep(samples)
        for name, past in self._past.items():
            self._past[name] = deque((signals[:, samples] for signals in past), past.maxlen)

    def blocks(self) -> list[range]:
        """The steps that can be run together: all of them, but where a signal leads back to an earlier layer."""
        steps, position = range(self.graph.time_steps), self.graph.position
        back = any(position[e.source] >= position[e.target] for e in self.graph.edges)
        return [range(t, t + 1) for t in steps] if self._past and back else [steps]

    def advance(self, steps: range, signals: dict[str, Array]) -> dict[str, Array]:
        """Run some steps: `signals` holds what enters, `[steps, B, ...]`, and gains what is wanted of the layers."""
        for unit in self.units:
            self.advance_unit(unit, steps, signals)
        self._remember(signals)
        return signals

    def _remember(self, signals: dict[str, Array]) -> None:
        """Keep what delayed edges will read, step by step."""
        for name, past in self._past.items():
            past.extend(signals[name][i : i + 1] for i in range(len(signals[name])))

    def advance_unit(self, unit: Unit, steps: range, signals: dict[str, Array]) -> None:
        """Run one unit for some steps."""
        inputs = [self._signal(e.source, e.delay, len(steps), signals) for e in self.graph.inputs_of[unit.layers[0]]]
        signals.update(unit.advance(steps, *inputs))

    def step(self, t: int, signals: dict[str, Array]) -> dict[str, Array]:
        """Run one step; signals are `[B, ...]`."""
        found = self.advance(range(t, t + 1), {name: signal[None] for name, signal in signals.items()})
        signals.update({name: signal[0] for name, signal in found.items()})
        return signals

    def _signal(self, source: str, delay: int, steps: int, signals: dict[str, Array]) -> Array:
        """What arrives over an edge in that many steps: what was sent before them, then what is sent in them."""
        if not delay:
            return signals[source]
        past = self._past[source]
        silent = np.zeros((1, self._batch, *self.graph.shapes[source]), self.types[source])
        arriving = [past[-back] if back <= len(past) else silent for back in range(delay, max(delay - steps, 0), -1)]
        if steps > delay:
            arriving.append(signals[source][: steps - delay])
        return _joined(arriving)

    def potentials(self) -> dict[str, Array]:
        """The neuron layers' membrane potentials after each of the latest steps, `[steps, B, ...]`."""
        watched = (u for u in self.units if isinstance(u, (Population, Stepwise)) and u.watched)
        return {_neuron_of(unit): unit.potential for unit in watched}

    def spike_counts(self) -> dict[str, Array]:
        """How many neurons of each neuron layer fired in each of the latest steps, `[steps, B]`."""
        counting = (u for u in self.units if isinstance(u, (Population, Stepwise)) and u.counted)
        return {_neuron_of(unit): unit.emitted for unit in counting}

    def potential(self, name: str) -> Array:
        """A neuron layer's membrane potentials after the latest step, `[B, ...]`."""
        return self.potentials()[name][-1]  # type: ignore[no-any-return]

    def profile(self, images: Array) -> dict[str, float]:
        """How many seconds each layer takes for a step of these uint8 images `[B, C, H, W]`, on average.

        The time of layers that are fused stands with the first of them.
        """
        seconds = dict.fromkeys(self.graph.by_name, 0.0)
        frames = encode(self.graph.code, images)
        self.reset(len(images))
        for t in range(self.graph.time_steps):
            signals = {INPUT: frames[t : t + 1]}
            for unit in self.units:
                start = perf_counter()
                self.advance_unit(unit, range(t, t + 1), signals)
                seconds[unit.layers[0]] += perf_counter() - start
            self._remember(signals)
        return {name: time / self.graph.time_steps for name, time in seconds.items()}

    def run(self, images: Array, record: Record = LOGITS_ONLY) -> Trace:
        """Run uint8 images `[B, C, H, W]` through all T steps. What is recorded must be wanted."""
        graph, answer = self.graph, self.graph.readout
        fired = [neuron.name for neuron in graph.spiking if record.spikes]
        read = synaptic_inputs(graph) if record.arriving else []
        blocks = []
        frames = encode(graph.code, images)
        self.reset(len(images))
        for steps in self.blocks():
            signals = self.advance(steps, {INPUT: frames[steps.start : steps.stop]})
            spikes, arriving = ({name: signals[name] for name in names} for names in (fired, read))
            potentials = self.potentials() if record.potentials else {}
            counts = self.spike_counts() if record.spike_counts else {}
            blocks.append(({"": signals[answer.name]}, spikes, potentials, arriving, counts))
        summands, *kept = ({name: _joined([p[name] for p in parts]) for name in parts[0]} for parts in zip(*blocks))
        named = dict(zip(("spikes", "potentials", "arriving", "spike_counts"), kept))
        return self._trace(summands[""], record.step_logits, named)

    def run_until(self, images: Array, margin: float) -> tuple[Trace, Array]:
        """Run uint8 images `[B, C, H, W]`, each until its softmax margin reaches `margin`: a trace of the logits then,
        and how many steps each ran, int64 `[B]`. A sample that has answered is computed no further.

        The answers of `early_exit.at_exit`.
        """
        graph, answer = self.graph, self.graph.readout
        fixed = graph.arithmetic == "fixed"
        frames = encode(graph.code, images)
        self.reset(len(images))
        logits: Array = np.zeros((len(images), graph.classes), np.float64 if fixed else np.float32)
        so_far, steps = Answer(answer.rule), np.zeros(len(images), np.int64)
        under_way = np.arange(len(images))
        for t in range(graph.time_steps):
            summands = self.step(t, {INPUT: frames[t, under_way]})[answer.name].reshape(len(under_way), graph.classes)
            running = so_far.add(summands * np.float64(answer.unit) if fixed else summands)
            logits[under_way] = running
            steps[under_way] += 1
            stays = np.flatnonzero(~(softmax_margin(running) >= margin))
            if not len(stays):
                break
            if len(stays) < len(running):
                under_way = under_way[stays]
                so_far.keep(stays)
                self.keep(stays)
        return Trace("reference-fixed" if fixed else "reference", logits), steps

    def _trace(self, summands: Array, steps: bool, kept: dict[str, dict[str, Array]]) -> Trace:
        graph = self.graph
        fixed = graph.arithmetic == "fixed"
        summands = summands.reshape(*summands.shape[:2], graph.classes)
        logits = final(graph.readout.rule, summands)
        unit = np.float64(graph.readout.unit)
        return Trace(
            "reference-fixed" if fixed else "reference",
            logits * unit if fixed else logits,
            step_logits=None if not steps else summands * unit if fixed else summands,
            rule=graph.readout.rule,
            **kept,
        )


def synaptic_inputs(graph: DeployGraph) -> list[str]:
    """The layers whose signals a synaptic layer reads."""
    read = {e.source for e in graph.edges if graph.by_name[e.target].synaptic}
    return [layer.name for layer in graph.layers if layer.name in read]


def _neuron_of(unit: Population | Stepwise) -> str:
    return unit.neuron if isinstance(unit, Population) else unit.layers[0]


def _joined(parts: list[Array]) -> Array:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
