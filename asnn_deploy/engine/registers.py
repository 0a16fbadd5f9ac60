"""Which types hold every intermediate of a compiled layer exactly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from asnn_deploy.analysis.flow import flow
from asnn_deploy.analysis.order_free import analyse
from asnn_deploy.analysis.overflow import magnitude
from asnn_deploy.ir.fixed_point import LEAK_BITS, LEAK_SHIFT, STATE_BITS, largest
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.layers import Neuron, Synapses
from asnn_deploy.ir.neurons.program import Instruction, Op, Program
from asnn_deploy.util.arrays import Array


class NotCompilable(Exception):
    """A layer has no compiled form here: no register of the kernels holds all its numbers exactly."""


REGISTER = 32
"""Bits of the registers in which integer LIF neurons are computed, and of every state in memory."""
WHOLE = 2.0**53
"""Whole numbers up to here are exact in float64."""


def accumulator_types(graph: DeployGraph, layer: Synapses) -> list[Any] | None:
    """The narrowest type that holds every sum exactly, for each step `[T]`; None where compiled types cannot.

    Integers: 16 or 32 bits by the interval of their sums. Floats: float32 where the sums are order-free.
    """
    if graph.arithmetic != "fixed":
        exact = all(entry.exact for entry in analyse(graph)[layer.name])
        return [np.float32] * graph.time_steps if exact else None
    (reaching,) = flow(graph).arriving(layer.name)
    # The value itself enters a product in the accumulator's type.
    largest_of = np.maximum(flow(graph)[layer.name].largest, reaching.largest)
    kinds = [next((kind for kind in (np.int16, np.int32) if x <= np.iinfo(kind).max), None) for x in largest_of]
    return None if None in kinds else kinds


def covers(graph: DeployGraph, neuron: Neuron, parameters: Sequence[Mapping[str, Array]]) -> bool:
    """Return whether no intermediate of these integer LIF neurons can leave a 32-bit register, at any step.

    parameters: those in force, by name, for each step.
    """
    product, top = magnitude(flow(graph).reached[neuron.name]["product"]), largest(REGISTER)
    for t, p in enumerate(parameters):
        if p["gain_shift"].ndim:
            return False
        leak, threshold, bias, shift = (
            float(np.abs(p[key]).max()) for key in ("leak", "threshold", "bias", "gain_shift")
        )
        gained = float(product[t])
        fits = (
            shift < REGISTER - 1,
            leak <= largest(LEAK_BITS),
            gained <= top,
            largest(STATE_BITS) * leak / 2**LEAK_SHIFT + gained / 2**shift + bias <= top,
            threshold + largest(STATE_BITS) <= top,
        )
        if not all(fits):
            return False
    return True


def exact(program: Program, parameters: Sequence[Mapping[str, Array]], arriving: Array) -> bool:
    """Return whether float64 registers hold an integer program's every intermediate exactly, and int32 its states.

    parameters: those in force, by name, for each step; arriving `[T]`: magnitudes of the input. The states are followed
    from the widest that a chip holds.
    """
    states = [float(largest(STATE_BITS))] * len(program.states)
    for p, x in zip(parameters, arriving):
        held = [float(x), *states, *(float(np.abs(p[key]).max()) for key in program.parameters)]
        for instruction in program.instructions:
            most = _reach(instruction, held)
            if most > WHOLE:
                return False
            held.append(_left(instruction.op, most))
        states = [held[k] for k in program.kept]
        if max(held) > WHOLE or max(states) > largest(REGISTER):
            return False
    return True


def _reach(instruction: Instruction, held: list[float]) -> float:
    """The largest magnitude on the way to an instruction's result, from those of the registers before it."""
    a, b, c = (held[k] if 0 <= k < len(held) else 0.0 for k in (instruction.a, instruction.b, instruction.c))
    op = instruction.op
    if op in (Op.ADD, Op.SUBTRACT):
        return a + b
    if op in (Op.MUL, Op.DECAY, Op.SCALE):
        return a * (c if op == Op.SCALE else b)
    if op == Op.ALIGN:
        return a * 2.0**instruction.b
    return 1.0 if op == Op.FIRE else a


def _left(op: Op, most: float) -> float:
    """The largest magnitude of an instruction's result; a shift of SCALE may be 0."""
    if op == Op.DECAY:
        return most / 2**LEAK_SHIFT
    if op == Op.SATURATE:
        return min(most, float(largest(STATE_BITS)))
    if op == Op.WRAP:
        half = 2.0 ** (STATE_BITS - 1)
        return max(min(most, half), most - 2 * half)
    return most


def narrowest(values: Array) -> Any:
    """The narrowest integer type that holds a table's values."""
    low, high = int(values.min(initial=0)), int(values.max(initial=0))
    kinds = (np.int8, np.int16, np.int32)
    return next((kind for kind in kinds if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max), np.int64)
