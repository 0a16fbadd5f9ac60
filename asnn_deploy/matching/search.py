"""The rules that fit a recording best: those of every tool, then each rule by itself.

The first samples rank all candidates; those that fit them best are held against the whole recording.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from asnn_deploy.conventions import load_convention, meaning, tools
from asnn_deploy.errors import AsnnDeployError, DataError
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.meaning import RULES, Meaning
from asnn_deploy.matching.recording import Recording
from asnn_deploy.matching.replay import Replay, Replayed, explained
from asnn_deploy.util.arrays import Array
from asnn_deploy.util.progress import phase

FIRST_SAMPLES = 2
KEPT = 12
"""How many candidates are held against the whole recording, and listed."""
TIME_STEPS = (1e-4, 1e-3, 1e-2, 1.0)
"""Time steps to try: those that the tools' exporters take for granted, and one between."""
TOLERANCE = 1e-4
"""How far recorded potentials may lie from ours, relatively to the largest, before they count as differing."""
GraphOf = Callable[[Meaning], DeployGraph]


@dataclass(frozen=True)
class Difference:
    """The first spike that differs. potential: ours; expected_potential: the recorded one, if there is one."""

    node: str
    step: int
    sample: int
    index: list[int]
    expected: float
    got: float
    potential: float
    expected_potential: float | None
    threshold: float


@dataclass(frozen=True)
class LayerMatch:
    """One recorded layer: spikes compared and differing, and how many of these rounding explains."""

    node: str
    compared: int
    differing: int
    within_rounding: int


@dataclass(frozen=True, eq=False)
class Candidate:
    """One meaning, held against the recording."""

    meaning: Meaning
    layers: tuple[LayerMatch, ...]
    potentials_differing: int
    first: Difference | None

    @property
    def compared(self) -> int:
        """How many spikes were compared."""
        return sum(layer.compared for layer in self.layers)

    @property
    def differing(self) -> int:
        """How many of them differ."""
        return sum(layer.differing for layer in self.layers)

    @property
    def within_rounding(self) -> int:
        """How many of these float32 rounding explains."""
        return sum(layer.within_rounding for layer in self.layers)

    @property
    def exact(self) -> bool:
        """Whether nothing differs that rounding does not explain."""
        return self.differing == self.within_rounding and not self.potentials_differing

    @property
    def rank(self) -> tuple[int, int]:
        """The smaller, the better."""
        return self.differing - self.within_rounding + self.potentials_differing, self.differing

    def to_json(self) -> dict[str, Any]:
        """As `match --json` has it."""
        return {
            "tool": self.meaning.tool,
            "rules": self.meaning.rules,
            "spikes_compared": self.compared,
            "differing": self.differing,
            "within_rounding": self.within_rounding,
            "potentials_differing": self.potentials_differing,
            "layers": [vars(layer) for layer in self.layers],
            "first_divergence": None if self.first is None else vars(self.first),
        }


class Search:
    """A search over meanings.

    graph_of: the network by a meaning. nodes: layer name to the file's node name. dt: the time step, if it was stated;
    told: the one that the file itself tells. kinds: of its neurons. graph: the network by any rules.
    """

    def __init__(
        self,
        graph_of: GraphOf,
        recording: Recording,
        nodes: dict[str, str],
        dt: float | None = None,
        told: float | None = None,
        kinds: frozenset[str] = frozenset(),
        graph: DeployGraph | None = None,
    ) -> None:
        self.graph_of, self.recording, self.nodes, self.dt, self.told = graph_of, recording, nodes, dt, told
        self.kinds, self.graph = kinds, graph
        self.replays = {True: Replay(recording.first(FIRST_SAMPLES)), False: Replay(recording)}
        self.tried: dict[tuple[Any, ...], Candidate | None] = {}
        self.fitting: set[Meaning] = set()

    def best(self) -> list[Candidate]:
        """Return the candidates that fit best, best first; ties in the order in which they were thought of.

        Raises DataError if the network cannot be replayed by any rules.
        """
        with phase("try rules") as under_way:
            under_way.describe = lambda: f"{len(self.tried)} meanings so far"
            return self._best()

    def _best(self) -> list[Candidate]:
        found = [c for m in self._tools() if (c := self._try(m)) is not None]
        if not found:
            raise DataError("the network cannot be run by any tool's rules; see what inspect says of it")
        self.fitting = {c.meaning for c in found if c.exact}
        changed = [c for base in found for m in self._changed(base.meaning) if (c := self._try(m)) is not None]
        ranked = sorted([*found, *changed], key=lambda c: c.rank)
        for _ in range(2):  # a second rule, and a third, where one is not enough
            if ranked[0].exact:
                break
            changed_again = [m for base in ranked[:3] for m in self._changed(base.meaning)]
            changed_again += self._of_single_nodes(ranked[0])
            more = [c for m in changed_again if (c := self._try(m)) is not None]
            ranked = sorted([*ranked, *more], key=lambda c: c.rank)
        ranked.sort(key=lambda c: (c.rank, self.likelihood(c.meaning)))
        kept = max(KEPT, sum(c.rank == ranked[0].rank for c in ranked))
        whole = [c for c in (self.held_against(c.meaning) for c in ranked[:kept]) if c is not None]
        return sorted(whole, key=lambda c: (c.rank, self.likelihood(c.meaning)))

    def likelihood(self, given: Meaning) -> tuple[bool, bool, float, str]:
        """Return what orders meanings that fit equally well, the likelier first.

        Tools that were measured; whose exporters write such neurons; rules as the tool has them, or as its users choose
        them; then by name.
        """
        tool = given.tool or "nir"
        convention, own = load_convention(tool), meaning(tool, dt=self.dt or self._own_dt(tool))
        changed = [rule for rule, value in given.rules.items() if value != own.rules.get(rule)]  # nodes weigh 1
        chosen = set(convention.options)
        weight = sum(2.0 if rule == "dt" else 0.5 if rule in chosen else 1.0 for rule in changed)
        foreign = bool(convention.writes) and not self.kinds.issubset(convention.writes)
        return not convention.measured, foreign, weight, tool

    def _own_dt(self, tool: str) -> float | None:
        return load_convention(tool).dt or self.told

    def _tools(self) -> Iterator[Meaning]:
        for tool in sorted(tools(), key=lambda name: name == "nir"):
            base = meaning(tool, dt=self.dt)
            yield replace(base, dt=self.dt or self._own_dt(tool) or base.dt)

    def _changed(self, base: Meaning) -> Iterator[Meaning]:
        """A meaning with one rule changed, each in turn."""
        for rule, words in RULES.items():
            for word in words:
                if word == getattr(base, rule):
                    continue
                if rule == "reset" and base.tool is not None:
                    named = meaning(base.tool, dt=base.dt, reset=word)
                    yield replace(base, reset=named.reset, feedback_reset=named.feedback_reset)
                else:
                    yield replace(base, **{rule: word})  # type: ignore[arg-type]
        if self.dt is None:
            yield from (replace(base, dt=dt) for dt in TIME_STEPS if dt != base.dt)
        for bound in self._bounds():
            if base.minimum != bound and base not in self.fitting:
                yield replace(base, minimum=bound)

    def _of_single_nodes(self, base: Candidate) -> list[Meaning]:
        """A rule changed in one layer only, in each layer that differs: as of a readout that never resets."""
        layers = {node: layer for layer, node in self.nodes.items()}
        return [
            replace(base.meaning, nodes=(*base.meaning.nodes, (layers.get(layer.node, layer.node), rule, word)))
            for layer in base.layers
            if layer.differing > layer.within_rounding
            for rule, words in RULES.items()
            for word in words
        ]

    def _bounds(self) -> list[float]:
        """Lower bounds of membrane potentials to try: minus a threshold, and the least that was recorded."""
        graph = self.graph or self.graph_of(meaning("nir"))
        heights = {float(np.max(n.parameters["threshold"].at(0))) for n in graph.spiking if "threshold" in n.parameters}
        least = {float(v.min()) for v in self.recording.potentials.values()}
        return [-height for height in sorted(heights)] + sorted(v for v in least if v < 0)

    def _try(self, given: Meaning) -> Candidate | None:
        """A meaning on the first samples; None if it was tried, or if the network cannot mean that."""
        key = (given.tool, str(given.rules), given.feedback_reset)
        if key in self.tried:
            return None
        self.tried[key] = self.held_against(given, first=True)
        return self.tried[key]

    @phase("compare with the recording")
    def held_against(self, given: Meaning, first: bool = False) -> Candidate | None:
        """Hold a meaning against the recording, or its first samples only; None if the network cannot mean that."""
        replay = self.replays[first]
        try:
            graph = self.graph_of(given)
            runs = replay.run(graph)
        except AsnnDeployError:
            return None
        record = replay.recording
        wrong = any(not np.array_equal(runs[name].sent, spikes) for name, spikes in record.spikes.items())
        if wrong and not first:
            runs = replay.run(graph, bounded=True)
        layers, divergence, order = [], None, list(graph.by_name)
        for name in sorted(record.spikes, key=order.index):
            layers.append(self._layer(name, runs[name], record.spikes[name]))
        if wrong:
            divergence = self._first(runs, record, order)
        off = sum(_off(runs[name].potentials, v) for name, v in record.potentials.items() if name not in record.spikes)
        return Candidate(given, tuple(layers), off, divergence)

    def _layer(self, name: str, run: Replayed, recorded: Array) -> LayerMatch:
        differs = run.sent != recorded
        within = int(np.count_nonzero(differs & explained(run, recorded))) if differs.any() else 0
        return LayerMatch(self.nodes.get(name, name), recorded.size, int(np.count_nonzero(differs)), within)

    def _first(self, runs: dict[str, Replayed], record: Recording, order: list[str]) -> Difference | None:
        """The first spike that differs and that rounding does not explain; else the first that differs."""
        best: tuple[Any, ...] | None = None
        for name, recorded in record.spikes.items():
            run = runs[name]
            differs = run.sent != recorded
            for unexplained, mask in ((False, differs & ~explained(run, recorded)), (True, differs)):
                if mask.any():
                    at = tuple(int(i) for i in np.argwhere(mask)[0])
                    found = (unexplained, at[0], order.index(name), at, name)
                    best = found if best is None else min(best, found)
                    break
        if best is None:
            return None
        at, name = best[3], best[4]
        run, v = runs[name], record.potentials.get(name)
        return Difference(
            self.nodes.get(name, name),
            at[0],
            at[1],
            list(at[2:]),
            float(record.spikes[name][at]),
            float(run.sent[at]),
            float(run.potentials[at]),
            None if v is None else float(v[at]),
            float(run.thresholds[at[2:]]),
        )


def _off(ours: Array, recorded: Array) -> int:
    """How many potentials differ by more than roundings."""
    scale = float(np.abs(recorded).max(initial=0)) or 1.0
    return int(np.count_nonzero(np.abs(ours - recorded) > TOLERANCE * scale))
