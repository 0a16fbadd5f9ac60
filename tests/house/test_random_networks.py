"""Random networks of everything that a graph may hold: the executors against plain numbers, every target against them."""

from dataclasses import replace

import naive
import numpy as np
import pytest
from asnn_exporters.nir import read
from asnn_targets.lava.messages import ANSWER
from asnn_targets.lava.partition import partition
from asnn_targets.lava.stages import Stage, plan
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from networks.drawn import graphs
from networks.making import random_inputs

from asnn_deploy.deploy.deployment import Deployment
from asnn_deploy.deploy.registry import TARGETS
from asnn_deploy.engine.executor import Executor
from asnn_deploy.engine.runner import run
from asnn_deploy.errors import GraphError, UnsupportedError
from asnn_deploy.ir.graph import INPUT
from asnn_deploy.ir.quantization import Quantization
from asnn_deploy.ir.trace import Record
from asnn_deploy.quantizing import quantize

ALL = Record(spikes=True, potentials=True, step_logits=True)
QUIET = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
MANY = settings(QUIET, max_examples=2500, phases=[Phase.explicit, Phase.generate, Phase.shrink])
CHOICES = st.builds(Quantization, st.integers(2, 8), st.sampled_from(["channel", "layer"]))


def integers(graph, choices):
    """The integer version; None if the network's numbers leave their registers, which is said by layer."""
    try:
        return quantize(replace(graph, quantization=choices))
    except GraphError as error:
        if "layer '" in str(error) and "bits" in str(error):
            return None
        raise


def assert_equal_to_naive(graph):
    x = random_inputs(graph, 1)
    trace = run(graph, x, ALL)
    spikes, potentials, logits = naive.run(graph, x[0])
    assert list(trace.spikes) == list(spikes)
    for name in spikes:
        assert np.array_equal(trace.spikes[name][:, 0], spikes[name]), name
    for name in potentials:
        assert np.array_equal(trace.potentials[name][:, 0].astype(object), potentials[name]), name
    assert trace.logits[0].tolist() == [float(v) for v in logits]


def assert_same(got, expected):
    assert list(got.spikes) == list(expected.spikes)
    for name, spikes in expected.spikes.items():
        assert np.array_equal(got.spikes[name], spikes), name
    assert np.array_equal(got.logits, expected.logits)


def assert_a_target_is_exact(graph, name):
    """The target of that name on a float or an integer graph, which the reference executor runs as well."""
    x, record = random_inputs(graph, 3), Record(spikes=True)
    expected = run(graph, x, record)
    with Deployment(graph, fixed=graph) as deployment:
        try:
            session = TARGETS.find(name).open(deployment, len(x))
        except UnsupportedError as error:  # what the format cannot say is said by layer
            if name == "nir" and "layer '" in str(error):
                return
            raise
        with session:
            assert_same(session.run(x, record), expected)
        if name == "nir":
            assert read(deployment.file("nir")) == graph


def float_check(graph):
    assert_equal_to_naive(graph)


def fixed_check(graph, choices):
    fixed = integers(graph, choices)
    if fixed is not None:
        assert_equal_to_naive(fixed)


def compiled_check(graph, choices):
    """The engine's compiled units against the definitions in NumPy, float and fixed."""
    for version in (graph, integers(graph, choices)):
        if version is not None:
            x = random_inputs(version, 3)
            slow = Executor(version, compiled=False).run(x, Record(spikes=True))
            assert_same(run(version, x, Record(spikes=True)), slow)


def stages_check(graph, choices):
    """Lava's stages, one for each cut that there is, without Lava's runtime."""
    for version in (graph, integers(graph, choices)):
        if version is not None:
            x, steps = random_inputs(version, 3), version.time_steps
            parts = partition(version, dict.fromkeys(version.by_name, 1.0), len(version.layers))
            whole = plan(version, Record(spikes=True), len(x), parts)
            line = [Stage(stage, first=i == 0) for i, stage in enumerate(whole.stages)]
            message = whole.images.pack(whole.images.empty(len(x)), len(x), {INPUT: x})
            expected = run(version, x, Record(spikes=True))
            for t in range(steps):
                passed = line[0].step(message if t == 0 else None)
                for stage in line[1:]:
                    passed = stage.step(passed)
                values = whole.answers.unpack(passed)
                for name, spikes in expected.spikes.items():
                    assert np.array_equal(values[name], spikes[t]), (name, t)
            assert np.array_equal(values[ANSWER].reshape(len(x), -1) * version.readout.unit, expected.logits)


@QUIET
@given(graphs())
def test_floats_equal_plain_numbers(graph):
    float_check(graph)


@QUIET
@given(graphs(), CHOICES)
def test_integers_equal_plain_integers(graph, choices):
    fixed_check(graph, choices)


@settings(QUIET, max_examples=40)
@given(graphs(), CHOICES)
def test_compiled_units_equal_numpy(graph, choices):
    compiled_check(graph, choices)


@settings(QUIET, max_examples=40)
@given(graphs(), CHOICES)
def test_stages_equal_the_reference(graph, choices):
    stages_check(graph, choices)


@settings(QUIET, max_examples=40)
@given(graphs(), st.sampled_from(["nir", "onnxruntime"]))
def test_files_equal_the_reference(graph, name):
    assert_a_target_is_exact(graph, name)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_ten_thousand_networks():
    """Each of the checks on 2,500 networks."""
    MANY(given(graphs())(float_check))()
    MANY(given(graphs(), CHOICES)(fixed_check))()
    MANY(given(graphs(), CHOICES)(compiled_check))()
    MANY(given(graphs(), CHOICES)(stages_check))()
    MANY(given(graphs(), st.sampled_from(["nir", "onnxruntime"]))(assert_a_target_is_exact))()
