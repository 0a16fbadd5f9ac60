"""A step as a program: what it computes is the step, and its work is what the step does."""

import numpy as np
import pytest
from engine.programs import interpreted
from hypothesis import given, settings
from hypothesis import strategies as st
from membranes import DRAWN, FIRINGS, TOP, spelled
from networks.making import firing_neuron, static_neuron
from neuron_steps import REALS, WIDE, Numbers, bits, fixed_step, float_step, runs, whole

from asnn_deploy.ir.neurons import MODELS
from asnn_deploy.ir.neurons.operations import FLOATS, Membranes
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
    model, reset = MODELS[name], "zero" if name == "loihi-lif" else data.draw(DRAWN)
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
            known = model.known(fixed)
            elsewhere = {"initial", *(known[key].instead_of for key in ready if key in known)}
            assert {r for key, r in program.parameter_registers.items() if key not in elsewhere} <= {
                register for i in program.instructions for register in (i.a, i.b, i.c)
            }


class Tallied(Membranes):
    """Floats that count what is done with them."""

    def __init__(self):
        self.done = []

    def __getattr__(self, name):
        self.done.append(name)
        return getattr(FLOATS, name)


def assert_counted(neuron):
    """The work of a step, held to what the step does to floats."""
    ops, x = Tallied(), np.zeros((1, 3), np.float32)
    model = neuron.definition
    model.step(ops, type("S", (), dict.fromkeys(model.states, x)), x, neuron.parameters_at(0, (3,), np.float32, False))
    found = counted(neuron, False, (3,))
    kinds = ("mul", "div"), ("add", "sub"), ("fire", "compare", "hold")
    done = [sum(map(ops.done.count, kind)) for kind in kinds]
    done[1] -= neuron.reset == "leftover-subtract"  # the spikes less those before: a reset, which comes on top
    assert (found.multiplications, found.additions, found.comparisons) == tuple(done)
    return found


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("name", [name for name, model in MODELS.items() if model.real])
def test_its_work_is_what_a_step_does(name, bias):
    added = "bias" if "bias" in MODELS[name].parameters else "rest"
    found = assert_counted(static_neuron("n", 2, name, **({added: 0.5} if bias else {})))
    assert (found.additions - counted(static_neuron("n", 2, name), False, (3,)).additions) == bias


@pytest.mark.parametrize("firing", FIRINGS, ids=spelled)
def test_the_work_of_a_reset_is_not_that_of_a_step(firing):
    """Sums and products are those of any LIF, in integers too; a late reset compares what was before, too."""
    neuron = firing_neuron("n", 2, firing, minimum=-1.0, reset_potential=0.25)
    found, plain = assert_counted(neuron), counted(static_neuron("n", 2), False, (3,))
    assert (found.multiplications, found.additions) == (plain.multiplications, plain.additions)
    once = firing in ("subtract", "zero", "none", "early-subtract")
    assert found.comparisons == (2 if once else 3), "with that of the lower bound"
    integers = {"leak": 2048, "gain": 1, "gain_shift": 0, "threshold": 64}
    fixed = [counted(firing_neuron("n", 2, f, **integers), True, (3,)) for f in (firing, FIRINGS[0])]
    assert (fixed[0].multiplications, fixed[0].additions) == (fixed[1].multiplications, fixed[1].additions)
