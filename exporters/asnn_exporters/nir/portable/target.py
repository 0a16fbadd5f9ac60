"""Who is to read a portable file: its rules, and what a tool's importer takes (`asnn_deploy/conventions/`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from asnn_deploy.conventions import Importer, load_convention, meaning
from asnn_deploy.errors import InputError
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.layers import Neuron
from asnn_deploy.ir.meaning import Meaning
from asnn_deploy.util.arrays import Array
from asnn_exporters.nir.others.mending import EARLY


@dataclass(frozen=True)
class Target:
    """Who reads the file.

    who: in words. meaning: by which rules. importer: what the tool takes; None: all that NIR has.
    recurrent: the layers that lie in cycles. bounded: whether all neurons have the lower bound that an IF node implies.
    """

    who: str
    meaning: Meaning
    importer: Importer | None = None
    recurrent: frozenset[str] = frozenset()
    bounded: bool = False

    @property
    def tool(self) -> str | None:
        """The tool's name; None if any may read it."""
        return None if self.importer is None else self.meaning.tool

    @property
    def dt(self) -> float:
        """The time step."""
        return self.meaning.dt

    @property
    def wide(self) -> bool:
        """Whether numbers may be stored in float64."""
        return self.importer is None or self.importer.wide

    @property
    def as_is(self) -> bool:
        """Whether the r of a neuron without leak is the factor on its inputs as it stands."""
        return self.meaning.update in ("added", "decaying", "unit") or self.meaning.taus == "times dt"

    def at(self, name: str) -> Target:
        """Return who reads one layer."""
        return replace(self, meaning=self.meaning.of(name))

    @property
    def remedy(self) -> str:
        """What to do about neurons that cannot be said."""
        return ", one rule for the whole file" if self.importer is None else ", for its importer sets it so"

    def takes(self, kind: str) -> bool:
        """Whether nodes of a kind are read."""
        if self.importer is None:
            return True
        return kind in self.importer.kinds and (kind != "IF" or self.importer.bound is None or self.bounded)

    def update(self, kind: str) -> str:
        """How inputs enter a neuron of that kind."""
        return self.meaning.update

    def gain(self, kind: str) -> str:
        """Which factor on the inputs is taken: see `conventions.Importer`; or "any"."""
        if self.importer is None:
            return "any"
        return "one" if kind == "IF" else self.importer.gain

    @property
    def slower(self) -> tuple[str, ...]:
        """The kinds whose time constants must be longer than a step."""
        return () if self.importer is None else self.importer.slower

    def least(self, kind: str) -> float:
        """The least that a step may leave of a potential: no tool but Norse takes a time constant below a step."""
        return -np.inf if self.importer is None or self.tool == "norse" else 0.0

    def reset(self, kind: str, name: str) -> str:
        """How a neuron resets."""
        special = self.meaning.feedback_reset
        return special if special and (kind == "CubaLIF" or name in self.recurrent) else self.meaning.reset


def target_of(graph: DeployGraph, tool: str | None) -> Target:
    """Return who reads the file of a network: a tool, or whoever takes its rules. Raises InputError for other tools."""
    recurrent = frozenset(name for cycle in graph.cycles for name in cycle)
    if tool is None:
        return Target("a NIR file", _stated(graph) or own_meaning(graph), None, recurrent)
    convention = load_convention(tool)
    importer = convention.importer
    if importer is None:
        raise InputError(f"{tool}: what its importer reads is not known here")
    dt = importer.dt or convention.dt or graph.dt
    found = meaning(tool, dt=dt, reset=importer.reset)
    found = replace(found, taus="as written", feedback_reset=None, reset=importer.reset)
    if importer.cuba is not None:
        cuba = [neuron.name for neuron in graph.neurons if neuron.model.endswith("cuba-lif")]
        found = replace(found, nodes=tuple((name, "update", importer.cuba) for name in cuba))
    least = _bound(graph) if importer.bound else None
    found = replace(found, minimum=least)
    return Target(convention.title, found, importer, recurrent, least is not None)


def _stated(graph: DeployGraph) -> Meaning | None:
    """The rules by which a network was read, as its nodes are written: mended, and with neurons that decide after their
    input in the place of those that decide before it."""
    found = graph.meaning
    if found is None:
        return None
    after = [
        (neuron.name, "reset", str(neuron.reset))
        for neuron in graph.spiking
        if found.of(neuron.name).reset == EARLY != neuron.reset and not _is_threshold(neuron)
    ]
    return replace(found, mends=(), nodes=(*found.nodes, *after))


def own_meaning(graph: DeployGraph) -> Meaning:
    """Return the rules of a network that was made here: those of its neurons, in NIR's equations."""
    found = meaning("nir", dt=graph.dt)
    first = next((n for n in graph.spiking if not _is_threshold(n)), next(iter(graph.neurons), None))
    if first is None:
        return found
    minimum = first.parameters.get("minimum")
    least = None if minimum is None else float(minimum.values.min())
    found = replace(found, minimum=least, **_rules(first))  # type: ignore[arg-type]
    if "initial" in first.parameters:
        resting = first.parameters.get("rest") == first.parameters["initial"]
        found = replace(found, start="leak" if resting else "reset")
    own = [(neuron.name, rule, value) for neuron in graph.neurons for rule, value in _rules(neuron).items()]
    return replace(found, nodes=tuple(one for one in own if getattr(found, one[1]) != one[2]))


def _rules(neuron: Neuron) -> dict[str, str]:
    """A population's own rules."""
    update = "dividing" if "steps" in neuron.parameters else "relaxing" if "rate" in neuron.parameters else "integrated"
    if _is_threshold(neuron) or not neuron.definition.spikes:
        return {"update": update}
    return {"reset": str(neuron.reset), "fires": neuron.comparison, "spikes": neuron.spiking, "update": update}


def _is_threshold(neuron: Neuron) -> bool:
    return "leak" in neuron.parameters and not neuron.parameters["leak"].values.any()


def _bound(graph: DeployGraph) -> float | None:
    """The lower bound of all neurons' potentials if each of them is minus its threshold; else None."""
    bounds: set[float] = set()
    for neuron in graph.spiking:
        minimum, threshold = neuron.parameters.get("minimum"), neuron.parameters.get("threshold")
        if neuron.model != "if" or minimum is None:
            return None
        level = np.ones(1) if threshold is None else threshold.values
        bounds |= {*map(float, minimum.values.ravel()), *map(float, -level.ravel())}
    return bounds.pop() if len(bounds) == 1 else None


def _euler(tau: Array, dt: float) -> Any:
    return np.float32(1) - np.float32(dt) / tau.astype(np.float32)


def _inverse(tau: Array, dt: float) -> Any:
    return np.float32(dt) * (np.float32(1) / tau.astype(np.float32))


def _exponential(tau: Array, dt: float) -> Any:
    return np.exp((np.float32(-dt) / tau.astype(np.float32)).astype(np.float64))


def _in_steps(tau: Array, dt: float) -> Any:
    return tau / dt


def _exact(tau: Array, dt: float) -> Any:
    return 1 - dt / tau


DECAYS: Mapping[tuple[str, str], Callable[[Array, float], Any]] = {
    ("snntorch", "LIF"): _euler,
    ("snntorch", "CubaLIF"): _euler,
    ("norse", "LIF"): _inverse,
    ("norse", "CubaLIF"): _inverse,
    ("sinabs", "LIF"): _exponential,
    ("sinabs", "LI"): _exponential,
    ("rockpool", "CubaLIF"): _exponential,
    ("spikingjelly", "LIF"): _in_steps,
    ("spikingjelly", "CubaLIF"): _exact,
}
"""What each tool's importer makes of a time constant in float32, by tool and kind of node: a leak, Norse a rate and
SpikingJelly's LIF a number of steps. Source: see `importer.source` in the tool's convention."""
