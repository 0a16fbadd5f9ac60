import subprocess
import sys
import tracemalloc
from functools import partial

import numpy as np
import pytest
from energy.brute_force import KEYS, count
from hypothesis import given, settings
from networks.attention import transformer_block
from networks.drawn import exact_graphs
from networks.lenet import small_lenet
from networks.making import constant, grid_weights, linked, random_inputs, random_neuron

from asnn_deploy.energy import Counter
from asnn_deploy.engine.executor import Executor
from asnn_deploy.engine.runner import Runner, run
from asnn_deploy.errors import InputError
from asnn_deploy.input.coding import input_code
from asnn_deploy.ir.graph import INPUT, DeployGraph
from asnn_deploy.ir.layers import Add, Conv, Flatten, Linear, Neuron, Pool, Product, Readout, Scale
from asnn_deploy.ir.step_table import StepTable
from asnn_deploy.ir.trace import Record, Trace
from asnn_deploy.quantizing import quantize

EVERYTHING = Record(spikes=True, step_logits=True)


def counted(graph, images, labels=None, batch=None):
    counter = Counter(graph)
    for start in range(0, len(images), batch or len(images)):
        part = slice(start, start + (batch or len(images)))
        counter.add(images[part], run(graph, images[part], EVERYTHING), None if labels is None else labels[part])
    return counter.result()


def assert_equals_brute_force(graph, images, spikes, result):
    expected = count(graph, images, spikes)
    for layer in result.layers:
        for key in KEYS:
            found = [getattr(step, key) for step in layer.per_step]
            np.testing.assert_allclose(found, expected[layer.name][key].mean(axis=0), rtol=1e-12, err_msg=key)
    sops = sum(row["macs"].sum(axis=1) + row["acs"].sum(axis=1) for row in expected.values())
    spread = result.sops
    assert (spread.mean, spread.min, spread.max) == pytest.approx((sops.mean(), sops.min(), sops.max()), rel=1e-12)
    assert spread.std == pytest.approx(sops.std(), rel=1e-9, abs=1e-9)


def random_spikes(graph, samples, seed, rate=0.3):
    rng = np.random.default_rng(seed)
    return {
        n.name: (rng.random((graph.time_steps, samples, *graph.shapes[n.name])) < rate).astype(np.uint8)
        for n in graph.neurons
    }


@settings(max_examples=25)
@given(exact_graphs())
def test_random_networks_are_counted_like_every_single_connection(graph):
    images = random_inputs(graph, 2)
    trace = run(graph, images, EVERYTHING)
    assert_equals_brute_force(graph, images, trace.spikes, counted(graph, images))


@pytest.mark.parametrize("arithmetic", ["float32", "fixed"])
def test_the_small_lenet_is_counted_like_every_single_connection(arithmetic):
    graph = small_lenet(time_steps=3)
    graph = quantize(graph) if arithmetic == "fixed" else graph
    images = random_inputs(graph, 2)
    spikes = run(graph, images, EVERYTHING).spikes
    assert_equals_brute_force(graph, images, spikes, counted(graph, images))


def attention(steps=3):
    """Two populations of spikes multiplied twice, scaled, and summed: product, scale, linear on values."""
    rng = np.random.default_rng(3)
    table = partial(constant, steps=steps)

    def weights(*shape):
        return table(grid_weights(rng, shape))

    layers = []
    for name in "qkv":
        layers += [Conv(f"{name}_conv", weights(2, 1, 1, 3)), random_neuron(rng, name, steps)]
    layers += [
        Product("scores", "hnd,hmd->hnm"),
        Product("mixed", "hnm,hmd->hnd"),
        Scale("scaled", table(0.25)),
        Flatten("flat"),
        Linear("fc", weights(3, 2 * 3 * 2)),
        Readout("readout", table(1 / steps)),
    ]
    links = {f"{name}_conv": [INPUT] for name in "qkv"} | {"scores": ["q", "k"], "mixed": ["scores", "v"]}
    return linked((1, 3, 4), input_code("hybrid-latency", steps), layers, links)


def test_products_count_spike_counts_and_scaled_signals_are_values():
    graph = attention()
    images = random_inputs(graph, 3)
    trace = Trace("made up", np.zeros((3, 3)), random_spikes(graph, 3, seed=1, rate=0.6))
    counter = Counter(graph)
    counter.add(images, trace)
    result = counter.result()
    assert_equals_brute_force(graph, images, trace.spikes, result)
    rows = {layer.name: layer for layer in result.layers}
    assert rows["scores"].total("acs") > 0
    assert rows["scores"].total("macs") == 0
    assert rows["mixed"].total("acs") > rows["mixed"].total("acs_graded") + rows["mixed"].total("macs_graded")
    assert rows["fc"].total("macs") > 0
    assert rows["fc"].total("acs") == 0


@pytest.mark.parametrize("arithmetic", ["float32", "fixed"])
def test_a_transformer_block_is_counted_like_every_single_connection(arithmetic):
    """Residual counts, heads, products in both counting paths: from the recorded spikes, and while it runs."""
    graph = transformer_block()
    graph = quantize(graph) if arithmetic == "fixed" else graph
    images = random_inputs(graph, 2)
    spikes = run(graph, images, EVERYTHING).spikes
    assert_equals_brute_force(graph, images, spikes, counted(graph, images))
    observing = Counter(graph)
    with Runner(graph) as runner:
        observing.observe(runner, images)
    assert_equals_brute_force(graph, images, spikes, observing.result())


def sums(coding, steps):
    """Spikes of two populations, one of them also a step late, added up and read by a layer with weights per step."""
    rng = np.random.default_rng(5)

    def per_step(*shape):
        return StepTable.per_step(np.where(rng.random((steps, *shape)) < 0.4, 0, grid_weights(rng, (steps, *shape))))

    layers = [
        Flatten("flat"),
        Linear("fc1", per_step(12, 6)),
        random_neuron(rng, "n1", steps),
        Linear("fc2", per_step(12, 12)),
        random_neuron(rng, "n2", steps),
        Add("sum"),
        Linear("fc3", per_step(4, 12)),
        Readout("readout", constant(1, steps)),
    ]
    return linked((1, 2, 3), input_code(coding, steps), layers, {"sum": ["n1", "n2", ("n2", 1)]})


@pytest.mark.parametrize(("coding", "steps"), [("latency", 3), ("embedding", 4), ("embedding-reference", 5)])
def test_sums_of_spikes_cost_an_accumulate_each_or_one_multiply_accumulate_graded(coding, steps):
    graph = sums(coding, steps)
    images = random_inputs(graph, 3)
    trace = Trace("made up", np.zeros((3, 4)), random_spikes(graph, 3, seed=2, rate=0.7))
    counter = Counter(graph)
    counter.add(images, trace)
    result = counter.result()
    assert_equals_brute_force(graph, images, trace.spikes, result)
    last = result.layers[-1]
    assert last.name == "fc3"
    assert last.total("macs_graded") > 0
    assert last.total("acs") > last.total("acs_graded") + last.total("macs_graded")


def pooled(mode, axes):
    """Overlapping, padded pooling between two grouped or dilated convolutions of one or two axes."""
    rng = np.random.default_rng(7)
    steps = 2

    table = partial(constant, steps=steps)

    def cut(*values):
        return values[:axes]

    plain = (cut(1, 1), cut(0, 0), cut(1, 1))
    layers = [
        Conv("stem", table(grid_weights(rng, (2, 1, *cut(2, 2)))), None, *plain),
        random_neuron(rng, "n1", steps),
        Pool("pool", mode, cut(3, 2), cut(1, 2), cut(1, 0)),
        Conv("conv", table(grid_weights(rng, (4, 1, *cut(2, 2)), 1)), None, cut(2, 1), cut(1, 1), cut(1, 2), 2),
        random_neuron(rng, "n2", steps),
        Flatten("flat"),
    ]
    shape = (1, *cut(5, 5))
    for layer in layers:
        shape = layer.output_shape(shape)
    layers.append(Linear("fc", table(grid_weights(rng, (2, *shape), spread=1))))
    layers.append(Readout("readout", table(0.5)))
    return DeployGraph.chain((1, *cut(5, 5)), input_code("direct", steps), layers)


@pytest.mark.parametrize("axes", [1, 2])
@pytest.mark.parametrize("mode", ["max", "sum", "average"])
def test_pooled_spikes_are_spikes_counts_or_values(mode, axes):
    graph = pooled(mode, axes)
    images = random_inputs(graph, 3)
    trace = Trace("made up", np.zeros((3, 2)), random_spikes(graph, 3, seed=4, rate=0.7))
    counter = Counter(graph)
    counter.add(images, trace)
    result = counter.result()
    assert_equals_brute_force(graph, images, trace.spikes, result)
    conv = next(layer for layer in result.layers if layer.name == "conv")
    assert (conv.total("macs") > 0) == (mode == "average")
    assert (conv.total("macs_graded") > 0) == (mode != "max")


def test_batches_add_up_to_one_pass():
    graph = small_lenet()
    images = random_inputs(graph, 11)
    labels = np.arange(11) % 5
    at_once, in_parts = counted(graph, images, labels), counted(graph, images, labels, batch=4)
    assert [layer.per_step for layer in at_once.layers] == [layer.per_step for layer in in_parts.layers]
    assert at_once.accuracy_by_step == in_parts.accuracy_by_step
    assert in_parts.sops.std == pytest.approx(at_once.sops.std, rel=1e-12)
    assert (in_parts.sops.mean, in_parts.sops.min, in_parts.sops.max) == (
        at_once.sops.mean,
        at_once.sops.min,
        at_once.sops.max,
    )


def test_accuracy_after_each_step_ends_at_the_accuracy_of_the_answer():
    graph = small_lenet()
    images = random_inputs(graph, 12)
    trace = run(graph, images, EVERYTHING)
    labels = np.where(np.arange(12) % 3, trace.predictions, (trace.predictions + 1) % 5)
    result = counted(graph, images, labels)
    assert result.accuracy == pytest.approx(8 / 12)
    assert result.accuracy_by_step[-1] == result.accuracy
    first = (trace.step_logits[0].argmax(axis=1) == labels).mean()
    assert result.accuracy_by_step[0] == first
    assert result.sops_by_step()[-1] == result.sops.mean
    assert result.sops_by_step() == sorted(result.sops_by_step())


def test_without_labels_or_step_logits_there_is_no_accuracy():
    graph = small_lenet()
    images = random_inputs(graph, 2)
    assert counted(graph, images).accuracy is None
    counter = Counter(graph)
    counter.add(images, run(graph, images, Record(spikes=True)), np.zeros(2, int))
    assert counter.result().accuracy is not None
    assert counter.result().accuracy_by_step is None


def test_a_trace_without_spikes_is_refused():
    graph = small_lenet()
    images = random_inputs(graph, 2)
    with pytest.raises(InputError, match=r"counting needs the spikes of layer 'lif1' as \(4, 2, 6, 8, 8\).*found none"):
        Counter(graph).add(images, run(graph, images))


def test_a_trace_of_other_images_is_refused():
    graph = small_lenet()
    images = random_inputs(graph, 3)
    with pytest.raises(InputError, match=r"found \(4, 3, 6, 8, 8\)"):
        Counter(graph).add(images[:2], run(graph, images, EVERYTHING))


def test_labels_of_another_length_are_refused():
    graph = small_lenet()
    images = random_inputs(graph, 3)
    with pytest.raises(InputError, match=r"labels have shape \(2,\), the trace has 3 samples"):
        Counter(graph).add(images, run(graph, images, EVERYTHING), np.zeros(2, int))


def test_nothing_counted_is_refused():
    counter = Counter(small_lenet())
    counter.add(np.zeros((0, 1, 8, 8), np.uint8), Trace("none", np.zeros((0, 5))))
    with pytest.raises(InputError, match="at least 1 sample"):
        counter.result()


def test_memory_does_not_grow_with_the_number_of_samples():
    graph = small_lenet()
    images = random_inputs(graph, 16)
    trace = run(graph, images, EVERYTHING)
    counter = Counter(graph)
    counter.add(images, trace)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(20):
        counter.add(images, trace)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert counter.result().samples == 21 * 16
    assert grown < 20_000


def test_importing_counts_loads_neither_frameworks_nor_matplotlib():
    heavy = ("torch", "lava", "nir", "onnx", "onnxruntime", "matplotlib")
    code = f"import sys, asnn_deploy.energy, asnn_deploy.reporting; print([m for m in {heavy} if m in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


@pytest.mark.parametrize("arithmetic", ["float32", "fixed"])
@settings(max_examples=12)
@given(exact_graphs())
def test_counting_where_it_runs_equals_counting_from_the_spikes(arithmetic, graph):
    graph = quantize(graph) if arithmetic == "fixed" else graph
    images = random_inputs(graph, 5)
    labels = np.arange(5) % graph.classes
    after, during = Counter(graph), Counter(graph)
    table = after.add(images, run(graph, images, EVERYTHING), labels)
    with Runner(graph, threads=2) as runner:
        trace, seen = during.observe(runner, images, labels)
    assert np.array_equal(table, seen)
    assert after.result() == during.result()
    assert np.array_equal(trace.logits, run(graph, images).logits)


@settings(max_examples=12)
@given(exact_graphs())
def test_spikes_are_counted_in_the_kernel_as_outside(graph):
    record = Record(spikes=True, spike_counts=True)
    for compiled in (True, False):
        trace = Executor(graph, compiled=compiled).run(random_inputs(graph, 3), record)
        for name, spikes in trace.spikes.items():
            assert np.array_equal(trace.spike_counts[name], spikes.reshape(*spikes.shape[:2], -1).sum(axis=2))


def test_potentials_that_are_sent_are_not_counted_as_spikes():
    """A leaky integrator between two synapses: it sends its membrane potential, and never fires."""
    rng, steps = np.random.default_rng(0), 3

    table = partial(constant, steps=steps)

    layers = [
        Flatten("flat"),
        Linear("fc", table(grid_weights(rng, (4, 16)))),
        Neuron("li", "li", {"leak": table(0.5), "gain": table(1.0)}),
        Linear("out", table(grid_weights(rng, (2, 4)))),
        Readout("readout", table(1.0)),
    ]
    graph = DeployGraph.chain((1, 4, 4), input_code("direct", steps), layers)
    images = random_inputs(graph, 3)
    trace = Executor(graph).run(images, Record(spikes=True, potentials=True, spike_counts=True))
    assert (trace.spike_counts, trace.spikes) == ({}, {})
    nonzero = np.count_nonzero(trace.potentials["li"], axis=2).mean(axis=1)
    assert nonzero.all()
    rows = {layer.name: layer.per_step for layer in counted(graph, images).layers}
    assert [step.spikes_out for step in rows["li"]] == [0, 0, 0]
    assert [(step.acs, step.macs) for step in rows["out"]] == [(0, 2 * n) for n in nonzero]


def test_a_run_cut_at_its_exits_is_the_counts_of_its_first_steps():
    graph = small_lenet()
    images = random_inputs(graph, 7)
    trace = run(graph, images, EVERYTHING)
    exits = np.array([1, 4, 2, 2, 3, 1, 4])
    counter = Counter(graph)
    for part in (slice(0, 3), slice(3, 7)):
        piece = run(graph, images[part], EVERYTHING)
        counter.add(images[part], piece, exits={0.5: exits[part]})
    result = counter.result(0.5)
    expected = count(graph, images, trace.spikes)
    for layer in result.layers:
        for key in KEYS:
            kept = expected[layer.name][key] * (exits[:, None] > np.arange(4))
            found = [getattr(step, key) for step in layer.per_step]
            np.testing.assert_allclose(found, kept.mean(axis=0), rtol=1e-12)
    assert result.mean_steps == exits.mean()
    assert counter.result().mean_steps == 4
    with pytest.raises(InputError, match=r"exit margin 0\.7: was not counted"):
        counter.result(0.7)
    with pytest.raises(InputError, match="differ from those of the batches before"):
        counter.add(images, trace, exits={0.6: exits})


def test_intervals_and_classes_are_those_of_the_single_samples():
    graph = small_lenet()
    images, labels = random_inputs(graph, 12), np.arange(12) % 3
    counter = Counter(graph)
    tables = [
        counter.add(images[i : i + 5], run(graph, images[i : i + 5], EVERYTHING), labels[i : i + 5])
        for i in range(0, 12, 5)
    ]
    result = counter.result()
    trace = run(graph, images, EVERYTHING)
    expected = count(graph, images, trace.spikes)
    for layer in result.layers:
        rows = expected[layer.name]
        for t, step in enumerate(layer.intervals):
            for values, interval in (
                (rows["macs"][:, t] + rows["acs"][:, t], step.sops),
                (rows["spikes_out"][:, t], step.spikes_out),
            ):
                assert interval.mean == pytest.approx(values.mean())
                assert interval.std == pytest.approx(values.std(ddof=1), abs=1e-9)
                half = 2.200985160082949 * values.std(ddof=1) / np.sqrt(12)  # Student's t, 11 degrees
                assert interval.high95 == pytest.approx(values.mean() + half)
                assert interval.low95 == pytest.approx(max(0, values.mean() - half), abs=1e-6)
    sops = np.concatenate(tables)[:, :, :2].sum(axis=(1, 2))
    assert [row.label for row in result.by_class] == [0, 1, 2]
    for row in result.by_class:
        among = labels == row.label
        assert row.samples == 4
        assert row.accuracy == (trace.predictions == labels)[among].mean()
        given = [int((trace.predictions[among] == c).sum()) for c in range(trace.logits.shape[1])]
        assert dict(row.answers) == {c: count for c, count in enumerate(given) if count}
        assert row.sops.mean == pytest.approx(sops[among].mean())
        assert row.sops.std == pytest.approx(sops[among].std(ddof=1))


def test_one_sample_has_no_interval():
    graph = small_lenet()
    step = counted(graph, random_inputs(graph, 1)).layers[0].intervals[0]
    assert (step.sops.std, step.sops.low95, step.sops.high95) == (None, None, None)


def test_a_trace_without_spikes_is_refused_where_synapses_read_the_input_alone():
    layers = [
        Flatten("flat"),
        Linear("fc", constant(np.ones((2, 4)), 2)),
        random_neuron(np.random.default_rng(0), "lif", 2),
        Readout("readout", constant(1, 2)),
    ]
    graph = DeployGraph.chain((1, 2, 2), input_code("latency", 2), layers)
    images = random_inputs(graph, 2)
    for record in (Record(), Record(arriving=True)):
        with pytest.raises(InputError, match="counting needs the spikes of layer 'lif'"):
            Counter(graph).add(images, run(graph, images, record))
    with Runner(graph) as runner:
        _, table = Counter(graph).observe(runner, images)
    assert np.array_equal(table, Counter(graph).add(images, run(graph, images, EVERYTHING)))
