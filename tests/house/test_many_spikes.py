"""Neurons that send several spikes in a step: counts, beyond a byte too, in every backend, in energies and on chips."""

import naive
import numpy as np
import pytest
from energy.brute_force import count
from hypothesis import given, settings
from hypothesis import strategies as st
from networks.making import constant, firing_neuron, grid_weights, linked, random_inputs, static_neuron

from asnn_deploy.deploy.deployment import Deployment
from asnn_deploy.deploy.registry import TARGETS
from asnn_deploy.energy import Counter
from asnn_deploy.engine.executor import Executor
from asnn_deploy.engine.runner import run
from asnn_deploy.errors import UnsupportedError
from asnn_deploy.fitting import fit, load_chip
from asnn_deploy.input.coding import input_code
from asnn_deploy.ir.inputs import SequenceInput
from asnn_deploy.ir.layers import Conv, Flatten, Linear, Pool, Readout
from asnn_deploy.ir.neurons.firing import Firing
from asnn_deploy.ir.trace import Record
from asnn_deploy.loihi import to_loihi
from asnn_deploy.quantizing import quantize

STEPS = 3
MANY = Firing("subtract", at=True, many=True)
BOTH = st.sampled_from([MANY, Firing("zero", at=True, many=True)])


def network(gain=1.0, firing=MANY, code=None, pool="sum", seed=0):
    """A convolution, neurons that send counts, a pooling of them, a convolution of what it gives, and a readout."""
    rng = np.random.default_rng(seed)
    positive = np.abs(grid_weights(rng, (2, 1, 1, 1))) + 0.5
    layers = (
        Conv("conv1", constant(positive, STEPS), None),
        firing_neuron("many", STEPS, firing, gain=gain, minimum=-2.0),
        Pool("pool", pool, (2, 2)),
        Conv("conv2", constant(grid_weights(rng, (2, 2, 1, 1)), STEPS), constant(grid_weights(rng, (2,)), STEPS)),
        static_neuron("lif", STEPS),
        Flatten("flat"),
        Linear("fc", constant(grid_weights(rng, (3, 8)), STEPS)),
        Readout("readout", constant(1.0, STEPS)),
    )
    return linked((1, 4, 4), code or SequenceInput(STEPS, "counts", 9), layers, {})


def assert_equal(trace, expected):
    assert list(trace.spikes) == list(expected.spikes)
    for name, spikes in expected.spikes.items():
        assert np.array_equal(trace.spikes[name], spikes), name
    assert np.array_equal(trace.logits, expected.logits)


@pytest.mark.parametrize("pool", ["sum", "max", "average"])
@pytest.mark.parametrize("gain", [1.0, 100.0], ids=["in a byte", "beyond a byte"])
def test_counts_are_those_of_plain_numbers_in_every_executor(gain, pool):
    graph = network(gain, pool=pool)
    fixed = quantize(graph) if pool != "average" else None
    for version in filter(None, (graph, fixed)):
        x = random_inputs(version, 2)
        trace = run(version, x, Record(spikes=True))
        assert (trace.spikes["many"].max() > 255) == (gain == 100)
        assert_equal(Executor(version, compiled=False).run(x, Record(spikes=True)), trace)
        for b in range(len(x)):
            spikes, _, logits = naive.run(version, x[b])
            assert all(np.array_equal(trace.spikes[name][:, b], spikes[name]) for name in spikes)
            assert trace.logits[b].tolist() == [float(v) for v in logits]


@pytest.mark.parametrize("gain", [1.0, 100.0], ids=["in a byte", "beyond a byte"])
@pytest.mark.parametrize("name", ["nir", "onnxruntime"])
def test_files_send_the_same_counts(name, gain):
    graph, record = network(gain), Record(spikes=True)
    x = random_inputs(graph, 2)
    with Deployment(graph) as deployment, TARGETS.find(name).open(deployment, len(x)) as session:
        assert_equal(session.run(x, record), run(graph, x, record))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 99), BOTH, st.sampled_from([1.0, 100.0]))
def test_a_count_of_k_costs_k_accumulates(seed, firing, gain):
    """Against every single connection; whether counted where it runs, or from the spikes."""
    graph = network(gain, firing, input_code("latency", STEPS), seed=seed)
    x = random_inputs(graph, 2)
    trace = run(graph, x, Record(spikes=True, step_logits=True))
    counter = Counter(graph)
    counter.add(x, trace)
    where_it_runs = Counter(graph)
    where_it_runs.add(x, run(graph, x, Record(step_logits=True, arriving=True, spike_counts=True)))
    expected = count(graph, x, trace.spikes)
    for result in (counter.result(), where_it_runs.result()):
        for layer in result.layers:
            for key, values in expected[layer.name].items():
                found = [getattr(step, key) for step in layer.per_step]
                assert np.allclose(found, values.mean(axis=0), rtol=1e-12), (layer.name, key)


def test_chips_without_values_in_spikes_say_so():
    graph = network(100.0)
    most = int(run(graph, random_inputs(graph, 2), Record(spikes=True)).spikes["many"].max())
    features = fit(graph, load_chip("loihi1")).features
    (use,) = [u for u in features if u.broken and (u.layer, u.constraint) == ("lif", "bits per spike")]
    assert use.limit == 1
    assert 2**use.value > most, "it has the bits of the largest count"
    assert not [
        use for use in fit(graph, load_chip("loihi2")).features if use.constraint == "bits per spike" and use.broken
    ]


def test_lavas_own_neurons_refuse_them_by_name():
    for firing, says in (
        (Firing("zero", at=True, many=True), "fires several times in a step"),
        (Firing("zero", at=True), "fires at its threshold"),
        (Firing("delayed-zero"), "resets by 'delayed-zero'"),
        (Firing("zero"), "has a 'minimum'"),
    ):
        with pytest.raises(UnsupportedError, match=f"layer 'many' .*: {says}"):
            to_loihi(network(firing=firing, code=input_code("latency", STEPS)))
