"""Norse cells: adaptive LIF (ASNN) with its own leak and gain at every step, and plain LIF for comparison.

Both compute what `asnn_deploy.ir.neurons.lif` states, as Norse-style feed-forward cells: a named-tuple state,
parameters in a module, an activation `(input, state, parameters, dt) -> (spikes, state)` inside
`norse.torch.module.snn.SNNCell`.
"""

from __future__ import annotations

from collections.abc import Collection
from types import SimpleNamespace
from typing import Any, NamedTuple

import norse.torch.module.snn
import torch
from torch import Tensor, nn

from asnn_deploy.ir.neurons import MODELS, State
from asnn_deploy.models.kernels import available, fused_lif
from asnn_deploy.models.operations import TorchFloats

LEAK = GAIN = 0.5
"""Initial leak and gain; source: the reference code of ASNN, arXiv 2408.12407."""


class LIFState(NamedTuple):
    """Membrane potential `[B, ...]` and the index of the step to come."""

    v: Tensor
    step: int


class LIFParameters(nn.Module):
    """Leak, gain and threshold for each step, `[T, *granularity]`.

    learned: which of "leak", "gain" and "threshold" training moves (ASNN: leak and gain); the others stay at 0.5, 0.5
    and 1 for good (plain LIF). A threshold that is not learned is no part of the weights.
    granularity: `()` per layer, `(C, 1, 1)` per channel, or the layer's whole shape per neuron.
    reset: "subtract" or "zero". attached: the reset passes gradients to the spikes, None: where it subtracts.
    """

    threshold: Tensor

    def __init__(
        self,
        time_steps: int,
        granularity: tuple[int, ...] = (),
        learned: Collection[str] = ("leak", "gain"),
        reset: str = "subtract",
        attached: bool | None = None,
    ) -> None:
        super().__init__()
        self.reset = reset
        self.attached = reset == "subtract" if attached is None else attached
        self.leak = nn.Parameter(torch.full((time_steps, *granularity), LEAK), requires_grad="leak" in learned)
        self.gain = nn.Parameter(torch.full((time_steps, *granularity), GAIN), requires_grad="gain" in learned)
        if "threshold" in learned:
            self.threshold = nn.Parameter(torch.ones(time_steps, *granularity))
        else:
            self.register_buffer("threshold", torch.ones(time_steps), persistent=False)


def lif_step(x: Tensor, state: LIFState, p: LIFParameters, _dt: float) -> tuple[Tensor, LIFState]:
    """One step of the LIF definition in torch (`asnn_deploy.ir.neurons.lif`).

    Norse hands every activation its dt; leak and gain are per step already.
    """
    now = SimpleNamespace(
        leak=p.leak[state.step], gain=p.gain[state.step], threshold=p.threshold[state.step], bias=None, reset=p.reset
    )
    ops: Any = TorchFloats(p.attached)
    spikes, after = MODELS["lif"].step(ops, State(v=state.v), x, now)
    return spikes, LIFState(after.v, state.step + 1)


class AdaptiveLIFCell(norse.torch.module.snn.SNNCell):  # type: ignore[misc]
    """The ASNN neuron as a Norse cell: `cell(x, state) -> (spikes, state)`; the state counts the steps."""

    def __init__(self, p: LIFParameters, dt: float = 1e-3) -> None:
        super().__init__(lif_step, self.initial_state, p, dt)

    @staticmethod
    def initial_state(x: Tensor) -> LIFState:
        """Membrane potential 0 before step 0."""
        return LIFState(torch.zeros_like(x), 0)


class MultiStep(nn.Module):
    """A cell run over all steps of a layer: `[T, B, ...]` to spikes `[T, B, ...]`.

    kernel: "norse" calls the cell step by step, "fused" computes the same in one pass, "auto" does so where it can.
    """

    def __init__(self, cell: AdaptiveLIFCell, kernel: str = "auto") -> None:
        super().__init__()
        self.cell, self.kernel = cell, kernel

    def forward(self, x: Tensor) -> Tensor:
        """See the class's text."""
        return self.after(x, None)[0]

    def after(self, x: Tensor, state: LIFState | None) -> tuple[Tensor, LIFState]:
        """Spikes of the steps that follow on a state (None: from step 0 on), and the state behind them."""
        if self.kernel != "norse" and type(self.cell) is AdaptiveLIFCell and available(x.device):
            p, first, v = self.cell.p, state.step if state else 0, state.v if state else None
            leak, gain, limit = (table[first : first + len(x)] for table in (p.leak, p.gain, p.threshold))
            spikes, v = fused_lif(x, v, leak, gain, limit, p.reset == "zero", p.attached)
            return spikes, LIFState(v, first + len(x))
        every = []
        for current in x:
            fired, state = self.cell(current, state)
            every.append(fired)
        return torch.stack(every), state  # type: ignore[return-value]
