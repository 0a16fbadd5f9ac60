"""How a NIR file of another tool is read: what its user says of it, and what the file itself tells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from asnn_deploy.conventions import load_convention, meaning
from asnn_deploy.errors import GraphError, InputError
from asnn_deploy.input.coding import input_code
from asnn_deploy.ir.graph import INPUT, DeployGraph, Edge
from asnn_deploy.ir.images import PIXEL_MAX, InputCode
from asnn_deploy.ir.inputs import SequenceInput
from asnn_deploy.ir.layers import Scale
from asnn_deploy.ir.meaning import Meaning
from asnn_deploy.ir.step_table import StepTable
from asnn_deploy.util.arrays import Array
from asnn_deploy.util.suggest import unknown_name

SMALLEST_GAIN = 1e-3
"""Gains that are all smaller hint at time constants in another unit."""
ROUNDED = 1e-6
"""What float32 may have made of a gain, relatively: a few times 2**-24."""


class Foreign(Protocol):
    """A file of another tool, read but not yet understood."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What was assumed of it, in words."""

    @property
    def stated(self) -> Meaning | None:
        """The rules that the file states itself."""

    @property
    def time_step(self) -> float | None:
        """The time step that its numbers tell, in the unit of its time constants."""

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of its neurons, by NIR's names."""

    @property
    def nodes(self) -> Mapping[str, str]:
        """The name of each node's layer."""

    def graph(self, meaning: Meaning, round_delays: bool = False) -> DeployGraph:
        """The network by these rules, for sequences of any length."""


@dataclass(frozen=True)
class Reading:
    """What a user says of a file by another tool; nothing by default.

    tool: whose rules; rules: single ones by name (`ir.meaning.RULES`); dt: the time step in the file's own unit.
    minimum: a lower bound of membrane potentials. nodes: rules of single nodes, `(node, rule, value)`.
    round_delays: delays become the nearest whole steps.
    snapped: weights are moved onto order-free grids. time_steps: T, if the data do not say.
    coding: of images, put before a network that reads frames.
    """

    tool: str | None = None
    rules: Mapping[str, str | None] = field(default_factory=dict)
    dt: float | None = None
    minimum: float | None = None
    nodes: tuple[tuple[str, str, str], ...] = ()
    round_delays: bool = False
    snapped: bool = False
    time_steps: int | None = None
    coding: str | None = None

    @property
    def says_anything(self) -> bool:
        """Whether it says anything at all."""
        return any(self.rules.values()) or replace(self, rules={}) != Reading()

    def meaning_of(self, file: Foreign) -> Meaning:
        """Return the rules by which to read a file: what is said, else what the file states, else its tool's.

        Raises InputError for an unknown tool or rule, or a time step that is not positive.
        """
        stated = file.stated
        if stated is not None and not self.tool:
            return self._over(stated, file)
        found = meaning(self.tool, dt=self.dt, minimum=self.minimum, nodes=self._layers(file), **self.rules)
        if self.tool and self.dt is None and load_convention(self.tool).dt is None:
            if file.time_step is None:
                raise InputError(f"{self.tool} files do not hold their time step dt, and this one does not tell it")
            found = replace(found, dt=file.time_step)
        return found

    def _over(self, stated: Meaning, file: Foreign) -> Meaning:
        """The rules that a file states, with those said replaced."""
        wanted: dict[str, Any] = {key: value for key, value in self.rules.items() if value is not None}
        dt = stated.dt if self.dt is None else self.dt
        said = meaning(stated.tool, dt=dt, **wanted)  # a tool's word for a reset is its own
        own: dict[str, Any] = {key: getattr(said, key) for key in wanted}
        if "reset" in own:
            own["feedback_reset"] = said.feedback_reset
        if self.minimum is not None:
            own["minimum"] = self.minimum
        return replace(stated, dt=said.dt, nodes=(*stated.nodes, *self._layers(file)), **own)

    def _layers(self, file: Foreign) -> tuple[tuple[str, str, str], ...]:
        """The rules of single nodes, by the names of their layers. Raises InputError for a node that is not there."""
        for node, _, _ in self.nodes:
            if node not in file.nodes:
                raise InputError(unknown_name("node", node, file.nodes))
        return tuple((file.nodes[node], rule, value) for node, rule, value in self.nodes)

    def graph_of(self, file: Foreign) -> DeployGraph:
        """Return the network of a file, settled as far as this says."""
        graph = file.graph(self.meaning_of(file), self.round_delays)
        if self.coding is not None:
            return coded(graph, self.coding, self.time_steps)
        return graph if self.time_steps is None else graph.over(self.time_steps)


def settled(graph: DeployGraph, samples: Array) -> DeployGraph:
    """Return the network for such sequences `[N, T, ...]`: what enters, and how many steps; itself if that is known."""
    if isinstance(graph.code, SequenceInput) and not graph.code.stated:
        graph = replace(graph, code=graph.code.fed(samples))
    return graph.over(samples.shape[1]) if graph.any_length else graph


def is_settled(graph: DeployGraph) -> bool:
    """Return whether it is known what enters, and how many steps."""
    return not graph.any_length and getattr(graph.code, "stated", True)


def coded(graph: DeployGraph, coding: str, time_steps: int | None) -> DeployGraph:
    """Return a network that reads frames with images, coded, in front of it; analog steps send 0 to 1.

    Raises InputError without a number of steps, GraphError if its frames are not `(C, H, W)`.
    """
    if time_steps is None:
        raise InputError(f"coding {coding!r}: an image is coded over a number of time steps; say how many")
    if len(graph.input_shape) != 3:
        raise GraphError(f"coding {coding!r}: an image is (C, H, W), the network's frames are {graph.input_shape}")
    code = input_code(coding, time_steps)
    graph = replace(graph.over(time_steps), code=code)
    return _in_pixels(graph, code) if code.analog.any() else graph


def _in_pixels(graph: DeployGraph, code: InputCode) -> DeployGraph:
    """The network behind a scale that makes 0..1 of the bytes of analog steps."""
    name = next(n for n in ("pixels", "pixels_") if n not in graph.by_name)
    factors = np.where(code.analog, np.float32(1 / PIXEL_MAX), np.float32(1)).astype(np.float32)
    scale = Scale(name, StepTable.per_step(factors))
    edges = [Edge(INPUT, name)] + [replace(e, source=name) if e.source == INPUT else e for e in graph.edges]
    return replace(graph, layers=(scale, *graph.layers), edges=tuple(edges))


def doubts(graph: DeployGraph) -> list[str]:
    """Return what looks as if a file was written in another unit, or by other rules, one line each."""
    found = []
    for neuron in graph.neurons:
        tables = {key: table.values.astype(np.float64) for key, table in neuron.parameters.items()}
        for key in ("leak", "current_leak", "rate", "current_rate"):
            if key not in tables:
                continue
            kept = 1 - tables[key] if key.endswith("rate") else tables[key]
            if kept.min() < 0:
                found.append(
                    f"layer {neuron.name!r}: a time constant is shorter than the time step (leak {kept.min():.3g}); "
                    "the file was likely written in another unit, or for a smaller dt"
                )
            if kept.max() > 1:
                found.append(f"layer {neuron.name!r}: its leak {kept.max():.3g} lies above 1, so potentials grow")
        driven = tables.get("gain", tables.get("rate"))
        if driven is not None and 0 < np.abs(driven).max() < SMALLEST_GAIN * (1 - ROUNDED):
            found.append(
                f"layer {neuron.name!r}: its gains are at most {np.abs(driven).max():.3g}; "
                "the file was likely written in milliseconds or in steps, or for a larger dt"
            )
    return found
