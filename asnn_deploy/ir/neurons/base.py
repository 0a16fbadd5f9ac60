"""What a neuron model is: one definition, interpreted by every backend.

A model writes its step once, over a small set of operations (`operations.py`). NumPy runs it, in float32 and in
integers; torch trains it (`models/cells.py`); interval arithmetic proves with it that no integer overflows; NIR and
ONNX write it as nodes; the engine runs it as a program (`engine/assembler.py`), and the energy report counts what it
does. LIF alone has faster copies, too (`engine/kernels/`, `models/kernels/`). How to write one: copy `lif.py`;
it ends in `model = ...`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from asnn_deploy.errors import GraphError, UnsupportedError
from asnn_deploy.ir.neurons.firing import IMMEDIATE, Firing
from asnn_deploy.ir.step_table import StepTable

if TYPE_CHECKING:
    from asnn_deploy.ir.neurons.operations import Operations
    from asnn_deploy.ir.neurons.quantizing import Quantizing
    from asnn_deploy.util.arrays import Array

State = SimpleNamespace
"""The states after a step, by name: `State(v=v, i=i)`. What they are (arrays, nodes, ...) is the backend's affair."""


class Parameters(SimpleNamespace):
    """A neuron's parameters at a step, with `reset`; those that are left out are None."""

    def __init__(self, given: Mapping[str, Any], reset: str = "subtract") -> None:
        super().__init__(**given, reset=reset)

    def __getattr__(self, name: str) -> None:
        return None


@dataclass(frozen=True)
class Parameter:
    """A parameter of a neuron model: what it means, its default if it may be left out, and the values allowed.

    bits: of an integer parameter, in a chip's memory. initial: what training begins with; None: the default.
    optional: it may be left out, and then does nothing; no number does nothing in its place.
    instead_of: the parameter whose place it takes in a step in real numbers, which then does not read that one.
    """

    meaning: str
    default: float | None = None
    allowed: tuple[int, int] | None = None
    bits: int = 32
    initial: float | None = None
    optional: bool = False
    instead_of: str | None = None

    @property
    def required(self) -> bool:
        """Whether it must be given."""
        return self.default is None and not self.optional

    @property
    def first(self) -> float | None:
        """What training begins with; None if the model does not say."""
        return self.default if self.initial is None else self.initial


class Population(Protocol):
    """A layer of neurons, as their models' other readings see it (`ir.layers.Neuron`)."""

    @property
    def name(self) -> str:
        """The layer's name."""

    @property
    def model(self) -> str:
        """The name of its model."""

    @property
    def parameters(self) -> Mapping[str, StepTable]:
        """Its parameters."""

    @property
    def reset(self) -> str:
        """How it resets."""

    @property
    def firing(self) -> Firing:
        """How it resets, when it fires and how often."""

    @property
    def definition(self) -> NeuronModel:
        """Its model."""

    def parameters_at(self, t: int, shape: tuple[int, ...], dtype: Any, fixed: bool) -> SimpleNamespace:
        """The parameters in force at a step."""

    def refuse(self, problem: str) -> GraphError:
        """An error that names it."""


class NeuronModel:
    """One neuron model.

    name: as in `Neuron.model`; summary: one line for `asnn-deploy list`.
    states: names of its states, all zero at first; the first is the membrane potential, which traces record.
    parameters: float parameters by name; fixed_parameters: those of the integer definition.
    spikes: False if it sends its membrane potential instead (a readout with memory).
    resets: how it can reset; `ops.membrane` knows them all, `ops.fire` the immediate ones.
    variants: whether it can also fire at its threshold, and several times in a step.
    proved: False if its registers saturate or wrap by definition, so that no proof keeps them from it.
    """

    name: ClassVar[str]
    summary: ClassVar[str] = ""
    states: ClassVar[tuple[str, ...]] = ("v",)
    parameters: ClassVar[Mapping[str, Parameter]] = {}
    fixed_parameters: ClassVar[Mapping[str, Parameter]] = {}
    spikes: ClassVar[bool] = True
    resets: ClassVar[tuple[str, ...]] = IMMEDIATE
    variants: ClassVar[bool] = False
    proved: ClassVar[bool] = True

    def step(self, ops: Operations[Any], s: State, x: Any, p: SimpleNamespace) -> tuple[Any, State]:
        """Return what it sends and its states after one step in real numbers.

        s: the states before; x: the input; p: the parameters in force, those left out with their default (None if that
        is 0), and `p.reset`. Every product and every sum is rounded by itself, in the order written.
        """
        raise UnsupportedError(f"neuron model {self.name!r} has no definition in floating point (its method `step`)")

    def bounding(self, ops: Operations[Any], s: State, x: Any, p: SimpleNamespace) -> tuple[Any, State]:
        """Return `step` as intervals read it. A step that reads a state twice, as intervals would take for two numbers,
        is written otherwise here: equal in real numbers.
        """
        return self.step(ops, s, x, p)

    def step_fixed(self, ops: Operations[Any], s: State, x: Any, p: SimpleNamespace) -> tuple[Any, State]:
        """Return the same in integers (see `fixed_point.py`); x: accumulators."""
        raise UnsupportedError(f"neuron model {self.name!r} has no integer definition (its method `step_fixed`)")

    def before(self, p: SimpleNamespace, zero: Any, started: Callable[[Any], Any]) -> State:
        """Return its states before the first step: all `zero`, but a membrane potential that begins elsewhere.

        started: makes a state of the parameter that holds it.
        """
        states = dict.fromkeys(self.states, zero)
        if p.initial is not None:
            states[self.states[0]] = started(p.initial)
        return State(**states)

    def prepared(self, p: dict[str, Array]) -> dict[str, Array]:
        """Return the integer parameters as `step_fixed` takes them, if some are made of others."""
        return p

    def quantized(self, p: SimpleNamespace, x: Quantizing) -> dict[str, Array]:
        """Return the integer parameters, each `[T, ...]`, for the membrane unit `x.unit`.

        p: the float parameters, float64 `[T, ...]`, broadcastable to the layer's shape; those left out are numbers.
        """
        raise UnsupportedError(f"neuron model {self.name!r} has no integer definition (its method `quantized`)")

    @property
    def real(self) -> bool:
        """Whether it has a definition in floating point, which training needs."""
        return type(self).step is not NeuronModel.step

    def known(self, fixed: bool) -> Mapping[str, Parameter]:
        """Return the parameters of one arithmetic, by name."""
        return self.fixed_parameters if fixed else self.parameters
