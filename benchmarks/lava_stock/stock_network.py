"""A sequential DeployGraph as a Lava user would build it: one Process per operation, Lava's own where there is one.

Lava 0.10's RingBuffer sends the coded frames, its Conv and Dense are the synapses, its RingBuffer receives the answer;
neurons (leak and gain per step, soft reset) and pooling, which Lava does not have, are Processes of the plainest kind.
Lava orders the axes width, height, channels, convolves where others correlate, and has no bias: the neuron adds it.
Conv and Dense send what they computed in the time step before, so neurons behind the d-th of them run d steps late.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.conv.process import Conv as LavaConv
from lava.proc.dense.process import Dense as LavaDense
from lava.proc.io.sink import RingBuffer as Sink
from lava.proc.io.source import RingBuffer as Frames

from asnn_deploy.ir.fixed_point import LEAK_SHIFT, STATE_BITS, saturate, truncating_shift
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.layers import Conv, Flatten, Linear, Neuron, Pool

Array = np.ndarray[Any, Any]


class SteppedLIF(AbstractProcess):
    """Leaky integrate-and-fire neurons `[...]` with `leak`, `gain` and `bias` for each of T steps, and a soft reset."""

    def __init__(self, shape: tuple[int, ...], lag: int, tables: dict[str, Array]) -> None:
        super().__init__(shape=shape, lag=lag, tables=tables)
        self.a_in = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)


class SteppedLIFModel(PyLoihiProcessModel):
    """What both arithmetics share."""

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.lag = proc_params["lag"]
        self.tables = proc_params["tables"]
        self.v = np.zeros(proc_params["shape"], self.tables["threshold"].dtype)

    def integrate(self, a: Array, t: int) -> None:
        """Advance the membrane potential by one step."""
        raise NotImplementedError

    def run_spk(self) -> None:
        """One time step."""
        t = (self.time_step - 1 - self.lag) % len(self.tables["leak"])
        if t == 0:
            self.v = np.zeros_like(self.v)
        self.integrate(self.a_in.recv(), t)
        spikes = self.v > self.tables["threshold"][t]
        self.v = self.v - spikes * self.tables["threshold"][t]
        self.s_out.send(spikes)


@implements(proc=SteppedLIF, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class FloatSteppedLIF(SteppedLIFModel):
    """Float32."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)

    def integrate(self, a: Array, t: int) -> None:
        current = a.astype(np.float32) + self.tables["bias"][t]
        self.v = self.tables["leak"][t] * self.v + self.tables["gain"][t] * current


@implements(proc=SteppedLIF, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class FixedSteppedLIF(SteppedLIFModel):
    """Integers; the bias is in membrane units."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

    def integrate(self, a: Array, t: int) -> None:
        p = {key: table[t] for key, table in self.tables.items()}
        v = truncating_shift(self.v * p["leak"], LEAK_SHIFT) + truncating_shift(a * p["gain"], p["gain_shift"])
        self.v = saturate(v + p["bias"], STATE_BITS)


class MaxPool(AbstractProcess):
    """2x2 maximum of spikes `[W, H, C]`."""

    def __init__(self, shape: tuple[int, int, int]) -> None:
        width, height, channels = shape
        super().__init__(shape=shape)
        self.s_in = InPort(shape=shape)
        self.s_out = OutPort(shape=(width // 2, height // 2, channels))


class MaxPoolModel(PyLoihiProcessModel):
    """What both arithmetics share."""

    def run_spk(self) -> None:
        """One time step."""
        s = self.s_in.recv()
        width, height, _ = self.s_out.shape
        windows = [s[i : i + 2 * width : 2, j : j + 2 * height : 2] for i in (0, 1) for j in (0, 1)]
        self.s_out.send(np.maximum.reduce(windows))


@implements(proc=MaxPool, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class FloatMaxPool(MaxPoolModel):
    """Float."""

    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)


@implements(proc=MaxPool, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class FixedMaxPool(MaxPoolModel):
    """Integers."""

    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)


def whc(shape: tuple[int, ...]) -> tuple[int, ...]:
    """`(C, H, W)` in Lava's order."""
    return shape[::-1]


def build(graph: DeployGraph, images: Array) -> tuple[Sink, int]:
    """The network, ready to run on images `[N, C, H, W]`; where its answers arrive, and how many steps late."""
    code, steps = graph.code, graph.time_steps
    frames = code.frames(images).transpose(4, 3, 2, 1, 0).reshape(*whc(graph.input_shape), -1)  # [W, H, C, N*T]
    outs: list[OutPort] = []
    shape = graph.input_shape
    bias: Array | None = None
    lag = 0
    for layer in graph.layers:
        out_shape = graph.shapes[layer.name]
        if isinstance(layer, Conv):
            outs = _convolutions(layer, shape, graph, frames) if not outs else _convolution(layer, shape, outs)
            bias, lag = _expanded_bias(layer), lag + 1
        elif isinstance(layer, Linear):
            weight = layer.weight.at(0)
            # Lava halves the resolution of 8-bit weights of both signs; 9 bits keep them as they are.
            dense = LavaDense(weights=weight, num_weight_bits=9)
            outs[0].connect(dense.s_in)
            outs, bias, lag = [dense.a_out], _expanded_bias(layer), lag + 1
        elif isinstance(layer, Neuron):
            neurons = SteppedLIF(whc(out_shape), lag, _tables(layer, bias, steps))
            for out in outs:
                out.connect(neurons.a_in)
            outs = [neurons.s_out]
        elif isinstance(layer, Pool):
            pool = MaxPool(whc(shape))  # type: ignore[arg-type]
            outs[0].connect(pool.s_in)
            outs = [pool.s_out]
        elif isinstance(layer, Flatten):
            # (C, H, W) and (W, H, C) flatten differently: Lava's own transposition puts the axes back.
            outs = [outs[0].transpose([2, 1, 0]).flatten()]
        shape = out_shape
    sink = Sink(shape=shape, buffer=len(images) * steps)
    outs[0].connect(sink.a_in)
    return sink, lag


def _convolutions(layer: Conv, shape: tuple[int, ...], graph: DeployGraph, frames: Array) -> list[OutPort]:
    """The first layer: a source and a Conv for each of the input's K weights, silent at the others' steps."""
    outs = []
    which = np.tile(layer.weight.index, frames.shape[-1] // graph.time_steps)
    for k, weight in enumerate(layer.weight.values):
        source = Frames(data=np.where(which == k, frames, 0))
        largest = int(graph.code.largest[layer.weight.index == k].max())
        outs += _convolution(layer, shape, [source.s_out], weight, largest)
    return outs


def _convolution(
    layer: Conv, shape: tuple[int, ...], outs: list[OutPort], weight: Array | None = None, largest: int = 1
) -> list[OutPort]:
    kernel = (layer.weight.at(0) if weight is None else weight).transpose(0, 3, 2, 1)[:, ::-1, ::-1]
    conv = LavaConv(
        weight=np.ascontiguousarray(kernel),
        input_shape=whc(shape),  # type: ignore[arg-type]
        padding=layer.padding[::-1],
        stride=layer.stride[::-1],
        num_message_bits=0 if largest == 1 else 8,
    )
    outs[0].connect(conv.s_in)
    return [conv.a_out]


def _expanded_bias(layer: Conv | Linear) -> Array | None:
    return None if layer.bias is None else layer.bias.expanded()


def _tables(layer: Neuron, bias: Array | None, steps: int) -> dict[str, Array]:
    """The neuron's parameters `[T, ...]`, the bias of the synapses before it among them, in Lava's order of axes."""
    tables = {key: table.expanded() for key, table in layer.parameters.items()}
    if "bias" not in tables:
        tables["bias"] = np.zeros(steps, tables["threshold"].dtype) if bias is None else bias
    return {key: _ordered(table) for key, table in tables.items()}


def _ordered(table: Array) -> Array:
    """`[T]`, `[T, C]` or `[T, C, H, W]` so that each step's entry broadcasts against `[W, H, C]`."""
    return table.transpose(0, 3, 2, 1) if table.ndim == 4 else table
