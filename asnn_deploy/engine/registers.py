"""Which types hold every intermediate of a compiled layer exactly."""

from __future__ import annotations

from typing import Any

import numpy as np

from asnn_deploy.fixed_point import LEAK_BITS, LEAK_SHIFT, STATE_BITS, largest
from asnn_deploy.graph import Conv, DeployGraph, Linear
from asnn_deploy.order_free import analyse
from asnn_deploy.ranges import arriving, largest_values, synapse_bound
from asnn_deploy.step_table import Array

REGISTER = 32
"""Bits of the registers in which integer neurons are computed."""


def accumulator_types(graph: DeployGraph, layer: Conv | Linear) -> list[Any] | None:
    """The narrowest type that holds every partial sum exactly, for each step `[T]`; None where compiled types cannot.

    Integers: 16 or 32 bits by the bound on their sums. Floats: float32 where the sums are order-free.
    """
    if graph.arithmetic != "fixed":
        exact = all(entry.exact for entry in analyse(graph)[layer.name])
        return [np.float32] * graph.time_steps if exact else None
    (reaching,) = arriving(graph, layer, largest_values(graph))
    types: list[Any] = []
    for t in range(graph.time_steps):
        # The value itself enters a product in the accumulator's type.
        bound = max(float(synapse_bound(layer, t, float(reaching[t])).max(initial=0)), float(reaching[t]))
        fitting = [kind for kind in (np.int16, np.int32) if bound <= np.iinfo(kind).max]
        if not fitting:
            return None
        types.append(fitting[0])
    return types


def covers(graph: DeployGraph, layer: Conv | Linear, tables: dict[str, list[Array]]) -> bool:
    """Whether no intermediate of these integer neurons can leave a 32-bit register, at any step."""
    (reaching,) = arriving(graph, layer, largest_values(graph))
    top = largest(REGISTER)
    for t in range(graph.time_steps):
        if tables["gain_shift"][t].ndim:
            return False
        leak, gain, threshold, bias, shift = (
            float(np.abs(tables[key][t]).max()) for key in ("leak", "gain", "threshold", "bias", "gain_shift")
        )
        product = float(synapse_bound(layer, t, float(reaching[t])).max(initial=0)) * gain
        decayed = largest(STATE_BITS) * leak / 2**LEAK_SHIFT
        fits = (
            shift < REGISTER - 1,
            leak <= largest(LEAK_BITS),
            product + 2**shift <= top,
            decayed + product / 2**shift + bias + 2 <= top,
            threshold + largest(STATE_BITS) <= top,
        )
        if not all(fits):
            return False
    return True


def narrowest(values: Array) -> Any:
    """The narrowest integer type that holds a table's values."""
    kinds = (np.int8, np.int16, np.int32)
    bound = int(np.abs(values.astype(np.int64)).max(initial=0))
    return next((kind for kind in kinds if bound <= np.iinfo(kind).max), np.int64)
