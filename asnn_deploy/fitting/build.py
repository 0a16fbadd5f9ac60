"""A DeployGraph as populations and projections: what lies between neurons is folded into synapses or becomes relays.

- Synapses that feed neurons, also through adding, flattening, scaling and sum or average pooling, are projections of
  the population that reads them; what lies before them (adding, flattening, scaling, sum and average pooling of
  spikes) is linear and is folded into them, one projection for each source.
- A max-pool is a population of relays, one for each output, that fire where any of their inputs does.
- Synapses that feed synapses are a population of relays that send values.
- A product of two signals is left to the host, and with it the axes under which it is multiplied.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import get_args

from asnn_deploy.analysis.flow import flow
from asnn_deploy.errors import UnsupportedError
from asnn_deploy.fitting.chip import Potential
from asnn_deploy.fitting.network import Geometry, Network, Obstacle, Population, Projection, Table, depths
from asnn_deploy.fitting.paths import Path, boxed, folded, joined, table_of, windows_of
from asnn_deploy.fitting.reach import Window
from asnn_deploy.ir.fixed_point import STATE_BITS
from asnn_deploy.ir.graph import INPUT, DeployGraph, Edge
from asnn_deploy.ir.layers import Layer, Neuron, Shape, Synapses

PRODUCT, MAXIMUM, REMAINDER = "product of signals", "maximum of values", "signals of different layouts"
JOINED = "signals whose channels are joined"


def build(graph: DeployGraph) -> Network:
    """Return the network of a graph.

    Raises UnsupportedError naming the layer if signals of different layouts meet, or if nothing is known of its kind.
    """
    for layer in graph.layers:
        if not (layer.carries or layer.synaptic or layer.fires or layer.answers):
            raise layer.unsupported("no chip is known to place this kind of layer")
    return _Builder(graph).network()


class _Builder:
    def __init__(self, graph: DeployGraph) -> None:
        self.graph = graph
        self.still = (0,) * graph.time_steps
        self.synapses = {layer.name: layer for layer in graph.synapses}
        self.products = {layer.name for layer in graph.layers if layer.synaptic and not layer.weighted}
        self.relays = {layer.name for layer in graph.layers if self._is_relay(layer)}

    def network(self) -> Network:
        graph = self.graph
        found = [layer for layer in graph.layers if layer.fires or layer.answers or layer.name in self.relays]
        populations = _in_step([self._population(layer) for layer in found])
        entering = flow(graph)[INPUT]
        payload = {INPUT: int(entering.largest.max()).bit_length() + int(entering.bounds[0].min() < 0)}
        payload |= {p.name: STATE_BITS for p in populations if p.kind == "relay"}
        payload |= {x.name: int(flow(graph)[x.name].largest.max()).bit_length() for x in graph.spiking}
        obstacles = [Obstacle(x.name, PRODUCT) for x in graph.layers if x.name in self.products]
        obstacles += [Obstacle(p.name, MAXIMUM) for p in populations if p.kind == "pool" and not self._binary(p.name)]
        return Network(tuple(populations), graph.time_steps, graph.quantization.bits, payload, tuple(obstacles))

    def _is_relay(self, layer: Layer) -> bool:
        return layer.takes_largest or (layer.weighted and self._read_by_synapses(layer.name))

    def _read_by_synapses(self, name: str) -> bool:
        readers = self.graph.readers(name)
        return any(x.synaptic or x.takes_largest or (x.carries and self._read_by_synapses(x.name)) for x in readers)

    def _binary(self, name: str) -> bool:
        """Whether what a layer reads is one event or none at each place."""
        return flow(self.graph).arriving(name)[0].binary

    def _population(self, layer: Layer) -> Population:
        shape = self.graph.shapes[layer.name]
        neuron = layer if isinstance(layer, Neuron) else None
        if layer.name in self.synapses:
            projections, kind = self._synapses(self.synapses[layer.name]), "relay"
        elif layer.name in self.relays:
            projections, kind = self._pooled(layer), "pool"
        else:
            projections = self._currents(self.graph.inputs_of[layer.name][0], layer)
            kind = "neuron" if neuron else "readout"
        geometry = self._geometry(layer, shape, projections)
        tables = [table_of(layer, key, t, shape, geometry) for key, t in layer.tables().items() if key != "weight"]
        tables += [t for name in {p.layer: None for p in projections} for t in self._biases(name, layer, geometry)]
        return Population(
            layer.name,
            kind,
            shape,
            geometry,
            states=len(neuron.definition.states) if neuron else int(kind == "readout"),
            reset=neuron.reset if neuron else "",
            potentials=tuple(_potentials(neuron)) if neuron else (),
            tables=tuple(tables),
            projections=tuple(projections),
        )

    def _biases(self, name: str, reader: Layer, geometry: Geometry) -> list[Table]:
        """The bias that synapses bring to the neurons that they drive: one for each channel."""
        layer = self.synapses.get(name)
        if layer is None or layer is reader or layer.bias is None:
            return []
        index = tuple(layer.bias.index.tolist())
        return [Table(name, "bias", STATE_BITS, (geometry[0] > 1, False, False), index)]

    def _geometry(self, layer: Layer, shape: Shape, projections: list[Projection]) -> Geometry:
        found = {(p.outputs, p.rows.outputs, p.cols.outputs) for p in projections}
        if len(found) > 1 or (found and prod(next(iter(found))) != prod(shape)):
            raise UnsupportedError(str(layer.refuse(f"joins {REMAINDER}: {', '.join(map(str, sorted(found)))}")))
        return next(iter(found)) if found else boxed(shape)

    def _currents(self, edge: Edge, reader: Layer) -> list[Projection]:
        """The projections that one edge into a population stands for."""
        return [_later(p, edge.delay) for p in self._sent(edge.source, reader)]

    def _sent(self, name: str, reader: Layer) -> list[Projection]:
        layer = self.graph.by_name.get(name)
        if layer is None or name in self.relays or not self._carries_currents(name):
            return [self._identity(path, reader) for path in self._paths(name)]
        if name in self.synapses:
            return self._synapses(self.synapses[name])
        below = [p for edge in self.graph.inputs_of[name] for p in self._currents(edge, reader)]
        if layer.sliding:
            rows, cols = windows_of(layer, below[0].rows, below[0].cols)
            return [replace(p, rows=rows.after(p.rows), cols=cols.after(p.cols)) for p in below]
        return [replace(p, index=joined(p.index, *layer.tables().values())) for p in below]

    def _carries_currents(self, name: str) -> bool:
        layer = self.graph.by_name.get(name)
        if layer is None or name in self.relays:
            return False
        if layer.carries:
            return any(self._carries_currents(e.source) for e in self.graph.inputs_of[name])
        return layer.weighted

    def _identity(self, path: Path, reader: Layer) -> Projection:
        c = path.channels
        return Projection(
            reader.name,
            path.source,
            path.rows.of_ones(),
            path.cols.of_ones(),
            c,
            c,
            c,
            path.index,
            path.late,
            unit=True,
        )

    def _synapses(self, layer: Synapses) -> list[Projection]:
        (edge,) = self.graph.inputs_of[layer.name]
        groups = layer.sliding.groups if layer.sliding else 1
        found = []
        for path in self._paths(edge.source):
            if groups > 1 and path.channels != self.graph.shapes[edge.source][0]:
                raise layer.unsupported(f"reads {JOINED} in groups")
            rows, cols = windows_of(layer, path.rows, path.cols)
            found.append(
                Projection(
                    layer.name,
                    path.source,
                    folded(rows, path.rows),
                    folded(cols, path.cols),
                    inputs=path.channels,
                    outputs=layer.weight.shape[0],
                    groups=groups,
                    index=joined(path.index, layer.weight),
                    steps_late=path.late + edge.delay,
                    dense=not layer.sliding and path.plain,
                    first=path.first,
                )
            )
        return found

    def _pooled(self, layer: Layer) -> list[Projection]:
        (edge,) = self.graph.inputs_of[layer.name]
        found = []
        for path in self._paths(edge.source):
            if path.channels != self.graph.shapes[edge.source][0]:
                raise layer.unsupported(f"takes the largest of {JOINED}; pool each of them before they are joined")
            windows = windows_of(layer, path.rows, path.cols)
            rows, cols = folded(windows[0], path.rows).of_ones(), folded(windows[1], path.cols).of_ones()
            c, late = path.channels, path.late + edge.delay
            found.append(Projection(layer.name, path.source, rows, cols, c, c, c, path.index, late, unit=True))
        return found

    def _paths(self, name: str) -> list[Path]:
        """What a signal without synapses reads, source by source."""
        layer = self.graph.by_name.get(name)
        if layer is None or name in self.relays or not layer.carries:
            channels, rows, cols = self._laid_out(name)
            return [Path(name, channels, Window.same(rows), Window.same(cols), self.still)]
        paths, first = [], 0
        for edge in self.graph.inputs_of[name]:
            for path in self._paths(edge.source):
                late, index = path.late + edge.delay, joined(path.index, *layer.tables().values())
                paths.append(replace(path, late=late, index=index, first=path.first + first))
            first += self.graph.shapes[edge.source][0] if layer.joins else 0
        if layer.sliding:
            windows = [windows_of(layer, p.rows, p.cols) for p in paths]
            return [replace(p, rows=folded(r, p.rows), cols=folded(c, p.cols)) for p, (r, c) in zip(paths, windows)]
        return paths if layer.keeps_channels else self._reshaped(layer, paths)

    def _reshaped(self, layer: Layer, paths: list[Path]) -> list[Path]:
        """What the host multiplies it can also send in another order; neurons stay where they are."""
        channels, rows, cols = boxed(self.graph.shapes[layer.name])
        if all((p.channels, p.rows.outputs, p.cols.outputs) == (channels, rows, cols) for p in paths):
            return paths
        if all(p.source in self.products and p.plain for p in paths):
            return [replace(p, channels=channels, rows=Window.same(rows), cols=Window.same(cols)) for p in paths]
        raise UnsupportedError(str(layer.refuse(f"gives synapses {REMAINDER}; only products can be reshaped")))

    def _laid_out(self, name: str) -> Geometry:
        """The geometry of a source: of flattened currents, what they were before."""
        layer = self.graph.by_name.get(name)
        shape = self.graph.shapes[name]
        while layer is not None and (layer.fires or layer.passes) and len(shape) == 1:
            before = next((e.source for e in self.graph.inputs_of[layer.name] if not e.delay), None)
            if before is None:
                break
            layer, shape = self.graph.by_name.get(before), self.graph.shapes[before]
        return boxed(shape if prod(shape) == prod(self.graph.shapes[name]) else self.graph.shapes[name])


def _in_step(populations: list[Population]) -> list[Population]:
    """Add what signals must wait where paths of different lengths meet: each population answers one step later."""
    depth, before, result = depths(populations), set[str](), []
    for p in populations:
        waits = tuple(
            replace(x, steps_late=x.steps_late + depth[p.name] - 1 - depth[x.source]) if x.source in before else x
            for x in p.projections
        )
        result.append(replace(p, projections=waits))
        before.add(p.name)
    return result


def _potentials(neuron: Neuron) -> list[str]:
    """What a layer's neurons hold of their membrane potential, of what not every chip's do."""
    held = {key: table for key, table in neuron.parameters.items() if key in get_args(Potential)}
    return [key for key, table in held.items() if key == "minimum" or table.values.any()]


def _later(projection: Projection, steps: int) -> Projection:
    return replace(projection, steps_late=projection.steps_late + steps) if steps else projection
