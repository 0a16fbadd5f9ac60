"""Every neuron's compiled form against its definition in NumPy, bit for bit, on networks that Hypothesis draws."""

from types import MappingProxyType

import numpy as np
import pytest
from contributed import EXAMPLES
from engine.agreement import assert_compiled_equals_numpy
from exactness import assert_order_free
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from membranes import FIRINGS, spelled
from networks.drawing import FOREIGN, Drawing
from networks.making import constant, firing_neuron, random_inputs, static_neuron

from asnn_deploy.engine.executor import Executor
from asnn_deploy.engine.kernels.records import LIF, Machine
from asnn_deploy.engine.neurons import narrow, prepared
from asnn_deploy.engine.population import Population
from asnn_deploy.engine.registers import NotCompilable
from asnn_deploy.engine.units import Stepwise
from asnn_deploy.errors import GraphError
from asnn_deploy.input.coding import input_code
from asnn_deploy.ir.fixed_point import STATE_BITS, largest
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.images import InputCode
from asnn_deploy.ir.layers import Flatten, Linear, Neuron, Readout, Reshape, Scale
from asnn_deploy.ir.neurons import MODELS, NeuronModel, Parameter, State
from asnn_deploy.ir.step_table import StepTable
from asnn_deploy.ir.trace import Record
from asnn_deploy.quantizing import quantize

ALL = Record(spikes=True, potentials=True, step_logits=True, spike_counts=True)
REAL = ("lif", "if", "cuba-lif", "li", "inhibited")


class Doubled(NeuronModel):
    """A membrane that sends twice its potential, which no kernel does."""

    name = "doubled"
    spikes = False
    parameters = fixed_parameters = MappingProxyType({"leak": Parameter("fraction kept")})

    def step(self, ops, s, x, p):
        v = ops.add(ops.mul(p.leak, s.v), x)
        return ops.add(v, v), State(v=v)

    def step_fixed(self, ops, s, x, p):
        v = ops.saturate("v", ops.add(ops.decay(p.leak, s.v), x))
        return ops.add(v, v), State(v=v)


@pytest.fixture(autouse=True, scope="module")
def third_parties():
    """CONTRIBUTING.md's neuron, and one whose compiled form there is none of."""
    namespace = {}
    exec(EXAMPLES["neurons/inhibited.py"], namespace)
    MODELS.update({"inhibited": namespace["model"], "doubled": Doubled()})
    yield
    del MODELS["inhibited"], MODELS["doubled"]


@st.composite
def populations(draw, model):
    """A network with neurons of one model, with synapses of their own or not, pooled or not."""
    drawing = Drawing(draw)
    assume(drawing.code.kind == "image" or drawing.code.values != "values")  # sums of these need not be exact
    drawing.convolution("synapses", 2 * draw(st.integers(1, 2)))
    if draw(st.booleans()):
        drawing.put(Scale("scale", drawing.real(0.5, 1.5)))
    drawing.neurons("neurons", drawing.shape, (model,))
    if not MODELS[model].spikes:  # a linear map of potentials would have no exact sums
        drawing.put(Flatten("flat"))
        return drawing.read(Readout("readout", drawing.real(0.5, 1.5)))
    if draw(st.booleans()):
        drawing.pool("pool", ["max", "sum"])
    return drawing.answer()


@st.composite
def integer_layers(draw, model):
    """Neurons with any integer parameters, also such as no quantiser would choose, on any integers."""
    steps, shape = draw(st.integers(1, 4)), tuple(draw(st.lists(st.integers(1, 5), min_size=1, max_size=3)))
    rng, whole = np.random.default_rng(draw(st.integers(0, 999))), int(np.prod(shape))

    def parameter(key, known):
        if key.endswith("shift"):
            low, high = 0, 30
        elif known.allowed:
            low, high = known.allowed
        else:
            high = (1 << draw(st.integers(1, min(known.bits, 24) - 1))) - 1
            low = 1 if key == "threshold" else -high
        grain = [(), shape[:1], shape][draw(st.integers(0, 2))]
        return StepTable.per_step(rng.integers(low, high + 1, (steps, *grain)))

    weight = rng.integers(-(1 << draw(st.integers(1, 20))), 1 << draw(st.integers(1, 20)), (whole, 3))
    known = MODELS[model].fixed_parameters.items()
    layers = [
        Linear("synapses", StepTable.constant(weight, steps)),
        *([Reshape("shaped", shape)] if len(shape) > 1 else []),
        Neuron(
            "neurons",
            model,
            {key: parameter(key, p) for key, p in known if p.default is None or draw(st.booleans())},
            "zero" if model == "loihi-lif" else draw(st.sampled_from(["subtract", "zero"])),
        ),
        *([Flatten("flat")] if len(shape) > 1 else []),
        Readout("readout", StepTable.constant(np.int32(1), steps)),
    ]
    code = input_code(draw(st.sampled_from(["direct", "latency"])), steps)
    return DeployGraph.chain((3,), code, layers, arithmetic="fixed")


def bits(array):
    return array.dtype, array.shape, array.tobytes()


def unit_of(executor):
    (found,) = (unit for unit in executor.units if "neurons" in unit.layers)
    return found


def compiled_as_defined(graph):
    """The unit of the neurons; compiled with its neighbours and alone, all is equal to NumPy, down to signs of zeros."""
    x, spiking = random_inputs(graph, 3), [neuron.name for neuron in graph.spiking]
    expected = Executor(graph, compiled=False).run(x, ALL)
    fused = Executor(graph, wanted=[*spiking, graph.readout.name])
    for executor in (fused, Executor(graph)):
        found = executor.run(x, ALL)
        assert list(found.spike_counts) == list(expected.spike_counts) == spiking
        for name in spiking:
            assert np.array_equal(found.spikes[name], expected.spikes[name]), name
            assert np.array_equal(found.spike_counts[name], expected.spike_counts[name]), name
        for name, potential in expected.potentials.items():
            assert bits(found.potentials[name]) == bits(potential), name
        assert bits(found.step_logits) == bits(expected.step_logits)
    return unit_of(fused)


@pytest.mark.parametrize("model", REAL)
@settings(max_examples=25)
@given(st.data())
def test_floats(model, data):
    graph = data.draw(populations(model))
    assert_order_free(graph)
    assert isinstance(compiled_as_defined(graph), Population)


@pytest.mark.parametrize("model", REAL)
@settings(max_examples=25)
@given(st.data())
def test_integers_as_they_are_quantized(model, data):
    """What the quantiser has proved to fit is compiled, always."""
    try:
        graph = quantize(data.draw(populations(model)))
    except GraphError:
        assume(False)
    assert isinstance(compiled_as_defined(graph), Population)


@pytest.mark.parametrize("model", [*REAL, "loihi-lif"])
@settings(max_examples=40)
@given(st.data())
def test_any_integers(model, data):
    """Registers saturate and wrap; what no compiled register holds is left to NumPy."""
    graph = data.draw(integer_layers(model))
    unit = compiled_as_defined(graph)
    assert isinstance(unit, (Population, Stepwise))


@pytest.mark.parametrize("fixed", [False, True])
def test_what_has_no_compiled_form_is_computed_by_its_definition(fixed):
    kind = np.int32 if fixed else np.float32
    weight = StepTable.constant(np.array([[2, -1], [1, 1]], kind), 3)
    leak = StepTable.constant(np.asarray(2048 if fixed else 0.5, kind), 3)
    layers = [Linear("synapses", weight), Neuron("neurons", "doubled", {"leak": leak})]
    readout = Readout("readout", StepTable.constant(np.asarray(1, kind), 3))
    arithmetic = "fixed" if fixed else "float32"
    graph = DeployGraph.chain((2,), input_code("latency", 3), [*layers, readout], arithmetic=arithmetic)
    assert isinstance(compiled_as_defined(graph), Stepwise)


def test_what_may_leave_a_register_is_computed_by_the_definition():
    """Hand-made integer graphs, without the quantiser's proof: nothing wraps, the membrane saturates.

    32-bit registers are too narrow for all three; float64 is exact for the first.
    """
    steps = 3
    for weight, gain, kind in ((127, 2**28, Population), (127, 2**40, Stepwise), (2**31 - 1, 1, Stepwise)):
        tables = {"leak": 4096, "gain": gain, "gain_shift": 0, "threshold": 2**29, "bias": 0}
        layers = [
            Linear("fc", constant([[weight]], steps, np.int64)),
            Neuron("lif", "lif", {key: constant(value, steps, np.int64) for key, value in tables.items()}),
            Readout("answer", constant(1, steps, np.int64)),
        ]
        graph = DeployGraph.chain((1,), input_code("direct", steps), layers, arithmetic="fixed")
        fused = assert_compiled_equals_numpy(graph, np.full((1, 1), 255, np.uint8))
        (unit,) = (unit for unit in fused.units if "lif" in unit.layers)
        assert isinstance(unit, kind)
        assert fused.run(np.full((1, 1), 255, np.uint8), ALL).potentials["lif"].max() == largest(STATE_BITS)


def alone(neuron, kind=np.float32):
    """A network of one population behind one synapse."""
    layers = [Linear("synapses", constant([[1]], 2, kind)), neuron, Readout("readout", constant(1, 2, kind))]
    arithmetic = "float32" if kind is np.float32 else "fixed"
    return DeployGraph.chain((1,), input_code("latency", 2), layers, arithmetic=arithmetic)


@pytest.mark.parametrize("name", [name for name in MODELS if name not in FOREIGN])
def test_lif_has_its_own_kernel_and_all_others_are_programs(name):
    kind = np.int32 if name == "loihi-lif" else np.float32
    tables = {key: constant(1, 2, kind) for key in ("du", "dv", "vth")} if kind is np.int32 else {}
    neuron = static_neuron("neurons", 2, name, "zero", **tables)
    assert isinstance(prepared(alone(neuron, kind), neuron), LIF if name == "lif" else Machine)


@pytest.mark.parametrize("firing", FIRINGS, ids=spelled)
@pytest.mark.parametrize("name", ["lif", "if"])
def test_neurons_that_reset_later_or_fire_otherwise_run_in_numpy(name, firing):
    """In floats and in integers; so do other tools' models, and a bound, a reset potential or a beginning."""
    ours = firing.plain and firing in ("subtract", "zero")
    for extra in ({}, {"minimum": -1.0}, {"reset_potential": 0.25}, {"initial": 0.5}):
        graph = alone(firing_neuron("neurons", 2, firing, name, **extra))
        for version in (graph, quantize(graph)):
            neuron = version.by_name["neurons"]
            if ours and (not extra or ("reset_potential" in extra and firing == "subtract")):  # it does nothing then
                assert isinstance(prepared(version, neuron), LIF if name == "lif" and not extra else Machine)
            else:
                with pytest.raises(NotCompilable, match="neurons"):
                    prepared(version, neuron)


@pytest.mark.parametrize("name", FOREIGN)
def test_models_of_other_tools_run_in_numpy(name):
    neuron = static_neuron("neurons", 2, name)
    with pytest.raises(NotCompilable, match="neurons"):
        prepared(alone(neuron), neuron)


@pytest.mark.parametrize(("weight", "fits"), [(2**31 - 1, True), (2**31, False)])
def test_currents_are_passed_on_in_32_bits(weight, fits):
    layers = [
        Linear("synapses", constant([[weight]], 1, np.int64)),
        Neuron("neurons", "li", {key: constant(0, 1, np.int64) for key in ("leak", "gain", "gain_shift")}),
        Readout("readout", constant(1, 1, np.int64)),
    ]
    graph = DeployGraph.chain((1,), InputCode("ones", np.ones((1, 256)), [False]), layers, arithmetic="fixed")
    assert narrow(graph, graph.by_name["neurons"]) is fits
    if not fits:
        with pytest.raises(NotCompilable, match="neurons"):
            prepared(graph, graph.by_name["neurons"])
