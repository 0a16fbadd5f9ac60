"""The units of integer weights: each layer's own, or one for all synapses whose currents are added up.

A layer's own unit is `clip * max |w| / (2**(bits-1) - 1)`, for each of its K weights and, if all that reads it has
gains for each channel, for each output channel. Where the currents of several layers meet in a sum (a residual, a
recurrent connection), integers can only be added in one unit: the largest that any of them needs. What stands between
synapses and the sum (a factor, a mean over a window) is divided out, step by step, so that it costs no multiplication
either.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from asnn_deploy.analysis.flow import flow
from asnn_deploy.ir.graph import DeployGraph, Edge
from asnn_deploy.ir.layers import Layer, Synapses
from asnn_deploy.ir.quantization import weight_units
from asnn_deploy.ir.signals import Kind
from asnn_deploy.ir.step_table import StepTable
from asnn_deploy.ir.worth import ROUNDINGS, Worth
from asnn_deploy.util.arrays import Array


@dataclass(frozen=True, eq=False)
class Branch:
    """The way of one layer's currents into a sum: `factor [T, C]` or `[T, 1]`, by the step at which they are sent.

    by_channel: whether its weights may have one unit a channel. aligned: whether the sum's channels are the layer's.
    """

    layer: str
    factor: Array
    by_channel: bool
    aligned: bool = True


class Scales:
    """The weight units of a graph's synapses. worths: what is known of what they read, by name."""

    def __init__(self, graph: DeployGraph, worths: Mapping[str, Worth]) -> None:
        self.graph, self.worths = graph, worths
        self.units: dict[str, Array] = {}
        self.weights: dict[str, StepTable] = {}
        self._synapses = {layer.name: layer for layer in graph.synapses}
        self._groups = groups(graph)

    def together(self, name: str) -> tuple[str, ...]:
        """Return the layers that must have one scale with a layer, itself among them."""
        return next(
            (tuple({b.layer: None for b in group}) for group in self._groups if name in {b.layer for b in group}),
            (name,),
        )

    def weight(self, layer: Synapses) -> StepTable:
        """Return a layer's weights on what arrives in one unit; shares of it that channels have are in the weights."""
        if layer.name not in self.weights:
            (edge,) = self.graph.inputs_of[layer.name]
            self.weights[layer.name] = layer.on_shares(self.worths[edge.source].later(edge.delay).parts()[1])
        return self.weights[layer.name]

    def of(self, layer: Synapses) -> Array:
        """Return the units of a layer's weights at each step, `[T, C]` or `[T, 1]`."""
        if layer.name not in self.units:
            group = next((g for g in self._groups if layer.name in {b.layer for b in g}), None)
            if group is None:
                self.units[layer.name] = own_units(self.graph, layer, self.weight(layer))
            else:
                self.units |= self._common(group)
        return self.units[layer.name]

    def _common(self, group: tuple[Branch, ...]) -> dict[str, Array]:
        """The units of a group's weights for which all their currents have the same."""
        by_channel = all(b.by_channel and b.aligned for b in group)
        needed, arriving = [], {}
        for branch in group:
            layer, (edge,) = self._synapses[branch.layer], self.graph.inputs_of[branch.layer]
            unit = arriving[branch.layer] = self.worths[edge.source].later(edge.delay).parts()[0]
            own = np.abs(own_units(self.graph, layer, self.weight(layer)) * unit * branch.factor)
            needed.append(own.max(axis=0) if by_channel else own.max(keepdims=True)[0])
        common = np.maximum.reduce(np.broadcast_arrays(*needed))
        found: dict[str, Array] = {}
        for branch in group:
            divisor = arriving[branch.layer] * branch.factor
            # What a factor of 0 makes of them is 0 in any unit.
            units = common / np.where(divisor == 0, 1.0, divisor)
            known = found.setdefault(branch.layer, units)
            if not np.allclose(known, units, rtol=ROUNDINGS, atol=0):
                raise self.graph.by_name[branch.layer].refuse(
                    "reaches a sum of currents in two ways of different scales; no choice of weight units serves both"
                )
        return found


def own_units(graph: DeployGraph, layer: Synapses, weight: StepTable) -> Array:
    """Return the units of a layer's weights by themselves, at each step: `[T, C]` or `[T, 1]`."""
    bits, each, clips = graph.quantization.bits, has_channel_scales(graph, layer.name), clips_of(graph, layer)
    found: dict[int, Array] = {}
    for i, k in zip(weight.index.tolist(), layer.weight.index):
        if i not in found:
            found[i] = weight_units(weight.values[i], bits, clips[k], each)
    return np.stack([found[i] for i in weight.index.tolist()])


def clips_of(graph: DeployGraph, layer: Synapses) -> Array:
    """Return the clips of each of a layer's K weights, `[K, C]` or `[K, 1]`."""
    clips = graph.quantization.clip_table(layer.name, len(layer.weight.values))
    each = has_channel_scales(graph, layer.name)
    if clips.shape[1] not in (1, len(layer.weight.values[0]) if each else 1):
        raise layer.refuse(
            f"has {clips.shape[1]} weight clips; the layer's scales need another number; calibrate again"
        )
    return clips


def has_channel_scales(graph: DeployGraph, name: str) -> bool:
    """Return whether a layer's weights may have one unit a channel: only neurons and readouts, with their own gains,
    read it, directly or through layers that keep channels apart."""
    return graph.quantization.scales == "channel" and all(_for_channels(graph, x) for x in graph.readers(name))


def _for_channels(graph: DeployGraph, reader: Layer) -> bool:
    if reader.fires or reader.answers:
        return True
    return reader.keeps_channels and all(_for_channels(graph, x) for x in graph.readers(reader.name))


def groups(graph: DeployGraph) -> list[tuple[Branch, ...]]:
    """Return the branches of synapses whose currents are added up, together with what they share."""
    found: list[tuple[Branch, ...]] = []
    kinds = flow(graph)
    for layer in reversed(graph.layers):
        if not layer.adds or kinds[layer.name].kind != Kind.CURRENTS:
            continue
        branches = _branches(graph, layer.name)
        names = {b.layer for b in branches}
        meeting = [g for g in found if names & {b.layer for b in g}]
        if any(names <= {b.layer for b in g} for g in meeting):
            continue  # a sum within a sum
        found = [g for g in found if g not in meeting] + [sum(meeting, tuple(branches))]
    return found


def _branches(graph: DeployGraph, name: str) -> list[Branch]:
    """The ways of synapses into a layer, which passes currents on."""
    return [b for edge in graph.inputs_of[name] for b in _behind(graph, edge)]


def _behind(graph: DeployGraph, edge: Edge) -> list[Branch]:
    """The ways of synapses over an edge."""
    layer, steps = graph.by_name.get(edge.source), graph.time_steps
    if layer is not None and layer.weighted:
        found = [Branch(layer.name, np.ones((steps, 1)), has_channel_scales(graph, layer.name))]
    elif layer is None or not layer.carries:
        return []
    else:
        found = [_through(graph, layer, b) for b in _branches(graph, layer.name)]
    return [replace(b, factor=_sooner(b.factor, edge.delay)) for b in found]


def _through(graph: DeployGraph, layer: Layer, branch: Branch) -> Branch:
    """A branch behind one more layer."""
    factor = layer.factors()
    if factor.shape[1] > 1 and not branch.aligned:
        raise layer.refuse("has a factor for each channel, and their sums mix channels; no weight units serve them all")
    entering = graph.shapes[graph.inputs_of[layer.name][0].source]
    aligned = branch.aligned and layer.keeps_channels and graph.shapes[layer.name][0] == entering[0]
    return replace(branch, factor=branch.factor * factor, aligned=aligned)


def _sooner(factor: Array, delay: int) -> Array:
    """A factor by the step at which a delayed signal is sent, not by that at which it arrives."""
    return np.concatenate([factor[delay:], factor[-1:].repeat(min(delay, len(factor)), axis=0)])[: len(factor)]
