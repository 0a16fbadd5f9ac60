"""A neuron's program as instructions of the kernels' register machine.

The machine knows one instruction: a sum of two products and a summand, which in integers are truncated and may saturate
or wrap, and from which neurons may fire. So a product and the sum that alone reads it become one; what is less is
filled up with 1 and -0, which change no digit. A leak in integers stands in memory times `2**-12` and a gain times
`2**-shift`, so that both are a product, truncated; powers of two change no digit either.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from asnn_deploy.engine.kernels.records import CLEAR, NO, SATURATE, SUBTRACT, WRAP
from asnn_deploy.engine.registers import NotCompilable
from asnn_deploy.ir.fixed_point import LEAK_SHIFT
from asnn_deploy.ir.neurons.program import Instruction, Op, Program
from asnn_deploy.util.arrays import Array

PRODUCTS = (Op.MUL, Op.DECAY, Op.SCALE, Op.ALIGN)
LIMITS = {Op.SATURATE: SATURATE, Op.WRAP: WRAP}
RESETS = {Op.SUBTRACT: SUBTRACT, Op.CLEAR: CLEAR}
NOTHING = -0.0
"""What a sum may be filled up with: `x + -0.0` is x, also where x is -0."""


class Factor(NamedTuple):
    """A parameter as it stands in memory: times `2**-shift`, another parameter's value, or `2**-12` for a leak."""

    key: str
    shift: str | None = None
    leak: bool = False

    def value(self, p: Mapping[str, Array]) -> Array:
        """Return its value, from the parameters in force."""
        if self.shift is not None:
            return p[self.key] * 2.0 ** -p[self.shift].astype(np.float64)  # type: ignore[no-any-return]
        return p[self.key] * 2.0**-LEAK_SHIFT if self.leak else p[self.key]  # type: ignore[no-any-return]


Symbol = int | float | Factor
"""An operand: a register of the program (int), a constant (float), or a parameter."""


class Line(NamedTuple):
    """`result = a * b + c * d + e` with the five operands, limited; and, with a reset, what fires above a threshold."""

    result: int
    operands: list[Symbol]
    limit: int = NO
    reset: int = NO
    threshold: Symbol = 0
    spikes: int = 0


class Assembler:
    """One program's.

    lines: in order; factors, constants: what they read besides registers of the program. Raises NotCompilable if a leak
    or a gain is not a parameter.
    """

    def __init__(self, program: Program) -> None:
        self.made = {i.result: i for i in program.instructions}
        self.names = {register: key for key, register in program.parameter_registers.items()}
        read = (r for i in program.instructions for r in (i.a, -1 if i.op == Op.ALIGN else i.b, i.c))
        self.uses = Counter([*read, program.sent, *program.kept])
        # Programs make a comparison and the reset behind it together; the reset's line does both.
        self.absorbed = {i.result for i in program.instructions if i.op == Op.FIRE}
        self.lines = [self._line(i) for i in reversed(program.instructions) if i.result not in self.absorbed][::-1]
        read_by = [symbol for line in self.lines for symbol in (*line.operands, line.threshold)]
        self.factors = [*dict.fromkeys(x for x in read_by if isinstance(x, Factor))]
        self.constants = [*dict.fromkeys(x for x in read_by if isinstance(x, float))]
        order = [*range(1 + len(program.states)), *self.factors, *self.constants, *self.made]
        self.places = {(type(x), x): k for k, x in enumerate(order)}  # 1.0 is a constant, 1 a register

    def place(self, x: Symbol) -> int:
        """Return which of the machine's registers an operand is. Raises NotCompilable if a parameter is a state."""
        if (type(x), x) not in self.places:
            raise NotCompilable("a parameter that is a state, or what is sent")
        return self.places[type(x), x]

    def code(self) -> Array:
        """Return the instructions as `records.Machine` has them."""
        rows = [
            (line.limit, line.reset, *map(self.place, (line.result, *line.operands, line.threshold, line.spikes)))
            for line in self.lines
        ]
        return np.array(rows, np.int64).reshape(-1, 10)

    def _line(self, i: Instruction) -> Line:
        """Return an instruction with all that it alone reads; called from the last one on."""
        if i.op not in RESETS:
            return self._sum(i)
        value = self.made.get(i.a)
        if value is not None and self.uses[i.a] == 2 and value.op not in (*RESETS, Op.FIRE, Op.WRAP):
            self.absorbed.add(value.result)  # the comparison and the reset alone read it
            found = self._sum(value)
        else:
            found = Line(i.result, [1.0, self._symbol(i.a), 1.0, NOTHING, NOTHING])
        return found._replace(result=i.result, reset=RESETS[i.op], threshold=self._symbol(i.b), spikes=i.c)

    def _sum(self, i: Instruction) -> Line:
        if i.op not in LIMITS:
            return Line(i.result, self._terms(i))
        inner = self._alone(i.a, Op.ADD, *PRODUCTS)
        operands = self._terms(inner) if inner else [1.0, self._symbol(i.a), 1.0, NOTHING, NOTHING]
        return Line(i.result, operands, LIMITS[i.op])

    def _terms(self, i: Instruction) -> list[Symbol]:
        """The five operands of a product or a sum."""
        if i.op != Op.ADD:
            return [*self._factors(i), 1.0, NOTHING, NOTHING]
        inner = self._alone(i.a, Op.ADD) if self._product(i.b) is None else None
        first, second = (inner.a, inner.b) if inner else (i.a, i.b)
        return [*self._term(first), *self._term(second), self._symbol(i.b) if inner else NOTHING]

    def _alone(self, register: int, *ops: Op) -> Instruction | None:
        """The instruction of these kinds that makes a value which nothing else reads; it needs no line then."""
        i = self.made.get(register)
        if i is None or i.op not in ops or self.uses[register] != 1:
            return None
        self.absorbed.add(register)
        return i

    def _product(self, register: int) -> Instruction | None:
        i = self.made.get(register)
        return i if i is not None and i.op in PRODUCTS and self.uses[register] == 1 else None

    def _term(self, register: int) -> list[Symbol]:
        """A summand as a product of two."""
        product = self._alone(register, *PRODUCTS)
        return self._factors(product) if product else [1.0, self._symbol(register)]

    def _factors(self, i: Instruction) -> list[Symbol]:
        if i.op == Op.MUL:
            return [self._symbol(i.a), self._symbol(i.b)]
        if i.op == Op.ALIGN:
            return [2.0**i.b, self._symbol(i.a)]
        shift, value = (i.b, i.c) if i.op == Op.SCALE else (i.a, i.b)
        if i.a not in self.names or shift not in self.names:
            raise NotCompilable("a leak or a gain that is not a parameter")
        key = self.names[i.a]
        return [Factor(key, self.names[shift]) if i.op == Op.SCALE else Factor(key, leak=True), self._symbol(value)]

    def _symbol(self, register: int) -> Symbol:
        return Factor(self.names[register]) if register in self.names else register
