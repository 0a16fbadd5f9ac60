"""The machine's instructions against the program that they were made of, both in plain numbers."""

from fractions import Fraction
from math import trunc

import numpy as np
import pytest
from engine.programs import PARAMETERS, STATES, entering, interpreted, programs
from hypothesis import given, settings
from hypothesis import strategies as st
from membranes import clamped
from networks.drawing import FOREIGN, FOREIGN_PARAMETERS
from neuron_steps import bits

from asnn_deploy.engine.assembler import Assembler, Factor
from asnn_deploy.engine.kernels.records import CLEAR, NO, SATURATE, WRAP
from asnn_deploy.engine.registers import NotCompilable
from asnn_deploy.ir.neurons import MODELS
from asnn_deploy.ir.neurons.program import Program, recorded


def executed(assembled, held, p):
    """What stands in a program's registers after all lines; held: the input and the states, p: the parameters."""
    fixed = isinstance(held[0], int)
    held = dict(enumerate(held))

    def read(x):
        if isinstance(x, Factor):
            divisor = 2 ** (p[x.shift] if x.shift else 12 if x.leak else 0)
            return Fraction(p[x.key], divisor) if fixed else p[x.key]
        if isinstance(x, float):
            return Fraction(x) if fixed else np.float32(x)
        return held[x]

    for line in assembled.lines:
        a, b, c, d, e = map(read, line.operands)
        total = trunc(a * b) + trunc(c * d) + int(e) if fixed else (a * b + c * d) + e
        if line.limit == SATURATE:
            total = clamped(total)
        elif line.limit == WRAP:
            total = total - 2**24 if total > 2**23 else total + 2**24 if total <= -(2**23) else total
        one = 1 if fixed else np.float32(1)
        if line.reset != NO:
            threshold = read(line.threshold)
            fires = total > threshold
            held[line.spikes] = one if fires else one * 0
            total = (one * 0 if line.reset == CLEAR else total - threshold) if fires else total
        held[line.result] = total
    return held


@pytest.mark.parametrize("fixed", [False, True])
@settings(max_examples=150)
@given(st.data())
def test_the_lines_compute_the_program(fixed, data):
    program = data.draw(programs(fixed))
    registers = data.draw(entering(fixed))
    expected = interpreted(program, registers)
    own = 1 + len(STATES)
    found = executed(Assembler(program), registers[:own], dict(zip(PARAMETERS, registers[own:])))
    for register in (program.sent, *program.kept):
        assert bits(found[register]) == bits(expected[register])


@pytest.mark.parametrize("reset", ["subtract", "zero"])
@pytest.mark.parametrize("name", [name for name in MODELS if name not in FOREIGN])
def test_a_model_is_a_line_for_each_state(name, reset):
    """Decay, drive, bias, limit, comparison and reset become one; so no model of ours pays for being a program."""
    model = MODELS[name]
    for fixed in (False, True) if model.real else (True,):
        if name == "loihi-lif" and reset == "subtract":
            continue
        given_ = {key: np.int64(1) for key in model.known(fixed) if key not in FOREIGN_PARAMETERS}
        program = recorded(model, tuple(model.prepared(given_) if fixed else given_), reset, fixed)
        assert len(Assembler(program).lines) == len(model.states)


@given(st.data())
def test_code_names_the_places_of_the_lines(data):
    assembled = Assembler(data.draw(programs(data.draw(st.booleans()))))
    code = assembled.code()
    assert code.shape == (len(assembled.lines), 10)
    at = {place: symbol for (_, symbol), place in assembled.places.items()}
    assert sorted(at) == list(range(len(at))), "no two operands in one place"
    for row, line in zip(code.tolist(), assembled.lines):
        assert row[:2] == [line.limit, line.reset]
        named = [line.result, *line.operands, line.threshold, line.spikes]
        assert [(type(at[place]), at[place]) for place in row[2:]] == [(type(x), x) for x in named]


def test_a_leak_that_is_computed_has_no_compiled_form():
    for write in (
        lambda p, made: p.decay(made, 1),
        lambda p, made: p.scale(made, p.parameter_registers["shift"], 1),
        lambda p, made: p.scale(p.parameter_registers["a"], made, 1),
    ):
        program = Program(STATES, PARAMETERS)
        program.sent = write(program, program.add(1, 2))
        program.kept = (1, 2)
        with pytest.raises(NotCompilable):
            Assembler(program)


def test_a_state_that_is_a_parameter_has_no_compiled_form():
    program = Program(STATES, PARAMETERS)
    program.sent = program.add(1, 2)
    with pytest.raises(NotCompilable):
        Assembler(program).place(program.parameter_registers["a"])
