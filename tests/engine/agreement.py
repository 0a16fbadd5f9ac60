"""Compiled units against the NumPy definitions: fused as far as possible, not fused at all, and in NumPy."""

from __future__ import annotations

import numpy as np
from exactness import assert_order_free

from asnn_deploy.engine.executor import Executor
from asnn_deploy.ir.trace import Record

ALL = Record(spikes=True, potentials=True, step_logits=True)


def assert_compiled_equals_numpy(graph, images):
    """Run all three and compare everything that a trace holds; return the fused executor."""
    assert_order_free(graph)
    neurons = [neuron.name for neuron in graph.spiking]
    expected = Executor(graph, compiled=False).run(images, ALL)
    fused = Executor(graph, wanted=[*neurons, graph.readout.name])
    for executor in (fused, Executor(graph)):
        found = executor.run(images, ALL)
        for name in neurons:
            assert np.array_equal(found.spikes[name], expected.spikes[name]), name
            assert np.array_equal(found.potentials[name], expected.potentials[name]), name
            assert found.potentials[name].dtype == expected.potentials[name].dtype
        assert np.array_equal(found.step_logits, expected.step_logits)
        assert np.array_equal(found.logits, expected.logits)
    return fused
