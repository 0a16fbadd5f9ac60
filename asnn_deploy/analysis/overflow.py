"""The proof that no integer overflows: an interval for every register, at every step, and the width that holds it.

The intervals are the flow's: every one holds 0, and a sum's is [sum of its negative terms, sum of its positive terms],
so that any partial sum, in any order and at any border, lies inside as well. Spikes and pixels are never negative; that
is what makes these bounds tighter than sums of magnitudes. Numbers are whole and far below 2**53, hence exact in
float64.
"""

from __future__ import annotations

import numpy as np

from asnn_deploy.analysis.flow import Bounds, Flow, flow
from asnn_deploy.ir.fixed_point import ACCUMULATOR_BITS, STATE_BITS, largest
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.layers import Layer
from asnn_deploy.ir.neurons.fitting import spoken
from asnn_deploy.util.arrays import Array
from asnn_deploy.util.progress import phase


@phase("prove registers")
def prove(graph: DeployGraph) -> Flow:
    """Return the flow of an integer graph in which nothing leaves its register, ever.

    Raises GraphError naming the layer, the step and the bound if something can.
    """
    found = flow(graph)
    for layer in graph.layers:
        _within(layer, found[layer.name].bounds, ACCUMULATOR_BITS, "a sum")
        for register, bounds in found.reached.get(layer.name, {}).items():
            _within(layer, bounds, *width(register))
    return found


def width(register: str) -> tuple[int, str]:
    """Return a register's bits, and what it is called in messages."""
    known = {"sum": (ACCUMULATOR_BITS, "a sum"), "product": (ACCUMULATOR_BITS, "its input times its gain")}
    return known.get(register) or (STATE_BITS, spoken(register))


def magnitude(bounds: Bounds) -> Array:
    """Return the largest magnitude between bounds at each step, `[T]`."""
    low, high = bounds
    return np.maximum(-low, high).max(axis=1)  # type: ignore[no-any-return]


def _within(layer: Layer, bounds: Bounds, bits: int, what: str) -> None:
    worst = magnitude(bounds)
    if not worst.max() <= largest(bits):
        t = int(np.argmax(worst > largest(bits)))
        raise layer.refuse(
            f"{what} can reach {worst[t]:.4g} at step {t}, beyond the {largest(bits)} of {bits} bits signed; "
            "weights, inputs or gains that much smaller would fit"
        )
