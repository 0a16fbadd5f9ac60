"""Norse cells: any neuron model (`asnn_deploy.ir.neurons`), with parameters for every step.

They compute the model's `step` as Norse-style feed-forward cells: a named-tuple state, parameters in a module, an
activation `(input, state, parameters, dt) -> (sent, state)` inside `norse.torch.module.snn.SNNCell`.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import Any, NamedTuple

import norse.torch.module.snn
import torch
from torch import Tensor, nn

from asnn_deploy.errors import ConfigError
from asnn_deploy.ir.neurons import MODELS, NeuronModel, Parameters, State
from asnn_deploy.ir.neurons.firing import IMMEDIATE
from asnn_deploy.models.kernels import available, fused_lif
from asnn_deploy.models.operations import TorchFloats

FUSED = {"leak", "gain", "threshold"}
"""The parameters of LIF that the fused kernels know."""


class CellState(NamedTuple):
    """A model's states in its order, `[B, ...]` each, and the index of the step to come."""

    values: tuple[Tensor, ...]
    step: int


class NeuronParameters(nn.Module):
    """A neuron model's parameters for each step, `[T, *granularity]`.

    learned: which of them training moves; the others keep what training would begin with (`Parameter.first`). One that
    has a default and is not learned is not part of the weights.
    granularity: `()` per layer, `(C, 1, 1)` per channel, or the layer's whole shape per neuron.
    reset: "subtract" or "zero". attached: the reset passes gradients to the spikes, None: where it subtracts.
    Raises ConfigError naming a parameter that has nothing to begin with, or a reset that does not train.
    """

    def __init__(
        self,
        model: NeuronModel,
        time_steps: int,
        granularity: tuple[int, ...] = (),
        learned: Collection[str] = (),
        reset: str = "subtract",
        attached: bool | None = None,
    ) -> None:
        super().__init__()
        if reset not in IMMEDIATE:
            raise ConfigError(f"reset {reset!r} does not train, allowed: {', '.join(IMMEDIATE)}")
        self.model, self.reset = model, reset
        self.attached = reset == "subtract" if attached is None else attached
        self.keys: list[str] = []
        for key, parameter in model.parameters.items():
            if parameter.optional and key not in learned:
                continue
            if parameter.first is None:
                raise ConfigError(
                    f"neuron model {model.name!r}: parameter {key!r} has no value to begin training with; "
                    "give it an `initial`"
                )
            if key in learned or parameter.default is None:
                values = torch.full((time_steps, *granularity), float(parameter.first))
                self.register_parameter(key, nn.Parameter(values, requires_grad=key in learned))
            elif parameter.first:  # one of 0 adds nothing
                self.register_buffer(key, torch.full((time_steps,), float(parameter.first)), persistent=False)
            else:
                continue
            self.keys.append(key)

    def tables(self) -> dict[str, Tensor]:
        """Return the parameters by name, `[T, *granularity]`; those that are left out are 0."""
        return {key: getattr(self, key) for key in self.keys}

    def at(self, t: int) -> Parameters:
        """Return the parameters in force at a step, as `NeuronModel.step` takes them."""
        return Parameters({key: table[t] for key, table in self.tables().items()}, self.reset)


class LIFParameters(NeuronParameters):
    """Leak, gain and threshold of LIF; ASNN learns leak and gain, plain LIF nothing. See NeuronParameters."""

    leak: Tensor
    gain: Tensor
    threshold: Tensor

    def __init__(
        self,
        time_steps: int,
        granularity: tuple[int, ...] = (),
        learned: Collection[str] = ("leak", "gain"),
        reset: str = "subtract",
        attached: bool | None = None,
    ) -> None:
        super().__init__(MODELS["lif"], time_steps, granularity, learned, reset, attached)


def neuron_step(x: Tensor, state: CellState, p: NeuronParameters, _dt: float) -> tuple[Tensor, CellState]:
    """One step of a neuron model in torch.

    Norse hands every activation its dt; parameters are per step already.
    """
    ops: Any = TorchFloats(p.attached)
    names = p.model.states
    sent, after = p.model.step(ops, State(**dict(zip(names, state.values))), x, p.at(state.step))
    return sent, CellState(tuple(getattr(after, name) for name in names), state.step + 1)


def initial_state(p: NeuronParameters, x: Tensor) -> CellState:
    """The states before step 0: all 0, but a membrane potential that begins elsewhere."""
    zero = torch.zeros_like(x)
    states = p.model.before(p.at(0), zero, zero.__add__)
    return CellState(tuple(getattr(states, name) for name in p.model.states), 0)


class NeuronCell(norse.torch.module.snn.SNNCell):  # type: ignore[misc]
    """A neuron model as a Norse cell: `cell(x, state) -> (sent, state)`; the state counts the steps."""

    p: NeuronParameters

    def __init__(self, p: NeuronParameters, dt: float = 1e-3) -> None:
        super().__init__(neuron_step, partial(initial_state, p), p, dt)


class AdaptiveLIFCell(NeuronCell):
    """The ASNN neuron as a Norse cell. It has fused kernels, so its parameters have no bias."""

    p: LIFParameters


def cell(
    model: NeuronModel, time_steps: int, granularity: tuple[int, ...], learned: Collection[str], reset: str
) -> NeuronCell:
    """Return the cell of a neuron model, the one with fused kernels if there is one. See NeuronParameters."""
    if model.name == "lif" and FUSED.issuperset(set(learned) & set(model.parameters)):
        return AdaptiveLIFCell(LIFParameters(time_steps, granularity, learned, reset))
    return NeuronCell(NeuronParameters(model, time_steps, granularity, learned, reset))


class MultiStep(nn.Module):
    """A cell run over all steps of a layer: `[T, B, ...]` to what it sends, `[T, B, ...]`.

    kernel: "norse" calls the cell step by step, "fused" computes the same in one pass, "auto" does so where it can.
    """

    def __init__(self, cell: NeuronCell, kernel: str = "auto") -> None:
        super().__init__()
        self.cell, self.kernel = cell, kernel

    @property
    def model(self) -> NeuronModel:
        """The cell's neuron model."""
        return self.cell.p.model

    @property
    def state_tensors(self) -> int:
        """How many tensors its state has."""
        return len(self.model.states)

    @property
    def has_kernel(self) -> bool:
        """Whether there is a fused kernel for its cell."""
        return type(self.cell) is AdaptiveLIFCell

    def forward(self, x: Tensor) -> Tensor:
        """See the class's text."""
        return self.after(x, None)[0]

    def after(self, x: Tensor, state: CellState | None) -> tuple[Tensor, CellState]:
        """What is sent in the steps that follow on a state (None: from step 0 on), and the state behind them."""
        if self.kernel != "norse" and self.has_kernel and available(x.device):
            p: Any = self.cell.p
            first, v = (state.step, state.values[0]) if state else (0, None)
            leak, gain, limit = (table[first : first + len(x)] for table in (p.leak, p.gain, p.threshold))
            spikes, v = fused_lif(x, v, leak, gain, limit, p.reset == "zero", p.attached)
            return spikes, CellState((v,), first + len(x))
        every = []
        for current in x:
            sent, state = self.cell(current, state)
            every.append(sent)
        return torch.stack(every), state  # type: ignore[return-value]
