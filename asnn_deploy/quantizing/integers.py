"""A float DeployGraph to one in integers, with the proof that nothing overflows.

Every signal is an integer times a unit. Frames of images and spikes have unit 1; the values of a sequence are rounded
to 8 bits (`Input.whole`). A synaptic layer's weights become integers
by `asnn_deploy.ir.quantization`, with units for each of its K weights (so that the analog step's small weights keep
their own scale) and, if what reads it allows, for each output channel (`scales.py`); its bias moves behind the gain of
the neuron that it feeds. A neuron's membrane unit is `threshold / 2**k` with the largest k for which interval
arithmetic keeps every state in 24 bits; its gain absorbs all units:
`gain_q[t] = round(gain[t] * unit[t] / membrane unit * 2**gain_shift)`. See `ir/fixed_point.py` and
`analysis/overflow.py`. Each kind of layer, and each neuron model, says for itself what its integer version is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from asnn_deploy.analysis.flow import Follower, Track, flow
from asnn_deploy.analysis.overflow import prove
from asnn_deploy.errors import GraphError
from asnn_deploy.ir.graph import INPUT, DeployGraph, remember, remembered
from asnn_deploy.ir.layers import Layer
from asnn_deploy.ir.signals import spikes
from asnn_deploy.ir.step_table import StepTable
from asnn_deploy.ir.worth import Choices, Worth
from asnn_deploy.quantizing.scales import Scales
from asnn_deploy.util.arrays import Array
from asnn_deploy.util.progress import phase


@remembered
@phase("quantise")
def quantize(graph: DeployGraph) -> DeployGraph:
    """Return the integer version of a float graph, by the choices in `graph.quantization`.

    Raises GraphError naming the layer if a kind of layer, neuron or value has no integer counterpart, and the step
    and the bound if a value could leave its register.
    """
    if graph.arithmetic == "fixed":
        return graph
    made = _Integers(graph)
    for layer in made.in_order():
        made.add(layer)
    layers = tuple(made.layers[layer.name] for layer in graph.layers)
    result = replace(graph, code=made.code, layers=layers, arithmetic="fixed")
    remember(result, flow, made.follower.flow(result))
    remember(result, weight_units, made.scales.units)
    remember(result, weights, made.scales.weights)
    prove(result)
    return result


@remembered
def weight_units(_graph: DeployGraph) -> dict[str, Array]:
    """Return what an integer weight of each synaptic layer is worth, `[T, C]` or `[T, 1]`; for what `quantize` made."""
    raise GraphError("its weight units are not known; only `quantize` tells them")


@remembered
def weights(_graph: DeployGraph) -> dict[str, StepTable]:
    """Return the real weights that the integers of each synaptic layer stand for; for what `quantize` made."""
    raise GraphError("its real weights are not known; only `quantize` tells them")


class _Integers:
    """The integer version under construction: layers, worths and bounds, as far as they are known."""

    def __init__(self, graph: DeployGraph) -> None:
        self.graph = graph
        self.layers: dict[str, Layer] = {}
        self.code, unit = graph.code.whole()
        self.follower = Follower(graph, fixed=True, code=self.code)
        ones = Worth(np.ones((graph.time_steps, 1)))
        self.worths: dict[str, Worth] = {INPUT: Worth(ones.unit * unit)}
        # Spikes are known before the neurons that send them, so loops through neurons have a beginning.
        for neuron in graph.spiking:
            self.worths[neuron.name] = ones
            self.follower.expected[neuron.name] = spikes()
        self.scales = Scales(graph, self.worths)

    def in_order(self) -> Iterator[Layer]:
        """The layers, each when all that it reads is known. Raises GraphError for a loop without spikes."""
        waiting = list(self.graph.layers)
        while waiting:
            ready = next((layer for layer in waiting if self.ready(layer)), None)
            if ready is None:
                back = next(
                    e
                    for layer in waiting
                    for e in self.graph.inputs_of[layer.name]
                    if e.delay and e.source not in self.worths
                )
                raise self.graph.by_name[back.source].refuse(
                    "leads back to an earlier layer; in integers a loop must pass through spikes"
                )
            waiting.remove(ready)
            yield ready

    def ready(self, layer: Layer) -> bool:
        """Whether all is known that a layer, and those that share its scales, read."""
        names = self.scales.together(layer.name)
        return all(e.source in self.worths for name in names for e in self.graph.inputs_of[name])

    def add(self, layer: Layer) -> None:
        """Make a layer's integer version, and follow its signals."""
        edges = self.graph.inputs_of[layer.name]
        x = [self.worths[edge.source].later(edge.delay) for edge in edges]
        choices = Choices(
            shapes=tuple(self.graph.shapes[edge.source] for edge in edges),
            shape=self.graph.shapes[layer.name],
            time_steps=self.graph.time_steps,
            quantization=self.graph.quantization,
            weight=lambda: self.scales.weight(layer),  # type: ignore[arg-type]
            weight_units=lambda: self.scales.of(layer),  # type: ignore[arg-type]
            bounds=lambda: [self.track(edge.source).later(edge.delay).bounds for edge in edges],
        )
        new, self.worths[layer.name] = layer.quantized(x, choices)
        self.layers[layer.name] = new
        for t in range(self.graph.time_steps):
            self.follower.advance(new, t)

    def track(self, name: str) -> Track:
        """What leaves a layer, as far as it is known."""
        known = self.follower.leaving.get(name)
        return Track(tuple(known or [self.follower.expected[name]] * self.graph.time_steps))
