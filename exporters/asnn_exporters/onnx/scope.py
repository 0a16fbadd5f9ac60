"""Scope: the nodes, initializers and names of an ONNX graph, or of a Scan's body, while it is being written.

A signal has two forms. *Flat* is `[T*B, ...]`: what convolutions and pooling read, all steps in one call. *Steps* is
`[T, B, ...]`: what meets a parameter of each step, other signals, or a Scan. Each form is made when first asked for.
A body runs one step, so its flat form is `[B, ...]` and its steps form `[1, B, ...]`.

The change of form between a convolution and the arithmetic after it is also a fence: runtimes fuse an adjacent
Conv -> Mul or Conv -> Add into the convolution, where the product and the sum would no longer be rounded separately.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from asnn_deploy.ir.layers import Conv, Layer, Linear, Shape
from asnn_deploy.ir.step_table import StepTable
from asnn_deploy.util.arrays import Array

IMAGE = "image"
"""The network's input, uint8 `[batch, C, H, W]`."""
BATCH = "batch"
"""The symbolic size of the batch axis."""


@dataclass
class Signal:
    """A layer's output; `shape` is that of one sample and step. At least one of the two forms is there."""

    name: str
    shape: Shape
    flat: str | None = None
    steps: str | None = None


class Names:
    """Names that are used once in the whole model, bodies included."""

    def __init__(self, reserved: set[str]) -> None:
        self._taken = set(reserved)

    def new(self, wanted: str) -> str:
        """The wanted name, or the first free variant of it."""
        name, count = wanted, 1
        while name in self._taken:
            count += 1
            name = f"{wanted}~{count}"
        self._taken.add(name)
        return name


class Scope:
    """The whole graph's scope.

    steps: how many time steps its signals hold, T.
    """

    def __init__(self, names: Names, steps: int) -> None:
        self.names = names
        self.steps = steps
        self.nodes: list[NodeProto] = []
        self.initializers: list[TensorProto] = []
        self._known: dict[str, str] = {}

    def op(self, kind: str, inputs: list[str], wanted: str, **attributes: Any) -> str:
        """Add a node with one output and return the output's name; the node is named after it."""
        return self.ops(kind, inputs, [self.names.new(wanted)], **attributes)[0]

    def ops(self, kind: str, inputs: list[str], outputs: list[str], **attributes: Any) -> list[str]:
        """Add a node whose outputs have names already."""
        self.nodes.append(helper.make_node(kind, inputs, outputs, name=outputs[0], **attributes))
        return outputs

    def initializer(self, wanted: str, values: npt.ArrayLike) -> str:
        """A constant tensor; asked for again under the same name, it is the same one."""
        if wanted not in self._known:
            self._known[wanted] = self.names.new(wanted)
            self.initializers.append(numpy_helper.from_array(np.array(values), self._known[wanted]))
        return self._known[wanted]

    def integers(self, *values: int) -> str:
        """A constant int64 vector."""
        return self.initializer("const." + ",".join(map(str, values)), np.array(values, np.int64))

    def flat(self, signal: Signal) -> str:
        """The signal as `[T*B, ...]`."""
        if signal.flat is None:
            assert signal.steps is not None
            signal.flat = self.op("Reshape", [signal.steps, self.integers(-1, *signal.shape)], f"{signal.name}/flat")
        return signal.flat

    def in_steps(self, signal: Signal) -> str:
        """The signal as `[T, B, ...]`."""
        if signal.steps is None:
            assert signal.flat is not None
            shape = self.integers(self.steps, -1, *signal.shape)
            signal.steps = self.op("Reshape", [signal.flat, shape], f"{signal.name}/steps")
        return signal.steps

    def zeros(self, shape: Shape) -> str:
        """Zeros `[B, *shape]` for the batch at hand."""
        label = "zeros/" + "x".join(map(str, shape))
        if label not in self._known:
            if BATCH not in self._known:
                self._known[BATCH] = self.op("Shape", [IMAGE], "batch/size", start=0, end=1)
            size = self.op("Concat", [self._known[BATCH], self.integers(*shape)], f"{label}/shape", axis=0)
            self._known[label] = self.op("ConstantOfShape", [size], label)
        return self._known[label]

    def per_step(self, layer: Layer, key: str, table: StepTable, shape: Shape) -> str:
        """A table as an initializer `<layer>.<key>` `[T, 1, ...]` that broadcasts over signals `[T, B, *shape]`."""
        return self.initializer(f"{layer.name}.{key}", expanded(table, shape))

    def synapses(self, layer: Conv | Linear) -> list[tuple[int, str, str | None]]:
        """The runs of steps that share weight and bias: (length, weight, bias), in order.

        The initializers are `<layer>.weight` and `<layer>.bias`; of a table with K > 1 values, `<layer>.weight.<k>`.
        """
        runs: list[tuple[int, str, str | None]] = []
        for t in range(self.steps):
            weight = self._value(layer, "weight", layer.weight, t)
            bias = None if layer.bias is None else self._value(layer, "bias", layer.bias, t)
            if runs and runs[-1][1:] == (weight, bias):
                runs[-1] = (runs[-1][0] + 1, weight, bias)
            else:
                runs.append((1, weight, bias))
        return runs

    def _value(self, layer: Layer, key: str, table: StepTable, step: int) -> str:
        k = int(table.index[step])
        name = f"{layer.name}.{key}" if len(table.values) == 1 else f"{layer.name}.{key}.{k}"
        return self.initializer(name, table.values[k].astype(np.float32))


class Body(Scope):
    """The scope of a Scan's body, which runs one step."""

    def __init__(self, outer: Scope) -> None:
        super().__init__(outer.names, 1)
        self.outer = outer
        self._scanned: dict[str, ValueInfoProto] = {}
        self._states: dict[str, tuple[str, ValueInfoProto]] = {}
        self._kept: dict[str, ValueInfoProto] = {}
        self._collected: list[tuple[ValueInfoProto, str]] = []

    def scan(self, source: str, wanted: str, kind: int, shape: tuple[int | str, ...]) -> str:
        """Cut a value of the outer scope into steps; returns the name of one step's piece."""
        if source not in self._scanned:
            self._scanned[source] = helper.make_tensor_value_info(self.names.new(wanted), kind, shape)
        return self._scanned[source].name

    def signal(self, source: Signal) -> Signal:
        """A signal of the outer scope, one step of it."""
        whole = self.outer.in_steps(source)
        piece = self.scan(whole, f"{source.name}/step", TensorProto.FLOAT, (BATCH, *source.shape))
        return Signal(piece, source.shape, flat=piece)

    def state(self, wanted: str, shape: Shape, begin: str | None = None) -> str:
        """A value `[B, *shape]` that lasts from step to step, `begin` of the outer scope before the first, or zero; see
        `keep`."""
        name = self.names.new(wanted)
        info = helper.make_tensor_value_info(name, TensorProto.FLOAT, (BATCH, *shape))
        self._states[name] = (begin or self.outer.zeros(shape), info)
        return name

    def keep(self, state: str, value: str, shape: Shape) -> None:
        """Make a value of this step the state of the next one. Each value can be kept or collected once."""
        self._kept[state] = helper.make_tensor_value_info(value, TensorProto.FLOAT, (BATCH, *shape))

    def collect(self, value: str, shape: Shape, name: str) -> None:
        """Stack a value `[B, *shape]` over the steps, as `name` `[T, B, *shape]` in the outer scope."""
        self._collected.append((helper.make_tensor_value_info(value, TensorProto.FLOAT, (BATCH, *shape)), name))

    def per_step(self, layer: Layer, key: str, table: StepTable, shape: Shape) -> str:
        """A table's value at this step, `[1, ...]`, to broadcast over signals `[B, *shape]`."""
        whole = self.outer.per_step(layer, key, table, shape)
        return self.scan(whole, f"{layer.name}/{key}", TensorProto.FLOAT, expanded(table, shape).shape[1:])

    def synapses(self, layer: Conv | Linear) -> list[tuple[int, str, str | None]]:
        """The one run of this one step; of a table with K > 1 values, the step's is looked up."""
        bias = None if layer.bias is None else self._now(layer, "bias", layer.bias)
        return [(1, self._now(layer, "weight", layer.weight), bias)]

    def _now(self, layer: Layer, key: str, table: StepTable) -> str:
        if len(table.values) == 1:
            return self._value(layer, key, table, 0)
        values = self.initializer(f"{layer.name}.{key}", table.values.astype(np.float32))
        index = self.outer.initializer(f"{layer.name}.{key}.index", table.index)
        now = self.scan(index, f"{layer.name}/{key}.index", TensorProto.INT64, ())
        return self.op("Gather", [values, now], f"{layer.name}/{key}", axis=0)

    def close(self) -> None:
        """Add the Scan node to the outer scope."""
        body = helper.make_graph(
            self.nodes,
            self.names.new("body"),
            [info for _, info in self._states.values()] + list(self._scanned.values()),
            [self._kept[state] for state in self._states] + [info for info, _ in self._collected],
            self.initializers,
        )
        inputs = [initial for initial, _ in self._states.values()] + list(self._scanned)
        outputs = [self.names.new(f"{state}/last") for state in self._states] + [name for _, name in self._collected]
        self.outer.ops("Scan", inputs, outputs, body=body, num_scan_inputs=len(self._scanned))


def expanded(table: StepTable, shape: Shape) -> Array:
    """All steps of a table, `[T, 1, ...]`, float32, to broadcast over signals `[T, B, *shape]`."""
    granularity = table.shape + (1,) * (len(shape) - len(table.shape))  # per layer or channel: later axes broadcast
    return table.expanded().astype(np.float32).reshape(table.time_steps, 1, *granularity)
