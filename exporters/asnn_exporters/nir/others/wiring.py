"""Which layer reads which, how many steps later: nodes that pass signals on become delays, and cycles get theirs."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from asnn_deploy.errors import GraphError
from asnn_exporters.nir.others.network import SPIKING, Network, Node, listed, named, sources

NEARLY = 1e-3
"""How far from a whole number of steps a delay may be: time constants in float32 are written with errors of 1e-7."""
LONGEST_DELAY = 1 << 16
"""Steps; a delay keeps as many frames in memory."""
PATIENCE = 20_000
"""Steps of the search for a cycle with two spiking neurons, which takes exponentially many in the worst case."""


class Wire(NamedTuple):
    """A signal from node to node, `delay` whole steps later."""

    source: str
    target: str
    delay: int


def wires(network: Network, dt: float, round_delays: bool) -> list[Wire]:
    """Return who reads whom, sorted; cycles have their delays.

    Nodes that pass one signal on are gone; those that pass on several are left, as their sum.
    Raises GraphError for delays that are not whole, and for cycles without one place that is a step later.
    """
    before = sources(network.edges, network.nodes)
    steps = {n: _steps(node, dt, round_delays) for n, node in network.nodes.items() if _passes(network, n)}
    gone = {name for name in steps if len(before[name]) == 1}
    found = []
    for source, target in network.edges:
        if target not in gone:
            delay, on_the_way = steps.get(source, 0), {source}
            while source in gone:
                source = before[source][0]
                if source in on_the_way:
                    raise network.nodes[source].refuse("lies in a cycle without neurons or weights; remove the cycle")
                on_the_way.add(source)
                delay += steps.get(source, 0)
            if delay > LONGEST_DELAY:
                raise network.nodes[target].refuse(
                    f"reads a signal {delay} steps of {dt:g} later; at most {LONGEST_DELAY} are kept: "
                    "the delays may be in another unit than the time step"
                )
            found.append(Wire(source, target, delay))
    return sorted(_through_cycles(network, found))


def _passes(network: Network, name: str) -> bool:
    kind = network.nodes[name].kind
    return kind == "Delay" or (kind in ("Input", "Output") and name not in (network.input, network.output))


def _steps(node: Node, dt: float, round_delays: bool) -> int:
    """How many steps later a node passes on what it reads."""
    if node.kind != "Delay":
        return 0
    values = np.asarray(node.fields["delay"], np.float64) / dt
    whole = np.rint(values)
    least, most = (float(end) for end in (values.min(), values.max()))
    if not round_delays and np.abs(values - whole).max() > NEARLY:
        worst = values.reshape(-1)[np.abs(values - whole).argmax()]
        raise node.refuse(
            f"its delay of {worst * dt:g} is {worst:g} time steps of {dt:g}, the nearest whole number is "
            f"{np.rint(worst):g}; choose a time step that divides it, or have delays rounded"
        )
    if whole.min() != whole.max():
        raise node.refuse(
            f"its delays differ, from {least:g} to {most:g} time steps; all elements of a node have one delay: "
            "split it into a node for each"
        )
    return int(min(whole.max(), LONGEST_DELAY + 1))


def _through_cycles(network: Network, found: list[Wire]) -> list[Wire]:
    """The wires, with those out of a spiking neuron that stay within its cycle a step later."""
    inside = _within([wire for wire in found if wire.delay == 0])
    late = {wire for wire in inside if network.nodes[wire.source].kind in SPIKING}
    endless = _within([wire for wire in inside if wire not in late])
    if endless:
        names = sorted({wire.source for wire in endless})
        raise GraphError(
            f"the cycle through {listed(names)} has no place that is a step later: no spiking neuron "
            f"({', '.join(SPIKING)}) and no Delay of at least one step; put a Delay into it"
        )
    _check_one_each(inside, {wire.source for wire in late})
    return [wire._replace(delay=1) if wire in late else wire for wire in found]


def _within(found: Collection[Wire]) -> list[Wire]:
    """The wires that lie in cycles of these wires."""
    names = sorted({end for wire in found for end in (wire.source, wire.target)})
    if not names:
        return []
    place = {name: i for i, name in enumerate(names)}
    ends = [place[w.source] for w in found], [place[w.target] for w in found]
    links = coo_array((np.ones(len(found)), ends), shape=(len(names), len(names)))
    component = connected_components(links, directed=True, connection="strong")[1]
    return [wire for wire in found if component[place[wire.source]] == component[place[wire.target]]]


def in_cycles(found: Collection[Wire]) -> set[str]:
    """Return the nodes that reach themselves."""
    return {wire.source for wire in _within(found)}


def _check_one_each(inside: Iterable[Wire], spiking: set[str]) -> None:
    """Raise GraphError if a cycle passes two spiking neurons: which of them is a step later makes a difference."""
    after: dict[str, set[str]] = {}
    for wire in inside:
        after.setdefault(wire.source, set()).add(wire.target)
    patience = PATIENCE
    for start in sorted(spiking):
        path, passed, waiting = [start], {start}, [sorted(after[start])]
        while waiting:
            patience -= 1
            if patience == 0:
                raise GraphError(_several(f"cycles through {listed(path)}", sorted(spiking)))
            if not waiting[-1]:
                waiting.pop()
                passed.discard(path.pop())
                continue
            name = waiting[-1].pop(0)
            if name == start and len(spiking & passed) > 1:
                arrows = " -> ".join(map(named, [*path[:8], *(["..."] if len(path) > 8 else []), start]))
                raise GraphError(_several(f"the cycle {arrows} passes", sorted(spiking & passed)))
            if name not in passed:
                path.append(name)
                passed.add(name)
                waiting.append(sorted(after.get(name, ())))


def _several(where: str, candidates: list[str]) -> str:
    verb = "" if where.endswith("passes") else " pass"
    return (
        f"{where}{verb} several spiking neurons, {listed(candidates)}: NIR does not say which of them comes a step "
        "later; put a Delay of one step behind that one"
    )


def in_order(names: Iterable[str], found: Collection[Wire]) -> list[str]:
    """Return nodes in a topological order of the wires without delay; among equals, in that of their names."""
    waiting = dict.fromkeys(names, 0)
    after: dict[str, list[str]] = {name: [] for name in waiting}
    for wire in found:
        if wire.delay == 0:
            after[wire.source].append(wire.target)
            waiting[wire.target] += 1
    ready = [name for name, count in waiting.items() if count == 0]
    heapq.heapify(ready)
    order = []
    while ready:
        order.append(heapq.heappop(ready))
        for target in after[order[-1]]:
            waiting[target] -= 1
            if waiting[target] == 0:
                heapq.heappush(ready, target)
    return order


def summands(order: list[str], found: Iterable[Wire]) -> dict[str, list[Wire]]:
    """Return what each node reads: first what is not delayed, each in the order of the nodes."""
    place = {name: i for i, name in enumerate(order)}
    by_target: dict[str, list[Wire]] = {name: [] for name in order}
    for wire in found:
        by_target[wire.target].append(wire)
    key: Callable[[Wire], tuple[bool, int, int]] = lambda wire: (wire.delay > 0, place[wire.source], wire.delay)  # noqa: E731
    return {target: sorted(read, key=key) for target, read in by_target.items()}
