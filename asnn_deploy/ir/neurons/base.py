"""What a neuron model is. How to write one: copy `lif.py`; it ends in `model = ...`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from asnn_deploy.util.arrays import Array

State = tuple[Array, ...]
"""The neuron's state arrays, each `[B, ...]`; the membrane potential is always the first."""


@dataclass(frozen=True)
class Parameter:
    """A parameter of a neuron model: what it means, its default where it may be left out, and the values allowed."""

    meaning: str
    default: float | None = None
    allowed: tuple[int, int] | None = None


class NeuronModel(Protocol):
    """One neuron model.

    name: as in `Neuron.model`.
    states: names of the state arrays, the membrane potential ("v") first. All start at zero.
    parameters: float parameters by name.
    fixed_parameters: integer parameters by name, for graphs with `arithmetic="fixed"`.
    """

    name: str
    states: tuple[str, ...]
    parameters: Mapping[str, Parameter]
    fixed_parameters: Mapping[str, Parameter]

    def step_float(self, state: State, x: Array, p: Mapping[str, Array], reset: str) -> tuple[Array, State]:
        """One step in float32. x: input `[B, ...]`; p: the parameters in force, broadcastable to x.

        Returns (spikes `[B, ...]` bool, new state). Every product and sum is rounded on its own, in the stated order.
        """

    def step_fixed(self, state: State, x: Array, p: Mapping[str, Array], reset: str) -> tuple[Array, State]:
        """One step in integers (see `fixed_point.py`); x: accumulators `[B, ...]`, int64 state."""
