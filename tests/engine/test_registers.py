"""Registers at their exact borders."""

import numpy as np
import pytest
from engine.agreement import assert_compiled_equals_numpy
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from membranes import TOP
from networks.making import constant, static_neuron

from asnn_deploy.engine.neurons import parameters
from asnn_deploy.engine.registers import accumulator_types, covers, exact, narrowest
from asnn_deploy.engine.runner import run
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.images import InputCode
from asnn_deploy.ir.layers import Linear, Neuron, Readout
from asnn_deploy.ir.neurons import NeuronModel
from asnn_deploy.ir.neurons.program import program, recorded

WORD, WHOLE = 2**31 - 1, 2**53


def ones(steps=1):
    """Every pixel sends a spike at every step."""
    return InputCode("ones", np.ones((steps, 256)), np.zeros(steps, bool))


@pytest.mark.parametrize(("bound", "kind"), [(32767, np.int16), (32768, np.int32)])
def test_accumulators_are_as_narrow_as_their_bound_allows(bound, kind):
    halves = [bound // 2, bound - bound // 2]
    weight = np.array([halves, [-h for h in halves], [halves[0], -halves[1]]], np.int32)
    layers = [Linear("fc", constant(weight, 1, np.int32)), Readout("answer", constant(1, 1, np.int32))]
    graph = DeployGraph.chain((2,), ones(), layers, arithmetic="fixed")
    fused = assert_compiled_equals_numpy(graph, np.zeros((2, 2), np.uint8))
    assert fused.units[0].types == [kind]
    logits = run(graph, np.zeros((1, 2), np.uint8)).logits[0]
    assert logits.tolist() == [bound, -bound, halves[0] - halves[1]]


@pytest.mark.parametrize(("weight", "kinds"), [(WORD, [np.int32]), (WORD + 1, None)])
def test_sums_beyond_32_bits_have_no_accumulator(weight, kinds):
    layers = [Linear("fc", constant([[weight]], 1, np.int64)), Readout("answer", constant(1, 1, np.int64))]
    graph = DeployGraph.chain((1,), ones(), layers, arithmetic="fixed")
    assert accumulator_types(graph, graph.by_name["fc"]) == kinds


@pytest.mark.parametrize(("inputs", "kinds"), [(2**24 - 1, [np.float32]), (2**24, None)])
def test_floats_have_an_accumulator_if_their_sums_are_order_free(inputs, kinds):
    """Whole numbers below 2**24 are."""
    weight = np.array([[inputs - 1, 1]], np.float32)
    layers = [Linear("fc", constant(weight, 1)), Readout("answer", constant(1, 1))]
    graph = DeployGraph.chain((2,), ones(), layers)
    assert accumulator_types(graph, graph.by_name["fc"]) == kinds


@given(hnp.arrays(np.int64, st.integers(0, 4), elements=st.integers(-(2**40), 2**40) | st.sampled_from([-128, 127])))
def test_the_narrowest_type_holds_all_values_and_the_next_one_does_not(values):
    kinds = [np.int8, np.int16, np.int32, np.int64]
    found = kinds.index(narrowest(values))

    def holds(kind):
        return all(np.iinfo(kind).min <= v <= np.iinfo(kind).max for v in values.tolist())

    assert holds(kinds[found])
    assert not found or not holds(kinds[found - 1])


@pytest.mark.parametrize(("bits", "kind"), [(8, np.int8), (16, np.int16), (32, np.int32)])
def test_the_ends_of_a_type_are_its_own(bits, kind):
    ends = [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1]
    assert narrowest(np.array(ends)) is kind
    for beyond in (ends[0] - 1, ends[1] + 1):
        assert narrowest(np.array([beyond])) is not kind


def one_neuron(weight=1, model="lif", **values):
    """A neuron that reads one spike a step, with integers that no quantiser would choose."""
    tables = {key: constant(value, 1, np.int64) for key, value in values.items()}
    layers = [
        Linear("fc", constant([[weight]], 1, np.int64)),
        Neuron("neuron", model, tables),
        Readout("answer", constant(1, 1, np.int64)),
    ]
    graph = DeployGraph.chain((1,), ones(), layers, arithmetic="fixed")
    return graph, graph.by_name["neuron"]


PLAIN = {"leak": 0, "gain": 1, "gain_shift": 0, "threshold": 1, "bias": 0}


@pytest.mark.parametrize(
    "border",
    [
        {"leak": 2**15 - 1},
        {"gain_shift": 30},
        {"gain_shift": 1, "gain": WORD},
        {"gain": WORD - 5, "bias": 5},
        {"gain": WORD - 5, "bias": -5},
        {"gain": 4 - WORD, "bias": 4},
        {"leak": 4096, "bias": WORD - TOP - 1},
        {"threshold": WORD - TOP},
    ],
)
def test_lif_in_32_bits_at_the_borders_of_its_registers(border):
    """The last parameter named is as large as can be; one more, and a register might overflow."""
    *_, last = border

    def covered(values):
        graph, neuron = one_neuron(**PLAIN | values)
        given_ = [{**p, "bias": p.get("bias", np.zeros(()))} for p in parameters(graph, neuron)]
        return covers(graph, neuron, given_)

    further = 1 if border[last] >= 0 else -1
    assert covered(border)
    assert not covered(border | {last: border[last] + further})


def test_a_shift_for_each_neuron_has_no_kernel():
    graph, neuron = one_neuron(**PLAIN | {"gain_shift": [3]})
    assert not covers(graph, neuron, parameters(graph, neuron))


@pytest.mark.parametrize(
    ("model", "values", "arriving"),
    [
        # the product itself
        ("li", {"leak": 0, "gain": 2**22, "gain_shift": 0}, 2**31),
        # its sum with a state that keeps what it has
        ("if", {"gain": 1, "gain_shift": 0, "threshold": 1}, WHOLE - TOP),
        # a sum of three
        ("if", {"gain": 1, "gain_shift": 0, "threshold": 1, "bias": 8}, WHOLE - TOP - 8),
    ],
)
def test_float64_is_exact_up_to_2_to_the_53(model, values, arriving):
    _, neuron = one_neuron(model=model, **values)
    code = program(neuron, True, (1,))
    held = [{key: np.asarray(values[key], np.int64) for key in code.parameters}]
    assert exact(code, held, np.array([float(arriving)]))
    assert not exact(code, held, np.array([float(arriving) + 2]))


def test_states_are_followed_from_step_to_step():
    """A state that nothing limits doubles until it leaves int32, in which it is kept."""

    class Doubling(NeuronModel):
        name = "doubling"

        def step_fixed(self, ops, s, x, p):
            v = ops.add(s.v, s.v)
            return v, type(s)(v=v)

    code = recorded(Doubling(), (), "zero", True)
    steps = next(n for n in range(99) if TOP * 2**n > WORD)
    assert exact(code, [{}] * (steps - 1), np.zeros(steps - 1))
    assert not exact(code, [{}] * steps, np.zeros(steps))


def test_what_wraps_may_stay_outside():
    """A current that arrives more than a turn away is not brought back in one step."""
    tables = {key: constant(value, 1, np.int32) for key, value in (("du", 4095), ("dv", 0), ("vth", 1))}
    neuron = static_neuron("n", 1, "loihi-lif", "zero", **tables)
    code = program(neuron, True, (1,))
    p = [{key: np.asarray(value, np.int64) for key, value in (("current_kept", 0), ("kept", 0), ("threshold", 64))}]
    most = (WORD + 2**24) // 64
    assert exact(code, p, np.array([float(most)]))
    assert not exact(code, p, np.array([float(most + 1)]))
