"""Which types hold every intermediate of a compiled layer exactly."""

from __future__ import annotations

from typing import Any

import numpy as np

from asnn_deploy.analysis.flow import flow
from asnn_deploy.analysis.order_free import analyse
from asnn_deploy.analysis.overflow import magnitude
from asnn_deploy.ir.fixed_point import LEAK_BITS, LEAK_SHIFT, STATE_BITS, largest
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.layers import Neuron, Synapses
from asnn_deploy.util.arrays import Array


class NotCompilable(Exception):
    """A layer has no compiled form here: no register of the kernels holds all its numbers exactly."""


REGISTER = 32
"""Bits of the registers in which integer neurons are computed."""


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


def covers(graph: DeployGraph, neuron: Neuron, tables: dict[str, list[Array]]) -> bool:
    """Whether no intermediate of these integer neurons can leave a 32-bit register, at any step."""
    product, top = magnitude(flow(graph).reached[neuron.name]["product"]), largest(REGISTER)
    for t in range(graph.time_steps):
        if tables["gain_shift"][t].ndim:
            return False
        leak, threshold, bias, shift = (
            float(np.abs(tables[key][t]).max()) for key in ("leak", "threshold", "bias", "gain_shift")
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


def narrowest(values: Array) -> Any:
    """The narrowest integer type that holds a table's values."""
    kinds = (np.int8, np.int16, np.int32)
    bound = int(np.abs(values.astype(np.int64)).max(initial=0))
    return next((kind for kind in kinds if bound <= np.iinfo(kind).max), np.int64)
