"""A step as a program: what it computes is the step, and its work is what the step does."""

import numpy as np
import pytest
from engine.programs import interpreted
from hypothesis import given, settings
from hypothesis import strategies as st
from networks.making import static_neuron
from neuron_steps import REALS, RESETS, TOP, WIDE, Numbers, bits, fixed_step, float_step, runs, whole

from asnn_deploy.ir.neurons import MODELS
from asnn_deploy.ir.neurons.operations import FLOATS
from asnn_deploy.ir.neurons.program import counted, recorded

LOIHI = Numbers(
    True,
    whole(-(2**17), 2**17),
    whole(-TOP, TOP),
    dict.fromkeys(("du", "dv"), whole(0, 4095))
    | {"vth": whole(0, 131_071), "bias_mant": whole(-4096, 4095), "bias_exp": whole(0, 7)},
)
FORMS = [(name, numbers) for name, model in MODELS.items() for numbers in (REALS, WIDE) if model.real]


@pytest.mark.parametrize(
    ("name", "numbers"), [*FORMS, ("loihi-lif", LOIHI)], ids=lambda x: x if isinstance(x, str) else f"fixed={x.fixed}"
)
@settings(max_examples=30)
@given(st.data())
def test_a_program_computes_the_step(name, numbers, data):
    model, reset = MODELS[name], "zero" if name == "loihi-lif" else data.draw(RESETS)
    run = data.draw(runs(model, numbers))
    given_ = {key: values[0] for key, values in run.parameters.items()}
    ready = model.prepared(given_) if numbers.fixed else given_
    program = recorded(model, tuple(ready), reset, numbers.fixed)
    sent, after = (fixed_step if numbers.fixed else float_step)(model, run.start, run.x[0], given_, reset)
    number = int if numbers.fixed else np.float32
    for n in range(len(run.x[0])):
        entering = [number(values[n]) for values in (run.x[0], *run.start.values(), *ready.values())]
        registers = interpreted(program, entering)
        assert bits(registers[program.sent]) == bits(number(sent[n]))
        assert [bits(registers[k]) for k in program.kept] == [bits(after[key][n]) for key in model.states]


def test_every_instruction_has_a_register_and_reads_earlier_ones():
    for name, model in MODELS.items():
        for fixed in (False, True) if model.real else (True,):
            ready = model.prepared({key: np.int64(1) for key in model.known(fixed)}) if fixed else model.known(fixed)
            program = recorded(model, tuple(ready), "zero", fixed)
            assert [i.result for i in program.instructions] == list(
                range(program.registers - len(program.instructions), program.registers)
            )
            for i in program.instructions:
                assert max(i.a, i.c) < i.result, name
            assert set(program.parameter_registers.values()) <= {
                register for i in program.instructions for register in (i.a, i.b, i.c)
            }


class Tallied:
    """Floats that count what is done with them."""

    def __init__(self):
        self.done = []

    def __getattr__(self, name):
        self.done.append(name)
        return getattr(FLOATS, name)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("name", [name for name, model in MODELS.items() if model.real])
def test_its_work_is_what_a_step_does(name, bias):
    neuron = static_neuron("n", 2, name, **({"bias": 0.5} if bias else {}))
    ops, x = Tallied(), np.zeros((1, 3), np.float32)
    model = neuron.definition
    model.step(ops, type("S", (), dict.fromkeys(model.states, x)), x, neuron.parameters_at(0, (3,), np.float32, False))
    found = counted(neuron, False, (3,))
    assert (found.multiplications, found.additions, found.comparisons) == tuple(
        ops.done.count(op) for op in ("mul", "add", "fire")
    )
    assert (found.additions - counted(static_neuron("n", 2, name), False, (3,)).additions) == bias
