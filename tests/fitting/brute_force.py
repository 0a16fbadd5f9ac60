"""What each core of a placement holds, from a list of every single connection; small networks only.

Signals are arrays of sets of origins: each element knows which neurons (or input pixels) it is a sum of. A connection
is (layer, source, source element, delay, weight, target element). Nothing here knows of windows or boxes.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from typing import NamedTuple

import numpy as np

from asnn_deploy.ir.graph import INPUT


class Origin(NamedTuple):
    source: str
    element: tuple
    delay: int
    tables: tuple  # which scaling holds at each step


class Synapse(NamedTuple):
    layer: str
    source: str
    element: tuple
    delay: int
    tables: tuple
    weight: tuple
    dense: bool


def is_population(layer):
    return layer.kind in ("neuron", "readout") or (layer.kind == "pool" and layer.mode == "max")


def steps_of(table, tables):
    pairs = list(zip(tables, table.index.tolist()))
    seen = list(dict.fromkeys(pairs))
    return tuple(seen.index(pair) for pair in pairs)


def positions(layer, place):
    """Kernel positions and the input places that they read, inside or outside."""
    dilation = getattr(layer, "dilation", (1,) * len(layer.kernel) if hasattr(layer, "kernel") else (1, 1))
    kernel = layer.kernel if layer.kind == "pool" else layer.weight.shape[2:]
    for k in itertools.product(*(range(n) for n in kernel)):
        yield k, tuple(p * s - pad + d * i for p, s, pad, d, i in zip(place, layer.stride, layer.padding, dilation, k))


def connections(graph):
    """{population: {target element: [Synapse]}}, before the waiting that unequal paths need."""
    still = (0,) * graph.time_steps
    found = {}

    def neurons(name):
        shape = graph.shapes[name]
        signal = np.empty(shape, dtype=object)
        for e in np.ndindex(*shape):
            signal[e] = [Origin(name, e, 0, still)]
        return signal

    signals = {INPUT: neurons(INPUT)}
    for layer in graph.layers:
        if is_population(layer):
            signals[layer.name] = neurons(layer.name)

    def later(signal, delay):
        out = np.empty(signal.shape, dtype=object)
        for e in np.ndindex(*signal.shape):
            out[e] = [o._replace(delay=o.delay + delay) for o in signal[e]]
        return out

    for layer in graph.layers:
        inputs = [later(signals[e.source], e.delay) for e in graph.inputs_of[layer.name]]
        if is_population(layer):
            found[layer.name] = gather(layer, inputs[0])
        else:
            signals[layer.name] = step(graph, layer, inputs)
    return found


def gather(layer, signal):
    if layer.kind == "pool":
        signal = windowed(layer, signal)
    found = {}
    for e in np.ndindex(*signal.shape):
        merged = defaultdict(set)  # currents that are pooled: one synapse with the sum of the weights
        for o in signal[e]:
            if isinstance(o, Synapse):
                merged[o._replace(weight=())].update(o.weight)
            else:
                merged[Synapse(layer.name, o.source, o.element, o.delay, o.tables, (), False)].update(("one", e[0]))
        found[e] = [key._replace(weight=tuple(sorted(weights, key=repr))) for key, weights in merged.items()]
    return found


def windowed(layer, signal):
    c, *size = signal.shape
    outputs = [(n + 2 * p - k) // s + 1 for n, k, s, p in zip(size, layer.kernel, layer.stride, layer.padding)]
    out = np.empty((c, *outputs), dtype=object)
    for e in np.ndindex(*out.shape):
        out[e] = []
        for _k, at in positions(layer, e[1:]):
            if all(0 <= a < n for a, n in zip(at, size)):
                for o in signal[(e[0], *at)]:
                    out[e].append(o)
    return out


def step(graph, layer, inputs):
    if layer.kind == "flatten":
        out = np.empty(inputs[0].size, dtype=object)
        for i, e in enumerate(np.ndindex(*inputs[0].shape)):
            out[i] = inputs[0][e]
        return out
    if layer.kind == "add":
        out = np.empty(inputs[0].shape, dtype=object)
        for e in np.ndindex(*out.shape):
            out[e] = [o for x in inputs for o in x[e]]
        return out
    if layer.kind == "concat":
        return np.concatenate(inputs)
    if layer.kind == "pool":
        return windowed(layer, inputs[0])
    out = np.empty(graph.shapes[layer.name], dtype=object)
    (x,) = inputs
    if layer.kind == "scale":
        for e in np.ndindex(*x.shape):
            out[e] = [o._replace(tables=steps_of(layer.factor, o.tables)) for o in x[e]]
        return out
    # An input element that is the sum of several origins was pooled: then a linear layer is a convolution's like.
    plain = len({o.element for e in np.ndindex(*x.shape) for o in x[e]}) == x.size and all(
        len({o.element for o in x[e]}) == 1 for e in np.ndindex(*x.shape)
    )
    for e in np.ndindex(*out.shape):
        merged = defaultdict(set)
        if layer.kind == "linear":
            read = [((e[0], i), (i,)) for i in range(x.size)]
        else:
            per_group = layer.weight.shape[1]
            first = e[0] // (layer.weight.shape[0] // layer.groups) * per_group
            read = [
                ((e[0], c, *k), (first + c, *at))
                for c in range(per_group)
                for k, at in positions(layer, e[1:])
                if all(0 <= a < n for a, n in zip(at, x.shape[1:]))
            ]
        for weight, at in read:
            for o in x[at]:
                merged[(layer.name, o.source, o.element, o.delay, steps_of(layer.weight, o.tables))].add(weight)
        out[e] = [
            Synapse(*key, tuple(sorted(weights)), layer.kind == "linear" and plain) for key, weights in merged.items()
        ]
    return out


def with_waiting(graph, found):
    """The same, with the steps that shortcuts wait: every population answers one step after those that it reads."""
    depth = {}
    result = {}
    for name, targets in found.items():
        sources = {s.source for synapses in targets.values() for s in synapses}
        depth[name] = 1 + max((depth.get(s, 0) for s in sources if s != name), default=0)
        result[name] = {
            e: [
                s._replace(
                    delay=s.delay + (depth[name] - 1 - depth[s.source] if s.source in depth and s.source != name else 0)
                )
                for s in synapses
            ]
            for e, synapses in targets.items()
        }
    return result


class Content:
    """Every core's content, by counting."""

    def __init__(self, graph, chip, placement, unflattened=None):
        self.graph, self.chip, self.placement = graph, chip, placement
        self.unflattened = unflattened or {}
        self.core_of = {name: np.asarray(cores) for name, cores in placement.core_of.items()}
        self.targets = with_waiting(graph, connections(graph))
        self.bits = graph.quantization.bits
        self.projections = self._projections()

    def _projections(self):
        """{(population, layer, source, delay, tables): [(target element, synapse)]}."""
        found = defaultdict(list)
        for name, targets in self.targets.items():
            for e, synapses in targets.items():
                for s in synapses:
                    found[name, s.layer, s.source, s.delay, s.tables].append((e, s))
        return found

    def numbers(self):
        """{core: dict of figures}."""
        cores = range(self.placement.cores)
        figures = {n: {"neurons": 0, "synapse_bits": 0, "axons_in": 0, "axons_out": 0} for n in cores}
        for name, numbers in self.core_of.items():
            for n, count in zip(*np.unique(numbers, return_counts=True)):
                figures[n]["neurons"] += count
                figures[n]["layer"] = name
                figures[n]["parameter_bits"] = self._parameters(name, numbers == n)
                figures[n]["state_bits"] = count * self._state(name)
        stored = defaultdict(dict)
        for key, members in self.projections.items():
            self._axons(key, members, figures)
            self._synapses(key, members, figures, stored)
        for (n, _), lists in stored.items():
            figures[n]["synapse_bits"] += sum(lists.values())
        return figures

    def _population_axons(self, members, key):
        axons, limit = self.chip.storage.population_axons, self.chip.limits.axons_in
        shape = self.source_shape(key[2])
        if members[0][1].dense and (limit is None or math.prod(shape) * len(set(key[4])) <= limit.value):
            return None
        return axons

    def source_shape(self, name):
        return box_shape(self.unflattened.get(name, self.graph.shapes[name]))

    def box(self, name, element):
        """Channel, row, column of a population's neuron."""
        if name in self.unflattened:
            element = tuple(int(i) for i in np.unravel_index(element[0], self.unflattened[name]))
        return (*element, 0, 0)[:3]

    def _axons(self, key, members, figures):
        name, _, source, _, tables = key
        axons, k = self._population_axons(members, key), len(set(tables))
        reached = defaultdict(set)  # target core -> source elements
        for e, s in members:
            reached[self.core_of[name][e]].add(self.box(source, s.element))
        for core, elements in reached.items():
            if axons is None:
                figures[core]["axons_in"] += k * len(elements)
            else:
                places = defaultdict(set)
                for c, *place in elements:
                    places[tuple(place)].add(c)
                figures[core]["axons_in"] += k * sum(-(-len(c) // axons.channels) for c in places.values())
        if source not in self.core_of:
            return
        sends = defaultdict(set)  # (source core, neuron or position) -> target cores
        for e, s in members:
            who = self.box(source, s.element)
            who = who if axons is None else who[1:]
            sends[self.core_of[source][s.element], who].add(self.core_of[name][e])
        wide = axons is not None and self.source_shape(source)[0] > axons.narrow
        for (core, _), targets in sends.items():
            figures[core]["axons_out"] += k * len(targets) * (axons.wide_slots if wide else 1)

    def _synapses(self, key, members, figures, stored):
        name, layer, source, delay, tables = key
        sharing, k = self.chip.storage.sharing, len(set(tables))
        unit = "one" in members[0][1].weight
        bits = 1 if unit else self.bits
        by_core = defaultdict(lambda: defaultdict(list))
        for e, s in members:
            by_core[self.core_of[name][e]][self.box(source, s.element)].append((self.box(name, e), s.weight))
        for core, lists in by_core.items():
            if sharing == "kernels":
                self._kernels(key, core, lists, unit, stored, bits * k)
                continue
            count = figures[core]["neurons"]
            implied = members[0][1].dense and self._population_axons(members, key) is None
            for source_element, targets in lists.items():
                rows, cols = min(t[1] for t, _ in targets), min(t[2] for t, _ in targets)
                content = tuple(sorted(((c, r - rows, w - cols), weight) for (c, r, w), weight in targets))
                same = content if sharing == "lists" else (source, source_element)
                size = k * list_bits(self.chip.storage.lists, len(targets), bits, 0 if implied else count, delay)
                stored[core, (layer, delay)][same] = size

    def _kernels(self, key, core, lists, unit, stored, bits):
        """Each kernel of a channel that has a neuron here, whole."""
        _name, layer, _source, delay, _ = key
        channels = {t[0] for targets in lists.values() for t, _ in targets}
        read = frozenset(w[1] for targets in lists.values() for _, weight in targets for w in weight if not unit)
        kernel = 1 if unit else len(read) * math.prod(self.graph.by_name[layer].weight.shape[2:])
        for c in channels:
            stored[core, (layer, delay)][c, read] = bits * kernel

    def _parameters(self, name, here):
        """The values that the neurons on one core need, K of each, and the selectors."""
        from asnn_deploy.fitting.paths import PARAMETER_BITS
        from asnn_deploy.ir.fixed_point import ACCUMULATOR_BITS, STATE_BITS

        layer, total = self.graph.by_name[name], 0
        shape = self.graph.shapes[name]
        tables = [
            (t, ACCUMULATOR_BITS if layer.kind == "readout" and key == "bias" else PARAMETER_BITS[key])
            for key, t in layer.tables().items()
        ]
        for synaptic in {s.layer for synapses in self.targets[name].values() for s in synapses} - {name}:
            bias = getattr(self.graph.by_name[synaptic], "bias", None)
            if bias is not None:
                tables.append((bias, STATE_BITS))
        for table, bits in tables:
            ids = np.arange(math.prod(table.shape)).reshape(table.shape)
            if ids.ndim == 1 and len(shape) > 1:
                ids = ids.reshape(-1, *(1,) * (len(shape) - 1))
            entries = len(np.unique(np.broadcast_to(ids, shape)[here]))
            k = len(set(table.index.tolist()))
            total += k * entries * bits + (0 if k == 1 else table.time_steps * (k - 1).bit_length())
        return total

    def _state(self, name):
        layer, storage = self.graph.by_name[name], self.chip.storage
        states = {"neuron": lambda: len(layer.definition.states), "readout": lambda: 1, "pool": lambda: 0}[layer.kind]()
        return states * storage.state.value + storage.accumulator.value

    def fan_in(self):
        """{population: most synapses of one neuron}."""
        return {name: max(len(s) for s in targets.values()) for name, targets in self.targets.items()}

    def fan_out(self):
        """{population: most synapses that leave one neuron}."""
        counts = defaultdict(lambda: defaultdict(int))
        for targets in self.targets.values():
            for synapses in targets.values():
                for s in synapses:
                    counts[s.source][s.element] += 1
        return {name: max(c.values()) for name, c in counts.items()}


def box_shape(shape):
    return (shape[0], shape[1] if len(shape) > 1 else 1, shape[2] if len(shape) > 2 else 1)


def list_bits(lists, synapses, bits, targets, delay):
    """One list: blocks of at most so many synapses, a header each, in whole words."""
    width = next((w for w in lists.weight_widths if w >= bits), bits) + delay.bit_length()
    if targets:
        need = math.ceil(math.log2(targets)) if targets > 1 else 0
        width += next((w for w in lists.index_widths if w >= need), need)
    total = 0
    while synapses > 0:
        block = min(synapses, lists.synapses)
        total += math.ceil((block * width + lists.header) / lists.word) * lists.word
        synapses -= block
    return total
