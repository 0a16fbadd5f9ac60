"""The register machine on any program, and its blocks of neurons on rows of any length."""

import numpy as np
import pytest
from engine.agreement import assert_compiled_equals_numpy
from engine.programs import PARAMETERS, STATES, entering, interpreted, programs
from hypothesis import given, settings
from hypothesis import strategies as st
from networks.making import constant, grid_weights, random_inputs
from neuron_steps import bits

from asnn_deploy.engine.assembler import Assembler
from asnn_deploy.engine.kernels.machine import execute, execute_whole
from asnn_deploy.engine.kernels.records import BLOCK, SPACE
from asnn_deploy.engine.layout import aligned
from asnn_deploy.engine.population import Population
from asnn_deploy.engine.registers import exact
from asnn_deploy.input.coding import input_code
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.layers import Conv, Flatten, Linear, Neuron, Readout
from asnn_deploy.ir.step_table import StepTable
from asnn_deploy.quantizing import quantize

OWN = 1 + len(STATES)


def run(program, neurons, fixed):
    """Each neuron's registers, by the machine; neurons: what enters for each."""
    assembled = Assembler(program)
    addresses = np.arange(len(assembled.places), dtype=np.int64) * SPACE
    memory = aligned(len(addresses) * SPACE, np.float64 if fixed else np.float32)
    for j, registers in enumerate(neurons):
        kind = np.int64 if fixed else np.float32
        p = {key: np.asarray(value, kind) for key, value in zip(PARAMETERS, registers[OWN:])}
        for k, value in enumerate(registers[:OWN]):
            memory[addresses[assembled.place(k)] + j] = value
        for factor in assembled.factors:
            memory[addresses[assembled.place(factor)] + j] = factor.value(p)
        for value in assembled.constants:
            memory[addresses[assembled.place(value)] + j] = value
    (execute_whole if fixed else execute)(assembled.code(), memory, addresses, np.uint64(len(neurons)))
    return lambda register, j: memory[addresses[assembled.place(register)] + j]


@settings(max_examples=100)
@given(programs(False), st.lists(entering(False), min_size=1, max_size=5))
def test_floats(program, neurons):
    held = run(program, neurons, fixed=False)
    for j, registers in enumerate(neurons):
        expected = interpreted(program, registers)
        for register in (program.sent, *program.kept):
            assert bits(held(register, j)) == bits(expected[register])


@settings(max_examples=100)
@given(programs(True), st.lists(entering(True), min_size=1, max_size=5))
def test_whole_numbers_wherever_they_are_said_to_be_exact(program, neurons):
    columns = [np.array(column) for column in zip(*neurons)]
    parameters = dict(zip(PARAMETERS, columns[OWN:]))
    if not exact(program, [parameters], np.abs(columns[0]).max(keepdims=True)):
        return
    held = run(program, neurons, fixed=True)
    for j, registers in enumerate(neurons):
        expected = interpreted(program, registers)
        for register in (program.sent, *program.kept):
            assert int(held(register, j)) == expected[register]


@pytest.mark.parametrize("convert", [lambda graph: graph, quantize], ids=["float", "fixed"])
@pytest.mark.parametrize("grain", ["layer", "channel", "neuron"])
@pytest.mark.parametrize("channels", [1, 3, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 5])
def test_rows_of_neurons_are_cut_into_blocks(channels, grain, convert):
    """Rows shorter than a block, as long, and longer; two rows, of two positions each."""
    rng, steps = np.random.default_rng(channels), 2
    shape = {"layer": (), "channel": (channels,), "neuron": (channels, 2, 2)}[grain]

    def table(low, high):
        return StepTable.per_step(rng.uniform(low, high, (steps, *shape)).astype(np.float32))

    parameters = {"current_leak": table(0.2, 0.9), "leak": table(0.2, 0.9), "gain": table(0.3, 1.0)}
    layers = [
        Conv("conv", constant(grid_weights(rng, (channels, 1, 1, 1)), steps)),
        Neuron("neurons", "cuba-lif", parameters | {"threshold": table(0.1, 0.5)}),
        Flatten("flat"),
        Linear("out", constant(grid_weights(rng, (1, 4 * channels), 1), steps)),
        Readout("answer", constant(1, steps)),
    ]
    graph = convert(DeployGraph.chain((1, 2, 2), input_code("latency", steps), layers))
    fused = assert_compiled_equals_numpy(graph, random_inputs(graph, 2))
    assert isinstance(fused.units[0], Population)
