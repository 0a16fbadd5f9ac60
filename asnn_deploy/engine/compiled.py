"""Compiled synapses: a convolution or linear map that adds up events."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np

from asnn_deploy.analysis.flow import flow
from asnn_deploy.engine.choice import Choice
from asnn_deploy.engine.dense import ConvKernel, LinearKernel
from asnn_deploy.engine.kernels.records import Events
from asnn_deploy.engine.kernels.synapses import integrate
from asnn_deploy.engine.layout import aligned, arrange, geometry
from asnn_deploy.engine.registers import NotCompilable, accumulator_types, narrowest
from asnn_deploy.engine.signals import carried_types, channels_first, channels_last
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.layers import Conv, Linear
from asnn_deploy.ir.step_table import StepTable
from asnn_deploy.util.arrays import Array


class Run(NamedTuple):
    """Consecutive steps that one call of a kernel computes.

    part: the steps; at: where they are among those at hand. kind: of the accumulators. graded: whether inputs other
    than 0 and 1 may arrive. bias: the accumulators as each step begins with them, `[steps, accumulators]`, or empty.
    """

    part: slice
    at: slice
    kind: Any
    graded: bool
    bias: Array


class Synapses:
    """A convolution or linear map that adds up events. Gives currents in the accumulators' type.

    layers: the names it stands for. Raises NotCompilable from the constructor if no exact type is wide enough.
    """

    def __init__(self, graph: DeployGraph, layer: Conv | Linear) -> None:
        types = accumulator_types(graph, layer)
        if types is None:
            raise NotCompilable(layer.name)
        self.layers: tuple[str, ...] = (layer.name,)
        self.layer = layer
        source = graph.inputs_of[layer.name][0].source
        self.shape_in, self.shape = graph.shapes[source], graph.shapes[layer.name]
        self.carried = carried_types(graph)[source]
        if self.carried != np.uint8:
            self.carried = np.dtype(np.int32 if graph.arithmetic == "fixed" else np.float32)
        reaching = flow(graph).arriving(layer.name)[0].largest
        self.largest_input = float(reaching.max())
        self.products: dict[int, ConvKernel | LinearKernel] = {}
        self.choices: dict[tuple[Any, bool], Choice] = {}
        self.geometry = geometry(layer, self.shape_in, self.shape)
        self.graded = np.array([self.carried != np.uint8 or bound > 1 for bound in reaching])
        self.types = types
        kept = np.float32 if graph.arithmetic != "fixed" else narrowest(layer.weight.values)
        size = self.geometry.weights
        self.weights = aligned(len(layer.weight.values) * size, kept)
        for k, value in enumerate(layer.weight.values):
            self.weights[k * size : (k + 1) * size] = arrange(value, self.geometry, kept)
        self.tables = layer.weight.index * size
        self.accumulators = {kind: aligned(self.geometry.accumulators, kind) for kind in set(types)}
        self.bias = self._templates(layer.bias)

    def _templates(self, bias: StepTable | None) -> Array:
        """Accumulators as each step begins with them, `[T, accumulators]`; empty without a bias."""
        g = self.geometry
        if bias is None:
            return np.zeros((0, 0))
        rows = np.zeros((bias.time_steps, g.accumulators), bias.dtype)
        inner = rows[:, : g.out_height * g.pitch].reshape(bias.time_steps, g.out_height, g.pitch)
        start = g.left * g.outputs
        inner[..., start : start + g.out_width * g.outputs] = np.tile(bias.expanded(), g.out_width)[:, None]
        return rows

    def runs(self, steps: range) -> Iterator[Run]:
        """Consecutive steps that one call can compute."""
        for (kind, graded), group in groupby(steps, lambda t: (self.types[t], bool(self.graded[t]))):
            members = list(group)
            part = slice(members[0], members[-1] + 1)
            at = slice(part.start - steps.start, part.stop - steps.start)
            yield Run(part, at, kind, graded, np.ascontiguousarray(self.bias[part], kind))

    def events(self, run: Run) -> Events:
        """How the kernels take a run's synapses."""
        accumulators = self.accumulators[run.kind]
        return Events(run.graded, self.weights, self.tables[run.part], self.geometry, run.bias, accumulators)

    def dense_sums(self, run: Run, x: Array) -> Array:
        """The finished accumulators of some inputs, `[steps, samples, accumulators]`, as matrix products."""
        g = self.geometry
        sums = np.zeros((*x.shape[:2], g.accumulators), run.kind)
        sums[:] = run.bias[:, None] if len(run.bias) else 0
        rows = sums[..., : g.out_height * g.pitch].reshape(*x.shape[:2], g.out_height, g.pitch)
        start = g.left * g.outputs
        inner = rows[..., start : start + g.out_width * g.outputs]
        for i, (k, frames) in enumerate(zip(self.layer.weight.index[run.part], channels_first(x, self.shape_in))):
            if k not in self.products:
                kernel = LinearKernel if isinstance(self.layer, Linear) else ConvKernel
                self.products[k] = kernel(self.layer, self.layer.weight.values[k], self.largest_input)  # type: ignore[arg-type]
            inner[i] += channels_last(self.products[k](frames)[None])[0].reshape(inner.shape[1:]).astype(run.kind)
        return sums

    def currents(self, run: Run, x: Array, found: Array | None = None) -> Array:
        """The same sums by events, `[steps, samples, out_height, out_width * outputs]`; written to `found`."""
        g = self.geometry
        if found is None:
            found = np.empty((*x.shape[:2], g.out_height, g.out_width * g.outputs), run.kind)
        integrate(x, self.events(run), found)
        return found

    def sums(self, run: Run, x: Array) -> Array:
        """The finished accumulators where dense products are faster for these inputs, else nothing."""
        choice = self.choices.setdefault((run.kind, run.graded), Choice())
        if choice.takes_events(x, partial(self.currents, run), partial(self.dense_sums, run)):
            return np.zeros((0, 0, 0), run.kind)
        return self.dense_sums(run, x)

    def reset(self, batch: int) -> None:
        """Nothing to do."""

    def keep(self, samples: Array) -> None:
        """Nothing to do."""

    def advance(self, steps: range, *inputs: Array) -> dict[str, Array]:
        """Currents `[steps, B, *shape]`."""
        x = channels_last(inputs[0].astype(self.carried, copy=False))
        g = self.geometry
        found = np.empty((*x.shape[:2], g.out_height, g.out_width * g.outputs), np.result_type(*set(self.types)))
        for run in self.runs(steps):
            sums = self.sums(run, x[run.at])
            if len(sums):
                rows = sums[..., : g.out_height * g.pitch].reshape(*sums.shape[:2], g.out_height, g.pitch)
                found[run.at] = rows[..., g.left * g.outputs : (g.left + g.out_width) * g.outputs]
            else:
                self.currents(run, x[run.at], found[run.at])
        return {self.layers[0]: channels_first(found, self.shape)}
