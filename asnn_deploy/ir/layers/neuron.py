"""A population of neurons."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType, SimpleNamespace
from typing import Any, ClassVar

import numpy as np

from asnn_deploy.errors import GraphError
from asnn_deploy.ir.granularity import Shape, by_channel, narrowed, over
from asnn_deploy.ir.layers.base import Layer
from asnn_deploy.ir.meaning import FIRES, RESETS, SPIKES
from asnn_deploy.ir.neurons import MODELS, NeuronModel, Parameters
from asnn_deploy.ir.neurons.bounds import Interval, Intervals
from asnn_deploy.ir.neurons.firing import IMMEDIATE, Firing
from asnn_deploy.ir.neurons.fitting import fitted
from asnn_deploy.ir.signals import Kind, Signal, Tracker, spikes
from asnn_deploy.ir.step_table import StepTable
from asnn_deploy.ir.worth import Choices, Worth
from asnn_deploy.util.arrays import Array
from asnn_deploy.util.suggest import unknown_name


@dataclass(frozen=True)
class Neuron(Layer):
    """A population of neurons of one model (see `asnn_deploy.ir.neurons`).

    model: the neuron model's name.
    parameters: that model's parameters as step tables, each per layer `[K]`, per channel `[K, C]` or per neuron.
    reset: "subtract" (soft: the threshold is subtracted), "zero" (hard), or another of `ir.meaning.RESETS`.
    comparison: "above", it fires above its threshold, or "at", at it too. spiking: "one" spike a step, or "many".
    """

    model: str
    parameters: Mapping[str, StepTable]
    reset: str = "subtract"
    comparison: str = "above"
    spiking: str = "one"
    kind: ClassVar[str] = "neuron"
    fires: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "parameters", MappingProxyType(dict(self.parameters)))

    def __reduce__(self) -> tuple[type[Neuron], tuple[Any, ...]]:
        given = dict(self.parameters)
        return type(self), (self.name, self.model, given, self.reset, self.comparison, self.spiking)

    def __hash__(self) -> int:
        return hash((self.name, self.model, tuple(sorted(self.parameters)), self.reset))

    @property
    def firing(self) -> Firing:
        """How it resets, when it fires and how often, as its model's step takes it."""
        return Firing(self.reset, self.comparison == "at", self.spiking == "many")

    def tables(self) -> dict[str, StepTable]:
        return dict(self.parameters)

    def with_tables(self, change: Callable[[StepTable], StepTable]) -> Layer:
        return replace(self, parameters={key: change(table) for key, table in self.parameters.items()})

    def output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        for what, allowed in (("reset", RESETS), ("comparison", FIRES), ("spiking", SPIKES)):
            if getattr(self, what) not in allowed:
                raise self.refuse(f"{what} {getattr(self, what)!r}, allowed: {', '.join(allowed)}")
        if self.spiking == "many" and (self.comparison == "above" or self.reset not in IMMEDIATE):
            raise self.refuse(
                f"several spikes in a step go with neurons that fire at their threshold and reset at once, "
                f"found fires {self.comparison}, reset {self.reset}"
            )
        for key, table in self.parameters.items():
            self.check_granularity(key, table, shape)
        return shape

    @property
    def definition(self) -> NeuronModel:
        """The model that the layer names. Raises GraphError if there is none of that name."""
        if self.model not in MODELS:
            raise self.refuse(unknown_name("neuron model", self.model, MODELS))
        return MODELS[self.model]

    def check(self, fixed: bool) -> None:
        """Raise GraphError unless it has exactly the parameters that its model knows, each with values it allows.

        The error names layer and key, for a value also the step and what is allowed.
        """
        model = self.definition
        known = model.known(fixed)
        for key, table in self.parameters.items():
            if key not in known:
                raise self.refuse(unknown_name(f"parameter of {model.name!r}", key, known))
            if known[key].allowed is not None:
                self.check_range(key, table, *known[key].allowed)  # type: ignore[misc]
        missing = [k for k, p in known.items() if p.required and k not in self.parameters]
        if missing:
            raise GraphError(f"layer {self.name!r} ({model.name}): lacks parameter {missing[0]!r}")
        threshold = self.parameters.get("threshold")
        if self.spiking == "many" and threshold is not None and not threshold.values.min() > 0:
            raise self.refuse(
                f"threshold {float(threshold.values.min()):g}; it must be positive if several spikes are sent in a step"
            )
        if self.reset not in model.resets:
            raise self.refuse(f"model {model.name!r} resets by {' or '.join(model.resets)}, found {self.reset!r}")
        if not (self.firing.plain or model.variants):
            raise self.refuse(
                f"model {model.name!r} fires once in a step, above its threshold; "
                f"found fires {self.comparison}, {self.spiking}"
            )

    def check_range(self, key: str, table: StepTable, least: int, most: int) -> None:
        """Raise GraphError unless every value of a parameter is a whole number in its range."""
        if table.dtype.kind not in "iu":
            raise self.refuse(f"{key} has values of type {table.dtype}; they must be integers")
        for t in range(table.time_steps):
            for worst in (table.at(t).min(), table.at(t).max()):
                if not least <= worst <= most:
                    raise self.refuse(f"{key} = {worst} at step {t}, allowed: {least} to {most}")

    def parameters_at(self, t: int, shape: Shape, dtype: Any, fixed: bool) -> SimpleNamespace:
        """Return the parameters in force as `step` or `step_fixed` takes them: arrays that broadcast to the layer.

        What is left out has its default; one of 0 is None, since it adds nothing.
        """
        model = self.definition
        given = {key: over(table.at(t).astype(dtype), shape) for key, table in self.parameters.items()}
        for key, parameter in model.known(fixed).items():
            if key not in given and parameter.default:
                given[key] = np.asarray(parameter.default, dtype)
        ready = model.prepared(given) if fixed else given
        return Parameters(ready, self.firing)

    def output_signal(self, t: int, x: Sequence[Signal], tracker: Tracker) -> Signal:
        """Spikes; of a model that sends its potential, its bounds. In integers, registers are followed on the way."""
        model = self.definition
        if model.spikes and self.spiking == "one" and not (tracker.fixed and model.proved):
            return spikes()
        ops = Intervals(tracker.reach, tracker.fixed, model.proved)
        shape = tracker.shape
        p = self.parameters_at(t, shape, np.int64 if tracker.fixed else np.float64, tracker.fixed)
        state = tracker.state or model.before(p, Interval(*[np.zeros((1,) * len(shape))] * 2), Interval.at)
        arriving = Interval(*(over(end, shape) if end.size > 1 else end for end in (x[0].low, x[0].high)))
        step = model.step_fixed if tracker.fixed else model.bounding
        sent, tracker.state = step(ops, state, arriving, p)
        if model.spikes:
            return spikes(1.0 if self.spiking == "one" else float(np.max(sent.high)))
        low, high = by_channel(sent.low, shape)[0], by_channel(sent.high, shape)[1]
        return Signal(Kind.VALUES, np.minimum(low, 0), np.maximum(high, 0))

    def quantized(self, x: Sequence[Worth], choices: Choices) -> tuple[Layer, Worth]:
        return fitted(self, x[0], choices)


def constant_neuron(
    name: str,
    model: str,
    values: Mapping[str, Array],
    shape: Shape,
    reset: str = "subtract",
    comparison: str = "above",
    spiking: str = "one",
) -> Neuron:
    """Return neurons whose parameters do not depend on the step, for sequences of any length.

    values: the parameters, which broadcast against signals of `shape` as NumPy broadcasts. They are rounded to float32
    and held in the fewest numbers; those that do nothing are left out.
    """
    kept = {
        key: StepTable.constant(narrowed(value, shape), 1)
        for key, value in values.items()
        if np.any(value) or MODELS[model].parameters[key].default != 0
    }
    if "zero" not in reset:
        kept.pop("reset_potential", None)
    return Neuron(name, model, kept, reset, comparison, spiking)
