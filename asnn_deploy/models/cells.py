"""Norse cells: adaptive LIF (ASNN) with its own leak and gain at every step, and plain LIF for comparison.

Both compute what `asnn_deploy.neurons.lif` states, as Norse-style feed-forward cells: a named-tuple state, parameters
in a module, an activation `(input, state, parameters, dt) -> (spikes, state)` inside `norse.torch.module.snn.SNNCell`.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import norse.torch.module.snn
import torch
from norse.torch.functional.threshold import threshold
from torch import Tensor, nn

LEAK = GAIN = 0.5
"""Initial leak and gain; source: the reference code of ASNN, arXiv 2408.12407."""
SURROGATE_SLOPE = 2.0
"""Norse's "tanh" surrogate with slope 2 has the gradient of a sigmoid of slope 4, the one of the reference code."""


class LIFState(NamedTuple):
    """Membrane potential `[B, ...]` and the index of the step to come."""

    v: Tensor
    step: int


class LIFParameters(nn.Module):
    """Leak and gain for each step, `[T, *granularity]`; the threshold is 1.

    learned: which of "leak" and "gain" training moves (ASNN: both); the others stay at 0.5 for good (plain LIF).
    granularity: `()` per layer, `(C, 1, 1)` per channel, or the layer's whole shape per neuron.
    reset: "subtract" or "zero".
    """

    def __init__(
        self,
        time_steps: int,
        granularity: tuple[int, ...] = (),
        learned: Collection[str] = ("leak", "gain"),
        reset: str = "subtract",
    ) -> None:
        super().__init__()
        self.reset = reset
        self.leak = nn.Parameter(torch.full((time_steps, *granularity), LEAK), requires_grad="leak" in learned)
        self.gain = nn.Parameter(torch.full((time_steps, *granularity), GAIN), requires_grad="gain" in learned)


def lif_step(x: Tensor, state: LIFState, p: LIFParameters, _dt: float) -> tuple[Tensor, LIFState]:
    """One step of `v = leak[t] v + gain[t] x`, spike where v > 1, reset by subtraction or to zero.

    Written as separate products and sums: a fused multiply-add rounds once where every other target rounds twice.
    Norse hands every activation its dt; leak and gain are per step already.
    """
    v = p.leak[state.step] * state.v + p.gain[state.step] * x
    spikes = threshold(v - 1, "tanh", SURROGATE_SLOPE)
    v = v * (1 - spikes.detach()) if p.reset == "zero" else v - spikes
    return spikes, LIFState(v, state.step + 1)


class AdaptiveLIFCell(norse.torch.module.snn.SNNCell):  # type: ignore[misc]
    """The ASNN neuron as a Norse cell: `cell(x, state) -> (spikes, state)`; the state counts the steps."""

    def __init__(self, p: LIFParameters, dt: float = 1e-3) -> None:
        super().__init__(lif_step, self.initial_state, p, dt)

    @staticmethod
    def initial_state(x: Tensor) -> LIFState:
        """Membrane potential 0 before step 0."""
        return LIFState(torch.zeros_like(x), 0)


class MultiStep(nn.Module):
    """A cell run over all steps of a layer: `[T, B, ...]` to spikes `[T, B, ...]`."""

    def __init__(self, cell: AdaptiveLIFCell) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, x: Tensor) -> Tensor:
        """See the class's text."""
        state, spikes = None, []
        for current in x:
            fired, state = self.cell(current, state)
            spikes.append(fired)
        return torch.stack(spikes)
