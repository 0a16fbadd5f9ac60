"""The kernel of LIF neurons against their definition, over the whole range of its registers."""

import numpy as np
import pytest
from engine.agreement import assert_compiled_equals_numpy
from networks.making import constant
from neuron_steps import fixed_step

from asnn_deploy.engine.population import Population
from asnn_deploy.input.coding import input_code
from asnn_deploy.ir.fixed_point import GAIN_BITS, LEAK_BITS, STATE_BITS, largest
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.images import InputCode
from asnn_deploy.ir.layers import Linear, Neuron, Readout
from asnn_deploy.ir.neurons import lif
from asnn_deploy.ir.step_table import StepTable


def population(tables, reset, width=1000):
    """A layer of neurons alone, whose currents can be anything that the registers hold."""
    steps = len(next(iter(tables.values())))
    code = InputCode("ones", np.ones((steps, 256)), np.zeros(steps, bool))
    weight = np.zeros((width, 8), np.int32)
    weight[:, 0] = 1
    layers = [
        Linear("fc", constant(weight, steps, np.int32)),
        Neuron("lif", "lif", {key: StepTable.per_step(value) for key, value in tables.items()}, reset),
        Readout("answer", constant(1, steps, np.int32)),
    ]
    graph = DeployGraph.chain((8,), code, layers, arithmetic="fixed")
    return Population(graph, None, graph.by_name["lif"], None, {"lif"}, True, False)


@pytest.mark.parametrize("reset", ["subtract", "zero"])
@pytest.mark.parametrize("shift", [0, 7, 30])
def test_integer_neurons_over_the_whole_range_of_their_registers(reset, shift):
    """1.2 million neuron-steps in all: extreme and random states, leaks of both signs, currents to either bound."""
    rng, width, samples, steps = np.random.default_rng(shift), 1000, 20, 10

    def drawn(bits, size):
        values = rng.integers(-largest(bits), largest(bits) + 1, size)
        edges = np.array([-largest(bits), largest(bits), 0, 1, -1])
        return np.where(rng.random(size) < 0.2, rng.choice(edges, size), values).astype(np.int32)

    # The product with the gain, its rounding and the sum with the rest must fit 32 bits: the proof's business.
    currents = drawn(15 if shift else 8, (steps, samples, width))
    top = (2**31 - 1 - 2**shift) // max(int(np.abs(currents).max()), 1) if shift else 2**13
    tables = {
        "leak": drawn(LEAK_BITS, (steps, width)),
        "gain": np.clip(drawn(GAIN_BITS, (steps, width)), -top, top),
        "gain_shift": np.full(steps, shift, np.int32),
        "threshold": np.abs(drawn(17, (steps, width))) + 1,
        "bias": drawn(STATE_BITS, (steps, width)),
    }
    unit = population(tables, reset)
    unit.reset(samples)
    state = drawn(STATE_BITS, (samples, width))
    unit.states[:, 0] = state
    v = state.astype(np.int64)
    for t, x in enumerate(currents):
        found = unit.advance(range(t, t + 1), x[None])["lif"][0]
        now = {key: table[t].astype(np.int64) for key, table in tables.items()}
        spikes, after = fixed_step(lif.model, {"v": v}, x.astype(np.int64), now, reset)
        v = after["v"]
        assert np.array_equal(found, spikes)
        assert np.array_equal(unit.states[:, 0], v)
    assert spikes.any()


def test_no_multiply_add_is_fused():
    """One rounding where two are defined would show here: 1 + 2**-12 squared needs 25 bits."""
    value = np.float32(1 + 2.0**-12)
    graph = DeployGraph.chain(
        (1,),
        input_code("latency", 2),
        [
            Linear("fc", constant([[value]], 2)),
            Neuron("lif", "lif", {"leak": constant(value, 2), "gain": constant(value, 2), "threshold": constant(9, 2)}),
            Readout("answer", constant(1, 2)),
        ],
    )
    fused = assert_compiled_equals_numpy(graph, np.full((1, 1), 255, np.uint8))
    assert isinstance(fused.units[0], Population)
