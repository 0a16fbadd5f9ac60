"""A neuron's step as a program: its definition run once on registers that only have numbers.

The engine runs it (`engine/assembler.py`); the energy report counts its instructions.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np

from asnn_deploy.ir.neurons.base import NeuronModel, Parameters, Population, State
from asnn_deploy.ir.neurons.firing import Firing
from asnn_deploy.ir.neurons.operations import Membranes, immediate


class Op(IntEnum):
    """What an instruction does; see `operations.py`. `a`, `b` and `c` are its operands."""

    ADD = 0
    MUL = 1
    DECAY = 2
    """a: leak, b: value."""
    SCALE = 3
    """a: gain, b: shift, c: value."""
    ALIGN = 4
    """b: the number of bits itself, not a register."""
    SATURATE = 5
    WRAP = 6
    FIRE = 7
    """Where a > b."""
    SUBTRACT = 8
    """a, less b where c fired."""
    CLEAR = 9
    """a, or 0 where c fired."""
    SUB = 10
    ABOVE = 11
    """1 where a > b. This and what follows are the parts of a membrane (`operations.Membranes`)."""
    AT = 12
    """1 where a >= b."""
    COUNT = 13
    """How many times b fits into a."""
    DROP = 14
    """a, less c times b."""
    PUT = 15
    """a, or b where c fired; 0 for -1."""
    HOLD = 16
    """b, or a if that is more."""
    DIV = 17


COMPARISONS = (Op.FIRE, Op.ABOVE, Op.AT, Op.COUNT)


@dataclass(frozen=True)
class Instruction:
    """`result = op(a, b, c)`, by register; -1 where an operation takes fewer."""

    op: Op
    result: int
    a: int
    b: int = -1
    c: int = -1


@dataclass
class Program(Membranes):
    """The instructions of one step, and where everything is. It is itself the operations that write it.

    Registers: the input, then the states, then the parameters, then what the instructions make.
    sent: what the neuron sends; kept: its states after the step.
    """

    states: tuple[str, ...]
    parameters: tuple[str, ...]
    fixed: bool = False
    instructions: list[Instruction] = field(default_factory=list)
    sent: int = 0
    kept: tuple[int, ...] = ()

    @property
    def parameter_registers(self) -> dict[str, int]:
        """Where each parameter is."""
        return {key: 1 + len(self.states) + i for i, key in enumerate(self.parameters)}

    @property
    def registers(self) -> int:
        """How many registers it uses."""
        return 1 + len(self.states) + len(self.parameters) + len(self.instructions)

    def _write(self, op: Op, a: int, b: int = -1, c: int = -1) -> int:
        result = self.registers
        self.instructions.append(Instruction(op, result, a, b, c))
        return result

    def add(self, a: int, b: int) -> int:
        """See Operations."""
        return self._write(Op.ADD, a, b)

    def mul(self, factor: int, x: int) -> int:
        """See Operations."""
        return self._write(Op.MUL, factor, x)

    def div(self, x: int, divisor: int) -> int:
        """See Operations."""
        return self._write(Op.DIV, x, divisor)

    def decay(self, leak: int, x: int) -> int:
        """See Operations."""
        return self._write(Op.DECAY, leak, x)

    def scale(self, gain: int, shift: int, x: int) -> int:
        """See Operations."""
        return self._write(Op.SCALE, gain, shift, x)

    def align(self, x: int, bits: int) -> int:
        """See Operations."""
        return self._write(Op.ALIGN, x, bits)

    def saturate(self, state: str, x: int) -> int:
        """See Operations."""
        return self._write(Op.SATURATE, x)

    def wrap(self, state: str, x: int) -> int:
        """See Operations."""
        return self._write(Op.WRAP, x)

    def sub(self, a: int, b: int) -> int:
        """See Operations."""
        return self._write(Op.SUB, a, b)

    def compare(self, v: int, threshold: int, firing: Firing) -> int:
        """See Membranes."""
        return self._write(Op.COUNT if firing.many else Op.AT if firing.at else Op.ABOVE, v, threshold)

    def drop(self, v: int, threshold: int, spikes: int) -> int:
        """See Membranes."""
        return self._write(Op.DROP, v, threshold, spikes)

    def put(self, v: int, value: int | None, spikes: int) -> int:
        """See Membranes."""
        return self._write(Op.PUT, v, -1 if value is None else value, spikes)

    def hold(self, v: int, minimum: int) -> int:
        """See Membranes."""
        return self._write(Op.HOLD, v, minimum)

    def settled(self, v: int) -> int:
        """See Membranes."""
        return self.saturate("v", v) if self.fixed else v

    def fire(self, v: int, threshold: int, reset: str) -> tuple[int, int]:
        """See Operations."""
        immediate(reset)
        spikes = self._write(Op.FIRE, v, threshold)
        return spikes, self._write(Op.CLEAR if reset == "zero" else Op.SUBTRACT, v, threshold, spikes)


def recorded(model: NeuronModel, parameters: tuple[str, ...], reset: str, fixed: bool) -> Program:
    """Return a model's step as a program, with these parameters given. Raises UnsupportedError if it has none."""
    found = Program(model.states, parameters, fixed)
    p = Parameters(found.parameter_registers, reset)
    step = model.step_fixed if fixed else model.step
    found.sent, after = step(found, State(**{key: 1 + i for i, key in enumerate(model.states)}), 0, p)
    found.kept = tuple(getattr(after, key) for key in model.states)
    return found


def program(layer: Population, fixed: bool, shape: tuple[int, ...]) -> Program:
    """Return the step of a layer of that shape as a program of the parameters that it takes (`parameters_at`)."""
    at_0 = layer.parameters_at(0, shape, np.int64 if fixed else np.float32, fixed)
    return recorded(layer.definition, tuple(key for key in vars(at_0) if key != "reset"), layer.firing, fixed)


@dataclass(frozen=True)
class Work:
    """The arithmetic of one neuron and step; the reset of a neuron that fires comes on top."""

    multiplications: int
    additions: int
    comparisons: int


def counted(layer: Population, fixed: bool, shape: tuple[int, ...]) -> Work:
    """Return what one step of one of a layer's neurons computes."""
    instructions = program(layer, fixed, shape).instructions
    spikes = {i.result for i in instructions if i.op in COMPARISONS}
    ops = [i.op for i in instructions if not spikes.issuperset((i.a, i.b))]  # spikes less spikes belong to a reset
    return Work(
        multiplications=sum(op in (Op.MUL, Op.DIV, Op.DECAY, Op.SCALE) for op in ops),
        additions=sum(op in (Op.ADD, Op.SUB) for op in ops),
        comparisons=sum(op in (*COMPARISONS, Op.HOLD) for op in ops),
    )
