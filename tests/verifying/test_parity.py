import numpy as np
import pytest

from asnn_deploy.errors import GraphError
from asnn_deploy.ir.trace import Trace
from asnn_deploy.verifying.parity import Comparison, Divergence


def trace(name, spikes, logits=None):
    n = next(iter(spikes.values())).shape[1]
    return Trace(name, np.zeros((n, 2), np.float32) if logits is None else logits, spikes)


def quiet():
    return {"a": np.zeros((3, 4, 2, 2), np.uint8), "b": np.zeros((3, 4, 5), np.uint8)}


def test_equal_runs():
    comparison = Comparison("reference")
    comparison.add(trace("x", quiet()), trace("y", quiet()), np.zeros(4, int))
    report = comparison.report()
    assert report.exact
    assert report.logits_equal
    assert report.spikes_compared == 3 * 4 * (4 + 5)
    assert report.first_divergence is None
    assert report.accuracy == 1.0


def test_counts_by_layer_and_step_and_first_divergence():
    expected, got = quiet(), quiet()
    got["b"][1, 2, 4] = 1  # sample 2, step 1, second layer
    got["a"][2, 2, 0, 1] = 1  # same sample, later
    got["a"][0, 3, 0, 0] = 1  # earlier step, later sample
    logits = np.zeros((4, 2), np.float32)
    logits[2] = [0, 0.5]
    comparison = Comparison("reference")
    comparison.add(trace("x", quiet()), trace("y", quiet()))
    comparison.add(trace("x", expected), trace("y", got, logits))
    report = comparison.report()
    assert not report.exact
    assert report.spike_mismatches == 3
    assert [layer.per_step_mismatches for layer in report.layers] == [[1, 0, 1], [0, 1, 0]]
    assert [layer.per_step_spikes for layer in report.layers] == [[1, 0, 1], [0, 1, 0]]
    assert report.argmax_mismatches == 1
    assert report.max_abs_logit_diff == 0.5
    assert not report.logits_equal
    assert report.first_divergence == Divergence("b", 1, 4 + 2, [4], 0.0, 1.0)


def test_a_bitwise_promise_includes_the_logits():
    other = trace("y", quiet(), np.full((4, 2), 1e-9, np.float32))
    for bitwise in (False, True):
        comparison = Comparison("x", bitwise)
        comparison.add(trace("x", quiet()), other)
        assert comparison.report().exact is not bitwise
    with pytest.raises(GraphError, match="answered with NaN or infinity"):
        Comparison("x").add(trace("x", quiet()), trace("y", quiet(), np.full((4, 2), np.nan, np.float32)))


def test_runs_of_different_networks_are_refused():
    with pytest.raises(GraphError, match="recorded layers"):
        Comparison("x").add(trace("x", quiet()), trace("y", {"a": quiet()["a"]}))
    with pytest.raises(GraphError, match="layer 'b'.*has spikes"):
        Comparison("x").add(trace("x", quiet()), trace("y", quiet() | {"b": np.zeros((3, 4, 6), np.uint8)}))
