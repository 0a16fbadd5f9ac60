"""A register machine: neurons of any model, by their program, a block of them at a time.

A register holds one number for each neuron of the block: float32, or float64 for integers, in which
`registers.exact` has proved every number to be exact.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from asnn_deploy.engine.compiler import compiled
from asnn_deploy.engine.kernels.records import CLEAR, SATURATE, SPACE, WRAP
from asnn_deploy.ir.fixed_point import STATE_BITS, largest

_u = np.uint64
_TOP = float(largest(STATE_BITS))
_HALF = float(1 << (STATE_BITS - 1))


def run(neurons: Any, t: Any, acc: Any, states: Any, at: Any, fired: Any, g: Any) -> None:
    """See `advance.update`: a block of a row's neurons is loaded, all instructions are executed, its states stored."""
    memory, addresses, kept, block = neurons.memory, neurons.addresses, neurons.kept, neurons.block
    width = g.out_width * g.outputs
    count, own = width * g.out_height, 1 + len(kept)
    for row in range(g.out_height):
        for first in range(0, width, block):
            n, place = _u(min(block, width - first)), row * width + first
            x = _u(row * g.pitch + g.left * g.outputs + first)
            for j in range(n):
                memory[j] = acc[x + j]
            for k in range(len(kept)):
                r, m = _u((1 + k) * SPACE), _u(at + k * count + place)
                for j in range(n):
                    memory[r + j] = states[m + j]
            for k in range(neurons.parameters):
                table = neurons.tables + (t * neurons.parameters + k) * neurons.stride
                addresses[own + k] = table + row * neurons.pitch + first * neurons.along
            if neurons.whole:
                execute_whole(neurons.code, memory, addresses, n)
            else:
                execute(neurons.code, memory, addresses, n)
            for k in range(len(kept)):
                r, m = _u(addresses[kept[k]]), _u(at + k * count + place)
                for j in range(n):
                    states[m + j] = memory[r + j]
            if neurons.sent >= 0:
                r, m = _u(addresses[neurons.sent]), _u(place)
                for j in range(n):
                    fired[m + j] = memory[r + j] > 0


@compiled
def execute(code: Any, memory: Any, addresses: Any, n: Any) -> None:
    """Run a program in floats on the first `n` numbers of its registers: every result is rounded by itself."""
    for i in range(len(code)):
        reset = code[i, 1]
        r, a, b = _u(addresses[code[i, 2]]), _u(addresses[code[i, 3]]), _u(addresses[code[i, 4]])
        c, d, e = _u(addresses[code[i, 5]]), _u(addresses[code[i, 6]]), _u(addresses[code[i, 7]])
        threshold, s = _u(addresses[code[i, 8]]), _u(addresses[code[i, 9]])
        if reset:
            for j in range(n):
                total = (memory[a + j] * memory[b + j] + memory[c + j] * memory[d + j]) + memory[e + j]
                fires = total > memory[threshold + j]
                rest = np.float32(0) if reset == CLEAR else total - memory[threshold + j]
                memory[r + j] = rest if fires else total
                memory[s + j] = 1.0 if fires else 0.0
        else:
            for j in range(n):
                memory[r + j] = (memory[a + j] * memory[b + j] + memory[c + j] * memory[d + j]) + memory[e + j]


@compiled
def execute_whole(code: Any, memory: Any, addresses: Any, n: Any) -> None:
    """Run a program in integers on the first `n` numbers of its registers: products are truncated."""
    for i in range(len(code)):
        limit, reset = code[i, 0], code[i, 1]
        r, a, b = _u(addresses[code[i, 2]]), _u(addresses[code[i, 3]]), _u(addresses[code[i, 4]])
        c, d, e = _u(addresses[code[i, 5]]), _u(addresses[code[i, 6]]), _u(addresses[code[i, 7]])
        threshold, s = _u(addresses[code[i, 8]]), _u(addresses[code[i, 9]])
        top = _TOP if limit == SATURATE else np.inf
        if reset:
            for j in range(n):
                total = np.trunc(memory[a + j] * memory[b + j]) + np.trunc(memory[c + j] * memory[d + j])
                total = min(max(total + memory[e + j], -top), top)
                fires = total > memory[threshold + j]
                rest = 0.0 if reset == CLEAR else total - memory[threshold + j]
                memory[r + j] = rest if fires else total
                memory[s + j] = 1.0 if fires else 0.0
        elif limit == WRAP:
            for j in range(n):
                total = np.trunc(memory[a + j] * memory[b + j]) + np.trunc(memory[c + j] * memory[d + j])
                total += memory[e + j]
                memory[r + j] = total - (2 * _HALF if total > _HALF else -2 * _HALF if total <= -_HALF else 0.0)
        else:
            for j in range(n):
                total = np.trunc(memory[a + j] * memory[b + j]) + np.trunc(memory[c + j] * memory[d + j])
                memory[r + j] = min(max(total + memory[e + j], -top), top)
