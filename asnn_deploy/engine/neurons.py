"""How the kernels take a layer of neurons: LIF by its own kernel, any other model as a program."""

from __future__ import annotations

import numpy as np

from asnn_deploy.analysis.flow import flow
from asnn_deploy.engine.assembler import Assembler
from asnn_deploy.engine.kernels.records import BLOCK, LIF, SPACE, Machine
from asnn_deploy.engine.layout import aligned, in_blocks, spread
from asnn_deploy.engine.registers import REGISTER, NotCompilable, covers, exact
from asnn_deploy.engine.signals import potential_type, signal_type
from asnn_deploy.ir.fixed_point import largest
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.layers import Neuron
from asnn_deploy.ir.neurons.program import Op, program
from asnn_deploy.util.arrays import Array

FIRING = {Op.ADD, Op.FIRE, Op.SUBTRACT, Op.CLEAR}
KNOWN = {
    "float32": FIRING | {Op.MUL},
    "fixed": FIRING | {Op.MUL, Op.DECAY, Op.SCALE, Op.ALIGN, Op.SATURATE, Op.WRAP},
}
"""What a program may do, by arithmetic. Neurons that reset later, or fire at their threshold, run in NumPy."""
LIF_PARAMETERS = {"leak", "gain", "gain_shift", "threshold", "bias"}
"""What the kernel of LIF takes."""


def prepared(graph: DeployGraph, neuron: Neuron) -> LIF | Machine:
    """Return a layer's neurons as the kernels take them. Raises NotCompilable if no registers hold all its numbers."""
    return (lif(graph, neuron) if neuron.model == "lif" else None) or machine(graph, neuron)


def lif(graph: DeployGraph, neuron: Neuron) -> LIF | None:
    """Return LIF neurons for their own kernel; None if it does not know their reset, or its registers may overflow."""
    if not (neuron.firing.usual and LIF_PARAMETERS.issuperset(neuron.parameters)):
        return None
    kind = potential_type(graph)
    steps = [{"bias": np.zeros((), kind), "gain_shift": np.zeros((), kind), **p} for p in parameters(graph, neuron)]
    if graph.arithmetic == "fixed" and not (narrow(graph, neuron) and covers(graph, neuron, steps)):
        return None
    tables = [[p[key].astype(kind) for p in steps] for key in ("leak", "gain", "threshold", "bias")]
    pitch, (leak, gain, threshold, bias) = spread(tables, graph.shapes[neuron.name])
    shift = np.array([p["gain_shift"] for p in steps], np.int32)
    return LIF(leak, gain, threshold, bias, shift, pitch, neuron.reset == "zero")


def machine(graph: DeployGraph, neuron: Neuron) -> Machine:
    """Return neurons as a program and its memory. Raises NotCompilable if its registers do not hold all numbers."""
    fixed = graph.arithmetic == "fixed"
    steps, code = parameters(graph, neuron), program(neuron, fixed, graph.shapes[neuron.name])
    held = "initial" not in neuron.parameters and all(i.op in KNOWN[graph.arithmetic] for i in code.instructions)
    if held and fixed:
        held = narrow(graph, neuron) and exact(code, steps, flow(graph).arriving(neuron.name)[0].largest)
    if not (held and (neuron.definition.spikes or code.sent == code.kept[0])):
        raise NotCompilable(neuron.name)
    assembled = Assembler(code)
    factors = [[factor.value(p) for p in steps] for factor in assembled.factors]
    shape = graph.shapes[neuron.name]
    pitch, tables = spread(factors, shape)
    stacked = np.stack(tables, axis=1) if tables else np.zeros((len(steps), 0, 1))
    block, along, stacked = in_blocks(stacked, shape[0]) if pitch == 0 else (BLOCK, 1, stacked)
    registers = np.arange(len(assembled.places), dtype=np.int64) * SPACE
    memory = aligned(registers.size * SPACE + stacked.size, np.float64 if fixed else np.float32)
    memory[registers.size * SPACE :] = stacked.reshape(-1)
    for value in assembled.constants:
        memory[registers[assembled.place(value)] :][:SPACE] = value
    return Machine(
        assembled.code(),
        np.array([assembled.place(register) for register in code.kept], np.int64),
        assembled.place(code.sent) if neuron.definition.spikes else -1,
        memory,
        registers,
        registers.size * SPACE,
        parameters=stacked.shape[1],
        stride=stacked.shape[2],
        pitch=pitch,
        along=along,
        block=block,
        whole=fixed,
    )


def parameters(graph: DeployGraph, neuron: Neuron) -> list[dict[str, Array]]:
    """Return the parameters that a layer's step takes, by name, for each step."""
    fixed, shape = graph.arithmetic == "fixed", graph.shapes[neuron.name]
    given = (vars(neuron.parameters_at(t, shape, signal_type(graph), fixed)) for t in range(graph.time_steps))
    return [{key: value for key, value in p.items() if key != "reset"} for p in given]


def narrow(graph: DeployGraph, neuron: Neuron) -> bool:
    """Return whether what arrives at integer neurons fits the type in which currents are passed on."""
    return bool(flow(graph).arriving(neuron.name)[0].largest.max() <= largest(REGISTER))
