"""A neuron model's step on plain arrays, and what every neuron's own test asks: its equations, bounds and integers.

The equations are each test's, written for one neuron in plain numbers: Python's integers, or float32 with every product
and every sum rounded by itself.
"""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
from hypothesis import reject
from hypothesis import strategies as st
from membranes import TOP, spelled
from networks.drawing import Drawing
from networks.making import constant, linked

from asnn_deploy.errors import GraphError
from asnn_deploy.ir.inputs import SequenceInput
from asnn_deploy.ir.layers import Flatten, Linear, Neuron, Readout
from asnn_deploy.ir.neurons import Parameters, State
from asnn_deploy.ir.neurons.bounds import Interval, Intervals
from asnn_deploy.ir.neurons.operations import FLOATS, INTEGERS, Membranes
from asnn_deploy.quantizing import quantize

RESETS = st.sampled_from(["subtract", "zero"])
NEURONS, STEPS = 2, 3


def float_step(model, state, x, p, reset="subtract"):
    """What is sent, and the states after a step in floats; `state` by name."""
    sent, after = model.step(FLOATS, State(**state), x, Parameters(p, reset))
    return sent, vars(after)


def fixed_step(model, state, x, p, reset="subtract"):
    """The same in integers."""
    sent, after = model.step_fixed(INTEGERS, State(**state), x, Parameters(model.prepared(p), reset))
    return sent, vars(after)


def truncated(x, shift):
    """`x / 2**shift` towards zero, in Python's integers."""
    return -(-x >> shift) if x < 0 else x >> shift


def fired(v, threshold, reset):
    """Whether a neuron fires, strictly above its threshold, and what is left of its potential."""
    if not v > threshold:
        return False, v
    return True, type(v)(0) if reset == "zero" else v - threshold


def whole(least, most):
    """Integers of a range, its ends and the smallest ones more often than others."""
    edges = sorted({n for n in (least, least + 1, -1, 0, 1, most - 1, most) if least <= n <= most})
    return st.integers(least, most) | st.sampled_from(edges)


def real(most):
    """Float32 numbers of either sign up to a magnitude; whole, half and very small ones, too."""
    edges = [x for x in (0.0, 0.5, 1.0, -1.0, 2.0, 1e-30) if abs(x) <= most]
    return (st.floats(-most, most, width=32) | st.sampled_from(edges)).map(np.float32)


def eighths(least, most):
    """Multiples of 1/8, whose products and sums over a few steps are exact in float64."""
    return st.integers(8 * least, 8 * most).map(lambda n: np.float32(n / 8))


@dataclass(frozen=True)
class Numbers:
    """Of what kind are inputs, states and parameters, by name; whether they are integers."""

    fixed: bool
    x: st.SearchStrategy
    state: st.SearchStrategy
    parameters: dict[str, st.SearchStrategy]


LINEAR = ("current_leak", "leak", "gain", "bias", "rate", "current_rate", "rest")
MEMBRANE = ("reset_potential", "minimum", "initial")
"""What membranes of other tools' networks have."""
MANTISSA, SHIFT = whole(1 - 2**15, 2**15 - 1), whole(0, 30)
REALS = Numbers(
    False,
    real(4),
    real(4),
    dict.fromkeys((*LINEAR, *MEMBRANE), real(2))
    | dict.fromkeys(("threshold", "steps"), real(2).map(lambda x: abs(x) + 1)),
)
"""Float32 numbers that round in every operation."""
EIGHTHS = Numbers(
    False,
    eighths(-2, 2),
    st.just(np.float32(0)),
    dict.fromkeys((*LINEAR, *MEMBRANE), eighths(-2, 2))
    | {"threshold": eighths(1, 2), "steps": st.sampled_from([1.0, 2.0, 4.0])},
)
WIDE = Numbers(
    True,
    whole(1 - 2**31, 2**31 - 1),
    whole(-TOP, TOP),
    dict.fromkeys(("current_leak", "leak", "current_gain", "gain"), MANTISSA)
    | dict.fromkeys(("current_shift", "gain_shift"), SHIFT)
    | dict.fromkeys(("current_bias", "bias", *MEMBRANE), whole(-TOP, TOP))
    | {"threshold": whole(1, TOP)},
)
"""All that the formats hold."""
SMALL = Numbers(
    True,
    whole(-100, 100),
    st.just(0),
    dict.fromkeys(("current_leak", "leak"), whole(-8000, 8000))
    | dict.fromkeys(("current_gain", "gain"), whole(-30, 30))
    | dict.fromkeys(("current_shift", "gain_shift"), whole(0, 2))
    | dict.fromkeys(("current_bias", "bias", *MEMBRANE), whole(-1000, 1000))
    | {"threshold": whole(1, 3000)},
)
"""Integers with which nothing saturates within a few steps."""


@st.composite
def runs(draw, model, numbers):
    """A few neurons over a few steps: x `[T, N]`, start {state: [N]}, parameters {name: [T, N]}, the numbers.

    A parameter may be left out if that says 0, or if it does nothing then.
    """

    def array(elements, *shape):
        count = int(np.prod(shape))
        values = draw(st.lists(elements, min_size=count, max_size=count))
        return np.array(values, np.int64 if numbers.fixed else np.float32).reshape(shape)

    tables = {
        key: array(numbers.parameters[key], STEPS, NEURONS)
        for key, parameter in model.known(numbers.fixed).items()
        if not (parameter.optional or parameter.default == 0) or draw(st.booleans())
    }
    start = {key: array(numbers.state, NEURONS) for key in model.states}
    return SimpleNamespace(x=array(numbers.x, STEPS, NEURONS), start=start, parameters=tables, fixed=numbers.fixed)


def assert_follows(model, equations, run, reset):
    """Compare every step of a run, bit for bit, with the equations of one neuron. reset: a text, or the whole `Firing`.

    equations(p, s, x, reset): what is sent and the states by name, of one neuron's parameters, states and input; a
    parameter that was left out is not in p.
    """
    step, number = (fixed_step, int) if run.fixed else (float_step, np.float32)

    def one(values, n):
        return {key: number(value[n]) for key, value in values.items()}

    state = run.start
    for x, *values in zip(run.x, *run.parameters.values()):
        p = dict(zip(run.parameters, values))
        sent, after = step(model, state, x, p, reset)
        assert list(after) == list(model.states)
        for n in range(NEURONS):
            expected, states = equations(one(p, n), one(state, n), number(x[n]), reset)
            assert bits(number(sent[n])) == bits(number(expected)), spelled(reset)
            assert {key: bits(value[n]) for key, value in after.items()} == {k: bits(v) for k, v in states.items()}
        state = after


def bits(x):
    """A number, and the sign of a zero."""
    return (float(x), bool(np.signbit(x))) if isinstance(x, (float, np.floating)) else int(x)


def assert_bounds_hold(model, run, reset):
    """Follow a run's neurons from 0 on in intervals that hold its inputs, and the neurons themselves: all is inside.

    In float64, where the run's numbers must be exact.
    """
    noted, fixed = [], run.fixed
    ops = Intervals(lambda name, low, high: noted.append((name, low, high)), fixed, model.proved)
    watched = Watched(INTEGERS if fixed else FLOATS)
    kind = np.int64 if fixed else np.float64
    low, high = (end(run.x, axis=1) for end in (np.min, np.max))
    step = model.step_fixed if fixed else model.step
    for t, x in enumerate(run.x):
        given = {key: values[t].astype(kind) for key, values in run.parameters.items()}
        p = Parameters(model.prepared(given) if fixed else given, reset)
        if t == 0:
            inside = model.before(p, Interval(*[np.zeros(1)] * 2), Interval.at)
            state = model.before(p, np.zeros(NEURONS, kind), np.copy)
        bound, inside = (model.step_fixed if fixed else model.bounding)(
            ops, inside, Interval(low[t : t + 1], high[t : t + 1]), p
        )
        sent, state = step(watched, state, x.astype(kind), p)
        assert within(sent, bound)
        for name in model.states:
            assert within(getattr(state, name), getattr(inside, name)), name
        for name, values, interval in registers(watched.seen, noted):
            assert within(values, interval), name
        noted.clear()
        watched.seen.clear()


def registers(seen, noted):
    """What registers held, each with its bounds; where what fired before and what did not is followed apart, either's."""
    if len(seen) == len(noted):
        assert [name for name, _ in seen] == [name for name, *_ in noted]
        return [(name, values, Interval(*ends)) for (name, values), (_, *ends) in zip(seen, noted)]
    lows, highs = ({n: [ends[side] for name, *ends in noted if name == n] for n, *_ in noted} for side in (0, 1))
    hulls = {
        n: Interval(np.min(np.broadcast_arrays(*lows[n]), 0), np.max(np.broadcast_arrays(*highs[n]), 0)) for n in lows
    }
    return [(name, values, hulls[name]) for name, values in seen]


class Watched(Membranes):
    """Integers that note what their registers hold: every product with a gain, every state before it is limited."""

    def __init__(self, ops):
        self.ops, self.seen = ops, []

    def __getattr__(self, name):
        return getattr(self.ops, name)

    def scale(self, gain, shift, x):
        self.seen.append(("product", gain * x))
        return self.ops.scale(gain, shift, x)

    def settled(self, v):
        return self.saturate("v", v) if self.ops is INTEGERS else v

    def saturate(self, state, x):
        self.seen.append((state, x))
        return self.ops.saturate(state, x)

    def wrap(self, state, x):
        self.seen.append((state, x))
        return self.ops.wrap(state, x)


def within(values, interval):
    """Whether all values lie in an interval."""
    return bool((interval.low <= values).all() and (values <= interval.high).all())


@st.composite
def quantized_neurons(draw, model):
    """A layer of one model behind a convolution: `(float layer, its integer version)`."""
    drawing = Drawing(draw, images=True, foreign=True)
    drawing.convolution("synapses", 2 * draw(st.integers(1, 2)))
    name = drawing.neurons("neurons", drawing.shape, (model,), exactly=True)
    drawing.put(Flatten("flat"))
    graph = drawing.read(Readout("readout", drawing.real(0.5, 1.5)))
    try:
        fixed = quantize(graph)
    except GraphError:  # its thresholds or gains lie too far apart
        reject()
    return graph.by_name[name], fixed.by_name[name]


def assert_in_their_bits(layer):
    """Every integer parameter lies in the bits, or the values, that its model declares: shifts and exponents from 0 on."""
    known = layer.definition.fixed_parameters
    assert set(layer.parameters) <= set(known)
    for key, table in layer.parameters.items():
        assert table.dtype.kind == "i"
        least, most = int(table.values.min()), int(table.values.max())
        unsigned = key.endswith(("shift", "exp"))
        top = 2 ** known[key].bits - 1 if unsigned else 2 ** (known[key].bits - 1) - 1
        assert (0 if unsigned else -top) <= least <= most <= top, key


def assert_thresholds_share_a_unit(layer, fixed):
    """Thresholds are whole multiples of one unit, a binary fraction of the largest: 2**5 to 2**16 of it."""
    given = layer.parameters.get("threshold")
    thresholds = np.ones(1) if given is None else given.expanded().astype(np.float64).ravel()
    found = fixed.parameters["threshold"].expanded().ravel()
    assert any((np.rint(thresholds * 2.0**k / thresholds.max()) == found).all() for k in range(5, 17))


def assert_leaks_are_rounded(layer, fixed, key="leak"):
    """Leaks in 4096ths, halves to even."""
    expected = [round(float(value) * 4096) for value in layer.parameters[key].expanded().ravel()]
    assert fixed.parameters[key].expanded().ravel().tolist() == expected


def assert_same_integers(model, p, other, plain):
    """A layer of one model has the integers of a layer of another, which it is in real numbers; floats by name."""
    fixed = []
    for definition, values in ((model, p), (other, plain)):
        layers = (
            Linear("synapses", constant(np.array([[0.5, -0.25], [1.0, 0.75]], np.float32), STEPS)),
            Neuron("neurons", definition.name, {key: constant(value, STEPS) for key, value in values.items()}),
            Readout("readout", constant(1.0, STEPS)),
        )
        fixed.append(quantize(linked((2,), SequenceInput(STEPS, "counts", 3), layers, {})).by_name["neurons"])
    assert dict(fixed[0].parameters) == dict(fixed[1].parameters)
