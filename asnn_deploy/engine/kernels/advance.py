"""A unit for some steps: synapses, the neurons that they feed, and a pooling of these neurons' spikes."""

from __future__ import annotations

from typing import Any

import numpy as np

from asnn_deploy.engine.compiler import compiled, overload, types
from asnn_deploy.engine.kernels import lif, machine
from asnn_deploy.engine.kernels.pooling import pool
from asnn_deploy.engine.kernels.records import Machine
from asnn_deploy.engine.kernels.synapses import add, list_inputs


def update(neurons: Any, t: Any, acc: Any, states: Any, at: Any, fired: Any, g: Any) -> None:
    """One step of one sample's neurons: accumulators to its states `states[at:]`, flat, and `fired`.

    Compiled code only; the type of `neurons` decides which kernel, that of `states` between integers and floats.
    """
    raise NotImplementedError


@overload(update)
def _update(neurons: Any, t: Any, acc: Any, states: Any, at: Any, fired: Any, g: Any) -> Any:
    if neurons.instance_class is Machine:
        return machine.run
    return lif.integers if isinstance(states.dtype, types.Integer) else lif.floats


@compiled
def advance(
    x: Any,
    synapses: Any,
    sums: Any,
    neurons: Any,
    begin: Any,
    states: Any,
    spikes: Any,
    potentials: Any,
    pooled: Any,
    window: Any,
    emitted: Any,
) -> None:
    """Synapses, neurons and pooling: inputs `x[steps, samples, :]` (see `integrate`), from step `begin` on, to spikes.

    sums: the finished accumulators `[steps, samples, accumulators]` where others have added up, or of length 0.
    states `[samples, states, neurons]`. Written where they have room: spikes and potentials `[steps, samples, neurons]`
    (the first state), pooled `[steps, samples, :]`, and how many neurons fired, emitted `[steps, samples]`.
    """
    g, acc, bias = synapses.geometry, synapses.accumulators, synapses.bias
    count = states.shape[2]
    room = g.height * g.width * g.channels + 1
    begins, inputs, values = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, acc.dtype)
    fired = np.zeros(count, np.uint8)
    flat, flat_states, flat_pooled = x.reshape(-1), states.reshape(-1), pooled.reshape(-1)
    graded, weights = synapses.graded, synapses.weights
    for b in range(x.shape[1]):
        for t in range(x.shape[0]):
            if len(sums):
                acc[:] = sums[t, b]
            else:
                acc[:] = 0
                if len(bias):
                    acc[:] = bias[t]
                start = (t * x.shape[1] + b) * x.shape[2]
                list_inputs(flat, start, graded, synapses.tables[t], g, begins, inputs, values)
                add(weights, graded, g, begins, inputs, values, acc)
            update(neurons, begin + t, acc, flat_states, b * states.shape[1] * count, fired, g)
            if len(spikes):
                spikes[t, b] = fired
            if len(potentials):
                potentials[t, b] = states[b, 0]
            if len(pooled):
                at = (t * x.shape[1] + b) * pooled.shape[2]
                pool(fired, g.out_height, g.out_width, g.outputs, window, flat_pooled, at)
            if len(emitted):
                ones = np.int32(0)
                for j in range(count):
                    ones = np.int32(ones + fired[j])
                emitted[t, b] = ones
