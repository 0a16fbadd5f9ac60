"""A graph of Loihi's own neurons as Lava's own Processes.

Lava orders the axes width, height, channels, and convolves where others correlate. Conv and Dense send what they
computed in the time step before, so what lies behind the d-th of them works d time steps late: its `lag`. A LIFReset
clears its population where a sample begins, that many steps late. A max-pool of spikes is an OR: a Conv of ones, and
a LIF that forgets at once and fires at anything above zero; it costs one more step of lag, and a sum-pool, a Conv of
ones, too. Lag delays the answer; it changes no spike.

That step is also the one by which a population's own spikes come back to it through a Conv or Dense. What it sends of a
sample's last step would reach the next sample's first one. So a relay stands between the two, a LIF that passes spikes
on in the step in which they arrive, and a clock, a LIF that fires every T steps, silences it in the last step of each
sample; its Dense takes one step, so it fires one earlier. Before the first sample, where that would be before Lava's
first step, the relay starts below its threshold. All that layers send each other forwards belongs to one sample: it
arrives, lag by lag, between the same two resets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.conv.process import Conv as LavaConv
from lava.proc.dense.process import Dense as LavaDense
from lava.proc.io.extractor import Extractor, PyLoihiExtractorModel
from lava.proc.io.injector import Injector, PyLoihiInjectorModel
from lava.proc.lif.process import LIF, LIFReset
from lava.utils.weightutils import SignMode

from asnn_deploy.analysis.flow import flow
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.layers import Conv, Flatten, Layer, Neuron, Pool, Synapses
from asnn_deploy.ir.neurons.loihi_lif import ALIGNMENT, UNITY
from asnn_deploy.loihi.line import Place, line
from asnn_deploy.loihi.rules import LARGEST_NUMBER
from asnn_deploy.loihi.synapses import MESSAGE_BITS, exponent_of
from asnn_deploy.util.arrays import Array

BUFFER = 4
"""Messages that the pipes to and from the outside hold."""
NOTHING_KEPT = 4095
"""Of du and dv: no current, and next to no potential, is left for the next step."""
FORGETS: Mapping[str, int] = {"du": NOTHING_KEPT, "dv": NOTHING_KEPT, "vth": 0}
"""A LIF that fires if what arrives in a step is positive."""
SILENT_ONCE = -UNITY << ALIGNMENT
"""The membrane potential of such a LIF with which it ignores one spike in the first step: 1/4096 of it is one spike."""


class IntegerInjector(PyLoihiInjectorModel):
    """Lava's Injector, for integers: its own sends floats, which a Dense with an exponent cannot shift."""

    in_port: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    out_port: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)


class IntegerExtractor(PyLoihiExtractorModel):
    """Lava's Extractor, for integers."""

    in_port: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    out_port: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)


RUN_CONFIG = Loihi2SimCfg(
    select_tag="fixed_pt", exception_proc_model_map={Injector: IntegerInjector, Extractor: IntegerExtractor}
)


@dataclass(frozen=True)
class Window:
    """How a kernel moves: an entry for height and one for width."""

    stride: tuple[int, ...]
    padding: tuple[int, ...]
    groups: int
    dilation: tuple[int, ...] = (1, 1)


@dataclass(frozen=True)
class Tap:
    """Where a layer's output is read: `lag` time steps after the input that it answers."""

    layer: str
    process: Extractor
    lag: int


@dataclass
class Network:
    """The Processes under construction, and their titles; `out` is where the last layer's output leaves."""

    graph: DeployGraph
    tapped: list[str]
    titles: dict[AbstractProcess, str] = field(default_factory=dict)
    taps: list[Tap] = field(default_factory=list)
    lag: int = 0

    def __post_init__(self) -> None:
        self.source = Injector(shape=self.graph.input_shape[::-1], buffer_size=BUFFER)
        self.titles[self.source] = "the input"
        self.out: OutPort = self.source.out_port
        for place in line(self.graph):
            name = place.layer.name
            self._add(place)
            if name in self.tapped:
                extractor = Extractor(shape=self.out.shape, buffer_size=BUFFER)
                self._connect(self.out, extractor, extractor.in_port, f"the output of {name}")
                self.taps.append(Tap(name, extractor, self.lag))

    def _connect(self, out: OutPort, process: AbstractProcess, port: Any, title: str) -> None:
        out.connect(port)
        self.titles[process] = title

    def _add(self, place: Place) -> None:
        """Put a layer behind what is there."""
        layer, shape = place.layer, self.graph.input_shape_of(place.layer.name)
        if isinstance(layer, Synapses):
            self.out, self.lag = self._weigh(layer, self.out), self.lag + 1
        elif isinstance(layer, Pool):
            ones = np.ones((shape[0], 1, *layer.kernel), np.int64)
            window = Window(layer.stride, layer.padding, shape[0])
            self.out, self.lag = self._convolve(layer, ones, window, self.out), self.lag + 1
            if layer.mode == "max":
                either = LIF(shape=self.out.shape, **FORGETS)
                self._connect(self.out, either, either.a_in, f"{layer.name} (LIF)")
                self.out = either.s_out
        elif isinstance(layer, Neuron):
            lif = self._fire(layer)
            for synapses in (place.before, place.feedback):
                if isinstance(synapses, Synapses) and synapses.bias is not None:
                    self._send_always(synapses.name, synapses.bias.at(0), lif)
            if place.feedback is not None:
                self._feed_back(layer.name, place.feedback, lif)
            self.out = lif.s_out
        elif isinstance(layer, Flatten) and len(shape) > 1:
            # (C, H, W) and (W, H, C) flatten differently.
            self.out = self.out.transpose(list(reversed(range(len(shape))))).flatten()

    def _message_bits(self, layer: Layer) -> int:
        """What the events carry that a layer reads."""
        (x,) = flow(self.graph).arriving(layer.name)
        return MESSAGE_BITS if x.largest.max() > 1 else 0

    def _weigh(self, layer: Synapses, out: OutPort) -> OutPort:
        """Return where the sums leave of synapses that read what leaves there, one time step late."""
        if isinstance(layer, Conv):
            window = Window(layer.stride, layer.padding, layer.groups, layer.dilation)
            return self._convolve(layer, layer.weight.at(0), window, out)
        dense = LavaDense(**stored_with_exponent(layer.weight.at(0)), num_message_bits=self._message_bits(layer))
        self._connect(out, dense, dense.s_in, f"{layer.name} (Dense)")
        return dense.a_out

    def _convolve(self, layer: Layer, weight: Array, window: Window, out: OutPort) -> OutPort:
        """The same of a Conv with weights `[C_out, C_in/groups, KH, KW]`."""
        if window.groups > LARGEST_NUMBER:
            weight, window = ungrouped(weight, window.groups), replace(window, groups=1)
        conv = LavaConv(
            weight=np.ascontiguousarray(weight.transpose(0, 3, 2, 1)[:, ::-1, ::-1]).astype(np.int64),
            input_shape=self.graph.input_shape_of(layer.name)[::-1],  # type: ignore[arg-type]
            padding=window.padding[::-1],
            stride=window.stride[::-1],
            dilation=window.dilation[::-1],
            groups=window.groups,
            num_message_bits=self._message_bits(layer),
        )
        self._connect(out, conv, conv.s_in, f"{layer.name} (Conv)")
        return conv.a_out

    def _fire(self, layer: Neuron) -> LIFReset:
        """A LIFReset: clears its state where a sample's first step arrives, `lag` steps late."""
        shape, steps = self.graph.shapes[layer.name], self.graph.time_steps
        value = {key: table.at(0) for key, table in layer.parameters.items()}
        per_channel = (-1, *(1,) * (len(shape) - 1))
        biases = {
            key: np.ascontiguousarray(np.broadcast_to(np.reshape(value.get(key, 0), per_channel), shape).T)
            for key in ("bias_mant", "bias_exp")
        }
        lif = LIFReset(
            shape=shape[::-1],
            **{key: int(value[key]) for key in ("du", "dv", "vth")},
            **biases,
            reset_interval=steps,
            reset_offset=(1 + self.lag) % steps,
        )
        self._connect(self.out, lif, lif.a_in, f"{layer.name} (LIFReset)")
        return lif

    def _feed_back(self, name: str, synapses: Synapses, lif: LIFReset) -> None:
        """Connect a population with itself, through a relay that keeps a sample's last spikes from the next one."""
        relay = LIF(shape=lif.s_out.shape, v=SILENT_ONCE, **FORGETS)
        self._connect(lif.s_out, relay, relay.a_in, f"{name} (relay, LIF)")
        self._spread(self._clock(), -np.ones(relay.s_out.shape, np.int64), relay, f"{name} (clock, ")
        self._weigh(synapses, relay.s_out).connect(lif.a_in)

    def _send_always(self, name: str, bias: Array, lif: LIFReset) -> None:
        """Connect a population with the bias `[C]` of synapses: what a neuron that fires at every step sends to it."""
        weight = np.broadcast_to(bias, lif.s_out.shape)  # channels are last in Lava's order of axes
        self._spread(LIF(shape=(1,), bias_mant=1, **FORGETS), weight, lif, f"{name} (bias, ")

    def _spread(self, neuron: LIF, weight: Array, population: LIF | LIFReset, title: str) -> None:
        """Connect one neuron with each of a population, by weights of its shape."""
        self.titles[neuron] = f"{title}LIF)"
        dense = LavaDense(**stored_with_exponent(weight.reshape(-1, 1)))
        self._connect(neuron.s_out, dense, dense.s_in, f"{title}Dense)")
        dense.a_out.reshape(population.s_out.shape).connect(population.a_in)

    def _clock(self) -> LIF:
        """A neuron that fires every T steps, one before the last step of a sample arrives where the line ends now."""
        steps = self.graph.time_steps
        first = (self.lag - 2) % steps + 1  # Lava counts from 1; the last step of a sample arrives at T + lag
        tick = 1 << ALIGNMENT
        return LIF(shape=(1,), du=NOTHING_KEPT, dv=0, bias_mant=tick, vth=steps - 1, v=tick * (steps - first))


def ungrouped(weight: Array, groups: int) -> Array:
    """Weights `[C_out, C_in/groups, ...]` with a zero for every pair of channels that lies in different groups."""
    outputs, inputs = len(weight) // groups, weight.shape[1]
    whole = np.zeros((len(weight), inputs * groups, *weight.shape[2:]), weight.dtype)
    for g in range(groups):
        mine = slice(g * outputs, (g + 1) * outputs)
        whole[mine, g * inputs : (g + 1) * inputs] = weight[mine]
    return whole


def stored_with_exponent(weight: Array) -> dict[str, Any]:
    """Weights as a Dense takes them: what is stored, and the exponent that makes of it what they are."""
    exponent = exponent_of(weight)
    assert exponent is not None, "check_loihi: these weights can be stored"
    return {"weights": weight.astype(np.int64) << -exponent, "weight_exp": exponent, "sign_mode": SignMode.MIXED}


def frames_of(graph: DeployGraph, samples: Array) -> Array:
    """What the Injector sends, step after step and sample after sample: `[N * T, W, H, C]` int32, or `[N * T, F]`."""
    frames = graph.code.frames(samples).swapaxes(0, 1).reshape(-1, *graph.input_shape)
    return np.ascontiguousarray(frames.transpose(0, *range(frames.ndim - 1, 0, -1)), np.int32)
