"""Early exit: the rule against a naive loop, the genuine stop against the rule on whole runs, equal on all targets."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks.features import currents_that_leak, delayed_edges, recurrent
from networks.lenet import small_lenet
from networks.making import random_inputs

from asnn_deploy.deploy.deployment import Deployment
from asnn_deploy.deploy.registry import TARGETS as ALL_TARGETS
from asnn_deploy.engine.early_exit import (
    Outcomes,
    answers,
    at_exit,
    candidate_margins,
    choose,
    curve,
    exit_steps,
    first_reaching,
    softmax_margin,
    step_margins,
)
from asnn_deploy.engine.executor import Executor
from asnn_deploy.errors import InputError
from asnn_deploy.ir.trace import Record, Trace
from asnn_deploy.quantizing import quantize

STEPS = Record(step_logits=True)
TARGETS = ("reference", "reference-fixed", "lava", "lava-fixed", "onnxruntime", "nir")
needs_lava = pytest.mark.skipif(ALL_TARGETS.find("lava").unavailable() is not None, reason="needs Lava")


def naive(step_logits, margin):
    """Steps and answers, sample by sample, in Python's own numbers; steps are None where rounding could decide."""
    steps, classes = [], []
    for sample in range(step_logits.shape[1]):
        total = [0.0] * step_logits.shape[2]
        for t in range(len(step_logits)):
            total = [a + float(b) for a, b in zip(total, step_logits[t, sample])]
            parts = [math.exp(x - max(total)) for x in total]
            first, second = sorted((p / math.fsum(parts) for p in parts), reverse=True)[:2]
            close = abs(first - second - margin) < 1e-12 and first != second
            if close or first - second >= margin:
                break
        steps.append(None if close else t + 1)
        classes.append(total.index(max(total)))
    return steps, classes


@st.composite
def logits(draw):
    shape = tuple(draw(st.integers(low, high)) for low, high in ((1, 5), (1, 4), (2, 5)))
    values = draw(st.lists(st.integers(-64, 64), min_size=math.prod(shape), max_size=math.prod(shape)))
    return np.array(values, draw(st.sampled_from([np.float32, np.float64]))).reshape(shape) / 16


@given(logits(), st.floats(0, 1.1))
def test_exits_are_those_of_a_naive_loop(step_logits, margin):
    steps, classes = naive(step_logits, margin)
    found = exit_steps(step_logits, margin)
    assert found.dtype == np.int64
    for got, expected, answer, clear in zip(found, steps, classes, answers(step_logits, found)):
        assert expected is None or (got, clear) == (expected, answer)


@given(logits(), st.floats(0, 1), st.floats(0, 1))
def test_a_larger_margin_never_exits_earlier(step_logits, one, other):
    assert (exit_steps(step_logits, min(one, other)) <= exit_steps(step_logits, max(one, other))).all()


@given(logits())
def test_the_ends_of_the_margins(step_logits):
    assert (exit_steps(step_logits, 0) == 1).all()
    assert (exit_steps(step_logits, 1.5) == len(step_logits)).all()
    assert (exit_steps(step_logits, math.inf) == len(step_logits)).all()


@given(logits())
def test_a_margin_depends_on_its_own_row_alone(step_logits):
    rows = step_logits[0]
    whole = softmax_margin(rows)
    spread = np.zeros((len(rows), 3 * rows.shape[1]))
    spread[:, ::3] = rows
    for other in (spread[:, ::3], np.asfortranarray(rows), np.concatenate([rows[::-1]] * 5)[::-1][: len(rows)]):
        assert softmax_margin(other).tobytes() == whole.tobytes()
    assert [softmax_margin(row[None])[0] for row in rows] == whole.tolist()


def test_ties_have_no_margin_and_answer_the_first_of_equals():
    tied = np.array([[[1.0, 3.0, 3.0]], [[0.0, 0.0, 1.0]]])
    assert step_margins(tied)[0] == 0
    assert (exit_steps(tied, 0).tolist(), exit_steps(tied, 1e-9).tolist()) == ([1], [2])
    assert (answers(tied, np.array([1])).tolist(), answers(tied, np.array([2])).tolist()) == ([1], [2])


def test_a_certain_answer_reaches_a_margin_of_1_and_one_class_has_it_at_once():
    assert exit_steps(np.array([[[800.0, 0.0]], [[0.0, 0.0]]]), 1).tolist() == [1]
    assert exit_steps(np.zeros((3, 2, 1)), 1).tolist() == [1, 1]


@pytest.mark.parametrize("margin", [-0.1, math.nan, -math.inf])
def test_margins_that_are_none_are_refused(margin):
    with pytest.raises(InputError, match=r"exit margin: found .*; allowed: a number from 0"):
        first_reaching(np.zeros((2, 1)), margin)


GRAPHS = {
    "lenet": small_lenet,
    "one step": lambda: small_lenet(1, "latency"),
    "two classes": lambda: small_lenet(classes=2),
    "per neuron": lambda: small_lenet(granularity="neuron"),
    "delays": delayed_edges,
    "recurrence": recurrent,
    "synaptic current": currents_that_leak,
}
FLOAT_ONLY = ("recurrence", "synaptic current")


@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "NumPy"])
@pytest.mark.parametrize("name", GRAPHS)
def test_samples_that_stop_answer_as_if_they_had_gone_on(name, compiled):
    graph = GRAPHS[name]()
    images = random_inputs(graph, 9)
    for form in (graph, *([] if name in FLOAT_ONLY else [quantize(graph)])):
        executor = Executor(form, wanted=[graph.readout.name], potentials=False, compiled=compiled)
        whole = executor.run(images, STEPS)
        seen = step_margins(whole.step_logits)
        for margin in (0.0, 1.0, *np.quantile(seen, [0.3, 0.6, 0.9], method="nearest")):  # as tight as can be
            expected, steps = at_exit(whole, margin)
            found, ran = executor.run_until(images, margin)
            assert found.target == whole.target
            assert found.logits.tobytes() == expected.logits.tobytes()
            assert ran.tolist() == steps.tolist()
        assert executor.run(images).logits.tobytes() == whole.logits.tobytes()  # nothing is left of the shorter batch


def test_a_whole_run_has_the_logits_of_a_plain_one():
    for graph in (small_lenet(), quantize(small_lenet())):
        whole = Executor(graph).run(random_inputs(graph, 6), STEPS)
        trace, steps = at_exit(whole, 2.0)
        assert trace.logits.tobytes() == whole.logits.tobytes()
        assert set(steps) == {graph.time_steps}


def test_spikes_after_the_exit_are_none():
    graph = small_lenet()
    whole = Executor(graph).run(random_inputs(graph, 6), Record(spikes=True, step_logits=True))
    cut, steps = at_exit(whole, float(np.median(step_margins(whole.step_logits))))
    assert len(set(steps)) > 1
    for name, fired in cut.spikes.items():
        assert fired.dtype == np.uint8
        for sample, ran in enumerate(steps):
            assert np.array_equal(fired[:ran, sample], whole.spikes[name][:ran, sample])
            assert not fired[ran:, sample].any()


def test_a_trace_without_step_logits_is_refused():
    with pytest.raises(InputError, match="target 'mine' recorded no logits of each step"):
        at_exit(Trace("mine", np.zeros((1, 2))), 0.5)


@needs_lava
def test_all_targets_of_one_arithmetic_exit_alike():
    graph = small_lenet(classes=3)
    images = random_inputs(graph, 7)
    found = {}
    with Deployment(graph) as deployment:
        for name in TARGETS:
            with ALL_TARGETS.find(name).open(deployment, 7) as session:
                found[name] = session.run(images, STEPS)
            whole = found["reference-fixed" if "fixed" in name else "reference"]
            margin = float(np.median(step_margins(whole.step_logits)))
            expected, steps = at_exit(whole, margin)
            got, ran = at_exit(found[name], margin)
            assert got.logits.tobytes() == expected.logits.tobytes(), name
            assert ran.tolist() == steps.tolist(), name
            assert len(set(steps)) > 1


def two_splits(seed=0):
    rng = np.random.default_rng(seed)
    for count in (60, 40):
        labels = rng.integers(0, 4, count)
        yield rng.normal(size=(5, count, 4)) + 0.8 * np.eye(4)[labels], labels


def test_candidates_are_typeable_increasing_and_span_the_margins():
    (train, _), _ = two_splits()
    found = candidate_margins(train)
    assert found == tuple(sorted(set(found)))
    assert (found[0], found[-1]) == (0.0, 1.0)
    assert 8 <= len(found) <= 12
    assert all(len(str(margin)) < 8 for margin in found)
    assert candidate_margins(train[:1]) == (0.0, 1.0)
    sure = np.tile(np.array([9.5, 0.0, 0.0]), (3, 2, 1))
    assert any(0.999 < margin < 1 for margin in candidate_margins(sure))


def test_outcomes_in_batches_are_those_of_the_split():
    (train, labels), _ = two_splits()
    margins = candidate_margins(train)
    outcomes = Outcomes(margins, 5)
    parts = [outcomes.add(train[:, cut], labels[cut]) for cut in (slice(0, 7), slice(7, 60))]
    for margin in margins:
        steps = exit_steps(train, margin)
        assert np.concatenate([part[margin] for part in parts]).tolist() == steps.tolist()
        assert outcomes.accuracy(margin) == (answers(train, steps) == labels).mean()
        assert outcomes.mean_steps(margin) == pytest.approx(steps.mean())
        assert outcomes.exits(margin) == [(steps == t).mean() for t in range(1, 6)]
    assert outcomes.accuracy() == (train.sum(axis=0).argmax(axis=1) == labels).mean()


def test_the_cheapest_margin_within_the_tolerance_is_chosen():
    (train, labels), _ = two_splits()
    outcomes = Outcomes(candidate_margins(train), 5)
    outcomes.add(train, labels)
    for tolerance in (0.0, 0.005, 0.1, 1.0):
        good = [m for m in outcomes.margins if outcomes.accuracy(m) >= outcomes.accuracy() - tolerance]
        chosen = choose(outcomes, tolerance)
        assert chosen == min(good)
        assert outcomes.mean_steps(chosen) == min(outcomes.mean_steps(m) for m in good)
    assert choose(outcomes, 1.0) == 0
    assert choose(outcomes, -1.0) is None


def test_the_curve_has_what_the_report_promises():
    (train, calibration_labels), (held_out, labels) = two_splits()
    margins = candidate_margins(train)
    calibration, test = Outcomes(margins, 5), Outcomes(margins, 5)
    calibration.add(train, calibration_labels)
    test.add(held_out, labels)
    costs = {m: {"sops": 10 * test.mean_steps(m), "energy_joules": {"p": test.mean_steps(m) * 1e-9}} for m in margins}
    found = curve(calibration, test, costs)
    assert found["calibration"] == {"split": "train", "samples": 60, "accuracy": calibration.accuracy()}
    assert found["chosen"] == {"margin": choose(calibration), "tolerance": 0.005}
    assert [point["margin"] for point in found["curve"]] == list(margins)
    for point in found["curve"]:
        assert point.keys() == {
            *("margin", "calibration_accuracy", "accuracy", "mean_steps", "sops", "energy_joules", "exits")
        }
        assert math.fsum(point["exits"]) == pytest.approx(1)
    first, *_, last = found["curve"]
    assert (first["mean_steps"], first["exits"]) == (1.0, [1.0, 0.0, 0.0, 0.0, 0.0])
    assert last["mean_steps"] == 5


def test_integer_answers_of_any_unit_are_summed_exactly():
    graph = quantize(small_lenet())
    trace = Executor(graph).run(random_inputs(graph, 4), STEPS)
    unit = Fraction(graph.readout.unit)
    for sample, row in enumerate(trace.logits):
        for c, logit in enumerate(row):
            exact = sum(Fraction(float(x)) for x in trace.step_logits[:, sample, c])
            assert Fraction(float(logit)) == exact
            assert (exact / unit).denominator == 1
