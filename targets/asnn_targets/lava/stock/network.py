"""A graph of Loihi's own neurons as Lava's own Processes.

Lava orders the axes width, height, channels, and convolves where others correlate. Conv and Dense send what they
computed in the time step before, so what lies behind the d-th of them works d time steps late: its `lag`. A LIFReset
clears its population where a sample begins, that many steps late. A max-pool of spikes is an OR: a Conv of ones, and
a LIF that forgets at once and fires at anything above zero; it costs one more step of lag, and a sum-pool, a Conv of
ones, too. Lag delays the answer; it changes no spike.
"""

from __future__ import annotations

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
from asnn_deploy.ir.layers import Conv, Flatten, Layer, Linear, Neuron, Pool
from asnn_deploy.loihi.rules import LARGEST_NUMBER
from asnn_deploy.loihi.synapses import MESSAGE_BITS, exponent_of
from asnn_deploy.util.arrays import Array

BUFFER = 4
"""Messages that the pipes to and from the outside hold."""
NOTHING_KEPT = 4095
"""Of du and dv: no current, and next to no potential, is left for the next step."""


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
        for layer in self.graph.layers:
            (x,) = flow(self.graph).arriving(layer.name)
            self._add(layer, self.graph.input_shape_of(layer.name), MESSAGE_BITS if x.largest.max() > 1 else 0)
            if layer.name in self.tapped:
                extractor = Extractor(shape=self.out.shape, buffer_size=BUFFER)
                self._connect(self.out, extractor, extractor.in_port, f"the output of {layer.name}")
                self.taps.append(Tap(layer.name, extractor, self.lag))

    def _connect(self, out: OutPort, process: AbstractProcess, port: Any, title: str) -> None:
        out.connect(port)
        self.titles[process] = title

    def _add(self, layer: Layer, shape: tuple[int, ...], message_bits: int) -> None:
        """Put a layer behind what is there; shape: of what it reads."""
        if isinstance(layer, Conv):
            window = Window(layer.stride, layer.padding, layer.groups, layer.dilation)
            self._convolve(layer.name, shape, layer.weight.at(0), message_bits, window)
        elif isinstance(layer, Pool):
            ones = np.ones((shape[0], 1, *layer.kernel), np.int64)
            window = Window(layer.stride, layer.padding, shape[0])
            self._convolve(layer.name, shape, ones, message_bits, window)
            if layer.mode == "max":
                either = LIF(shape=self.out.shape, du=NOTHING_KEPT, dv=NOTHING_KEPT, vth=0)
                self._connect(self.out, either, either.a_in, f"{layer.name} (LIF)")
                self.out = either.s_out
        elif isinstance(layer, Linear):
            dense = LavaDense(**stored_with_exponent(layer.weight.at(0)), num_message_bits=message_bits)
            self._connect(self.out, dense, dense.s_in, f"{layer.name} (Dense)")
            self.out, self.lag = dense.a_out, self.lag + 1
        elif isinstance(layer, Neuron):
            self._fire(layer)
        elif isinstance(layer, Flatten) and len(shape) > 1:
            # (C, H, W) and (W, H, C) flatten differently.
            self.out = self.out.transpose(list(reversed(range(len(shape))))).flatten()

    def _convolve(self, name: str, shape: tuple[int, ...], weight: Array, message_bits: int, window: Window) -> None:
        """A Conv with weights `[C_out, C_in/groups, KH, KW]`."""
        if window.groups > LARGEST_NUMBER:
            weight, window = ungrouped(weight, window.groups), replace(window, groups=1)
        conv = LavaConv(
            weight=np.ascontiguousarray(weight.transpose(0, 3, 2, 1)[:, ::-1, ::-1]).astype(np.int64),
            input_shape=shape[::-1],  # type: ignore[arg-type]
            padding=window.padding[::-1],
            stride=window.stride[::-1],
            dilation=window.dilation[::-1],
            groups=window.groups,
            num_message_bits=message_bits,
        )
        self._connect(self.out, conv, conv.s_in, f"{name} (Conv)")
        self.out, self.lag = conv.a_out, self.lag + 1

    def _fire(self, layer: Neuron) -> None:
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
        self.out = lif.s_out


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


def frames_of(graph: DeployGraph, images: Array) -> Array:
    """What the Injector sends, step after step and sample after sample: `[N * T, W, H, C]` int32."""
    frames = graph.code.frames(images).swapaxes(0, 1)
    return np.ascontiguousarray(frames.reshape(-1, *graph.input_shape).transpose(0, 3, 2, 1), np.int32)
