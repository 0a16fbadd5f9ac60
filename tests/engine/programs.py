"""Programs that Hypothesis draws, and what a program computes, in plain numbers: float32 or Python's integers."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from membranes import TOP, bounded, clamped, times
from neuron_steps import truncated

from asnn_deploy.ir.neurons.program import Op, Program

STATES, PARAMETERS = ("v", "w"), ("a", "b", "shift")


def interpreted(program, entering):
    """All registers of one neuron, after the input, the states and the parameters as they enter."""
    held, number = list(entering), int if isinstance(entering[0], int) else np.float32
    for i in program.instructions:
        held.append(number(RULES[i.op](held, i, number(1))))
    return held


def wrapped(x):
    """An integer in (-2**23, 2**23], if it was no more than a turn away."""
    return x - 2**24 if x > 2**23 else x + 2**24 if x <= -(2**23) else x


RULES = {
    Op.ADD: lambda r, i, one: r[i.a] + r[i.b],
    Op.MUL: lambda r, i, one: r[i.a] * r[i.b],
    Op.DECAY: lambda r, i, one: truncated(r[i.a] * r[i.b], 12),
    Op.SCALE: lambda r, i, one: truncated(r[i.a] * r[i.c], r[i.b]),
    Op.ALIGN: lambda r, i, one: r[i.a] << i.b,
    Op.SATURATE: lambda r, i, one: clamped(r[i.a]),
    Op.WRAP: lambda r, i, one: wrapped(r[i.a]),
    Op.FIRE: lambda r, i, one: one if r[i.a] > r[i.b] else one * 0,
    Op.SUBTRACT: lambda r, i, one: r[i.a] - r[i.b] if r[i.c] else r[i.a],
    Op.CLEAR: lambda r, i, one: one * 0 if r[i.c] else r[i.a],
    Op.SUB: lambda r, i, one: r[i.a] - r[i.b],
    Op.DIV: lambda r, i, one: r[i.a] / r[i.b],
    Op.ABOVE: lambda r, i, one: one if r[i.a] > r[i.b] else one * 0,
    Op.AT: lambda r, i, one: one if r[i.a] >= r[i.b] else one * 0,
    Op.COUNT: lambda r, i, one: one * times(r[i.a], {"threshold": r[i.b]}),
    Op.DROP: lambda r, i, one: r[i.a] - r[i.c] * r[i.b],
    Op.PUT: lambda r, i, one: (one * 0 if i.b < 0 else r[i.b]) if r[i.c] else r[i.a],
    Op.HOLD: lambda r, i, one: bounded(r[i.a], r[i.b]),
}


@st.composite
def programs(draw, fixed):
    """Any few instructions, each of which reads what there is; leaks, gains and shifts are parameters."""
    made = Program(STATES, PARAMETERS)
    registers = made.parameter_registers
    values = [0, 1, 2, registers["a"], registers["b"]]
    value, leak = st.deferred(lambda: st.sampled_from(values)), st.sampled_from([registers["a"], registers["b"]])
    for _ in range(draw(st.integers(1, 7))):
        kinds = ["add", "fire", *(("decay", "scale", "align", "saturate", "wrap") if fixed else ("mul",))]
        kind = draw(st.sampled_from(kinds))
        if kind == "fire":
            values += made.fire(draw(value), draw(value), draw(st.sampled_from(["subtract", "zero"])))
        elif kind in ("add", "mul"):
            values.append(getattr(made, kind)(draw(value), draw(value)))
        elif kind == "decay":
            values.append(made.decay(draw(leak), draw(value)))
        elif kind == "scale":
            values.append(made.scale(draw(leak), registers["shift"], draw(value)))
        elif kind == "align":
            values.append(made.align(draw(value), draw(st.integers(0, 6))))
        else:
            values.append(getattr(made, kind)("v", draw(value)))
    last = values[5:]
    made.sent = draw(st.sampled_from(last))
    made.kept = tuple(draw(st.sampled_from([1, 2, *last])) for _ in STATES)
    return made


def entering(fixed):
    """What stands in the registers before a program: the input, two states, and the parameters."""
    if fixed:
        mantissa = st.integers(-(2**15) + 1, 2**15 - 1)
        state = st.integers(-TOP, TOP)
        return st.tuples(st.integers(-(2**20), 2**20), state, state, mantissa, mantissa, st.integers(0, 30)).map(list)
    number = st.floats(-1.5, 1.5, width=32) | st.sampled_from([0.0, -0.0, 1.0])
    return st.lists(number.map(np.float32), min_size=6, max_size=6)
