"""A neuron layer in integers: the membrane unit, mantissas and shifts for which everything fits, or what does not."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from asnn_deploy.errors import GraphError
from asnn_deploy.ir.fixed_point import ACCUMULATOR_BITS, GAIN_BITS, STATE_BITS, largest
from asnn_deploy.ir.granularity import coarsest
from asnn_deploy.ir.neurons.base import Parameters, Population, State
from asnn_deploy.ir.neurons.bounds import Interval, Intervals
from asnn_deploy.ir.neurons.quantizing import OutOfRange, Quantizing, TooFine
from asnn_deploy.ir.step_table import StepTable
from asnn_deploy.ir.worth import Choices, Worth
from asnn_deploy.util.arrays import Array

THRESHOLD_BITS = range(16, 4, -1)
"""A threshold is at most 2**16 membrane units, finer than any leak or gain mantissa resolves, and at least 2**5."""
POTENTIAL_BITS = range(STATE_BITS - 2, 4, -1)
"""The same of the largest potential of neurons without a threshold."""


class Fitting:
    """One neuron layer, what arrives there, and the search for its integers."""

    def __init__(self, layer: Population, x: Worth, choices: Choices) -> None:
        self.layer, self.model, self.shape, self.steps = layer, layer.definition, choices.shape, choices.time_steps
        ((low, high),) = choices.bounds()
        nothing = np.zeros((self.steps, 1))
        bias = nothing if x.bias is None else x.bias
        self.x = Quantizing(self.wide(x.unit), self.wide(low), self.wide(high), self.wide(bias))
        given = {
            key: layer.parameters[key].over(self.shape).astype(np.float64)
            if key in layer.parameters
            else np.full((self.steps, *(1,) * len(self.shape)), parameter.default)
            for key, parameter in self.model.parameters.items()
            if key in layer.parameters or not parameter.optional
        }
        self.p = Parameters(given, layer.reset)

    def wide(self, values: Array) -> Array:
        """Values by channel `[T, C]` or `[T, 1]`, to broadcast against `[T, *shape]`."""
        return np.broadcast_to(values, (self.steps, values.shape[1])).reshape(
            self.steps, -1, *(1,) * (len(self.shape) - 1)
        )

    def found(self) -> tuple[Any, float]:
        """Return the integer layer and its membrane unit. Raises GraphError naming what does not fit, and where."""
        top, exponents = self.top()
        try:
            for exponent in exponents:
                self.x.unit = top / 2.0**exponent
                try:
                    new = self.with_parameters(self.model.quantized(self.p, self.x))
                except TooFine:
                    continue
                if self.fits(new):
                    return new, self.x.unit
        except OutOfRange as error:
            raise self.layer.refuse(str(error)) from None
        raise self.does_not_fit(top, exponents[-1])

    def top(self) -> tuple[float, range]:
        """What the membrane unit is a binary fraction of, and which fractions to try."""
        if "threshold" in self.model.parameters:
            threshold = self.p.threshold
            if not float(threshold.min()) > 0:
                raise self.layer.refuse(f"threshold {threshold.min():g} has no integer version; it must be positive")
            return float(threshold.max()), THRESHOLD_BITS
        ends = [
            self.x.low * self.x.units + np.minimum(self.x.bias, 0),
            self.x.high * self.x.units + np.maximum(self.x.bias, 0),
        ]
        low, high = np.minimum(*ends), np.maximum(*ends)
        reached = self.follow(self.model.bounding, lambda t: self.at(self.p, t), low, high, whole=False)
        return max(float(np.abs(end).max()) for end in reached["sent"]) or 1.0, POTENTIAL_BITS

    def with_parameters(self, found: dict[str, Array]) -> Any:
        """The layer with integer parameters, each in the coarsest granularity that holds it."""
        layer: Any = self.layer
        return replace(layer, parameters={key: self.table(np.asarray(value)) for key, value in found.items()})

    def table(self, values: Array) -> StepTable:
        """Integers `[T, ...]`, or `[1, ...]`, as a step table."""
        values = (
            np.broadcast_to(values, (self.steps, *values.shape[1:])) if values.ndim else np.full(self.steps, values)
        )
        return StepTable.per_step(coarsest(values.astype(np.int32), self.shape))

    def fits(self, new: Population) -> bool:
        """Whether no state of the integer layer can leave its register."""
        parameters = [new.parameters_at(t, self.shape, np.int64, fixed=True) for t in range(self.steps)]
        reached = self.follow(self.model.step_fixed, parameters.__getitem__, self.x.low, self.x.high, whole=True)
        return all(
            max(float(np.abs(end).max()) for end in ends) <= largest(STATE_BITS)
            for name, ends in reached.items()
            if name in self.model.states
        )

    def follow(
        self,
        step: Callable[..., tuple[Interval, State]],
        parameters: Callable[[int], SimpleNamespace],
        low: Array,
        high: Array,
        whole: bool,
    ) -> dict[str, tuple[Array, Array]]:
        """The bounds of registers, states and what is sent over all steps, by name: `[T, ...]` each."""
        found: dict[str, list[tuple[Array, Array]]] = {}
        ops = Intervals(lambda name, *ends: found.setdefault(name, []).append(ends), whole)
        zero = Interval(*[np.zeros((1,) * len(self.shape))] * 2)
        s = self.model.before(parameters(0), zero, Interval.at)
        for t in range(self.steps):
            sent, s = step(ops, s, Interval(low[t], high[t]), parameters(t))
            found.setdefault("sent", []).append((sent.low, sent.high))
        return {
            name: tuple(np.stack(np.broadcast_arrays(*side)) for side in zip(*ends))  # type: ignore[misc]
            for name, ends in found.items()
        }

    def at(self, p: SimpleNamespace, t: int) -> SimpleNamespace:
        """Parameters `[T, ...]` or `[1, ...]` at one step, as the model's step takes them."""
        values = {key: np.asarray(v) for key, v in vars(p).items() if key != "reset"}
        now = {key: v[min(t, len(v) - 1)] if v.ndim else v for key, v in values.items()}
        nothing = {key for key, parameter in self.model.parameters.items() if parameter.default == 0}
        return Parameters({k: v for k, v in now.items() if np.any(v) or k not in nothing}, self.layer.firing)

    def does_not_fit(self, top: float, coarsest_bits: int) -> GraphError:
        """Which gain, threshold or state passes the format even with the coarsest membrane unit."""
        layer, threshold = self.layer, getattr(self.p, "threshold", None)
        self.x.unit, self.x.exact = top / 2.0**coarsest_bits, False
        if threshold is not None and np.rint(threshold / self.x.unit).min() < 1:
            return layer.refuse(
                f"its thresholds reach from {threshold.min():g} to {threshold.max():g}: in {STATE_BITS} bits "
                "the smallest would be 0 membrane units; thresholds nearer to each other would fit"
            )
        loose = {key: np.asarray(v) for key, v in self.model.quantized(self.p, self.x).items()}
        known = self.model.known(fixed=True)
        absent = {key for key, p in known.items() if not p.required and not np.any(loose.get(key, 0))}
        whole = SimpleNamespace(**{key: loose.get(key, np.zeros(1)) for key in known if key not in absent})

        def parameters(t: int) -> SimpleNamespace:
            return self.at(whole, t)

        reached = self.follow(self.model.step_fixed, parameters, self.x.low, self.x.high, whole=False)
        magnitudes = {
            n: np.max([np.abs(end).reshape(self.steps, -1).max(axis=1) for end in reached[n]], axis=0) for n in reached
        }
        name = max((n for n in self.model.states if n in reached), key=lambda n: float(magnitudes[n].max()))
        most = float(magnitudes[name].max())
        fits = largest(STATE_BITS) / most if most else math.inf  # nothing may ever arrive
        for key, rooms in self.x.rooms.items():
            for t, room in enumerate(rooms):
                if room < 1:
                    return self.too_large(key, t, min(room, fits))
        t = int(np.argmax(magnitudes[name] > largest(STATE_BITS)))
        return layer.refuse(
            f"{spoken(name)} can leave {STATE_BITS} bits at step {t}: it can reach {magnitudes[name][t]:.4g} units "
            f"with its threshold at 2^{coarsest_bits} units, of {largest(STATE_BITS)}; "
            f"gains and biases {1 / fits:.3g} times smaller would fit"
        )

    def too_large(self, key: str, t: int, room: float) -> GraphError:
        """The refusal of a gain, or of the factor that the inputs' unit makes of it."""
        width = f"{GAIN_BITS} bits and a {ACCUMULATOR_BITS}-bit product hold magnitudes up to"
        if key not in self.layer.parameters:
            return self.layer.refuse(
                f"its inputs at step {t} are {1 / room:.3g} times too large for the format: with this layer's inputs, "
                f"{width} less; smaller weights would fit"
            )
        gain = self.layer.parameters[key].at(t)
        worst = float(gain.flat[np.abs(gain).argmax()])
        return self.layer.refuse(
            f"{key} {worst:.4g} at step {t} lies outside the format's range: with this layer's inputs, {width} "
            f"{abs(worst) * room:.4g}"
        )


def fitted(layer: Population, x: Worth, choices: Choices) -> tuple[Any, Worth]:
    """Return the integer version of a neuron layer that x arrives at, and what leaves it is worth.

    Raises GraphError naming what does not fit, and where.
    """
    new, unit = Fitting(layer, x, choices).found()
    return new, Worth(np.full((choices.time_steps, 1), 1.0 if layer.definition.spikes else unit))


def spoken(state: str) -> str:
    """Return what a state of a neuron is called in messages."""
    return {"v": "its membrane potential", "i": "its synaptic current", "u": "its synaptic current"}.get(
        state, f"its state {state!r}"
    )
