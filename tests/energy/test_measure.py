import numpy as np
import pytest
from networks.lenet import small_lenet
from networks.making import random_inputs

from asnn_deploy.energy import Counter, energy, load_profiles
from asnn_deploy.energy.measure import fingerprint, measure
from asnn_deploy.energy.packets import packets
from asnn_deploy.engine.early_exit import exit_steps
from asnn_deploy.engine.runner import run
from asnn_deploy.errors import InputError
from asnn_deploy.fitting import load_chip, place
from asnn_deploy.ir.trace import Record


@pytest.fixture(scope="module")
def measured():
    graph = small_lenet()
    images, more = random_inputs(graph, 300, 1), random_inputs(graph, 40, 2)
    labels = run(graph, images).predictions.copy()
    labels[::4] = (labels[::4] + 1) % graph.classes
    wanted = run(graph, more).predictions
    return graph, images, labels, measure(graph, images, labels, load_profiles(), (more, wanted))


def test_batches_measured_on_all_cores_are_one_count(measured):
    graph, images, labels, found = measured
    counter = Counter(graph)
    counter.add(images, run(graph, images, Record(spikes=True, step_logits=True)), labels)
    expected = counter.result()
    assert [layer.per_step for layer in found.counts.layers] == [layer.per_step for layer in expected.layers]
    assert found.counts.accuracy == expected.accuracy == 0.75


def test_single_samples_average_to_the_report(measured):
    _, images, labels, found = measured
    assert set(found.samples) == {"labels", "predictions", "sops", "acs", "macs", "spikes"} | {
        f"energy/{p.name}" for p in load_profiles()
    }
    assert {len(values) for values in found.samples.values()} == {len(images)}
    assert found.samples["sops"].mean() == pytest.approx(found.counts.sops.mean)
    assert (found.samples["labels"] == labels).all()
    for profile in load_profiles():
        mean = energy(profile, found.counts).energy_joules.mid
        assert found.samples[f"energy/{profile.name}"].mean() == pytest.approx(mean, rel=1e-12)


def test_the_early_exit_curve_counts_the_steps_up_to_each_exit(measured):
    graph, images, labels, found = measured
    trace = run(graph, images, Record(spikes=True, step_logits=True))
    assert found.early_exit["calibration"]["samples"] == 40
    for point in found.early_exit["curve"]:
        steps = exit_steps(trace.step_logits, point["margin"])
        counter = Counter(graph)
        counter.add(images, trace, labels, {0.5: steps})
        assert point["mean_steps"] == pytest.approx(steps.mean())
        assert point["sops"] == pytest.approx(counter.result(0.5).sops.mean)
    sops = [point["sops"] for point in found.early_exit["curve"]]
    assert sops == sorted(sops)


def test_a_fingerprint_tells_samples_and_their_order_apart(measured):
    _, images, labels, found = measured
    assert found.fingerprint == fingerprint(images, labels)
    assert len({fingerprint(images, labels), fingerprint(images[::-1], labels), fingerprint(images, labels[::-1])}) == 3


def test_no_samples_are_refused():
    graph = small_lenet()
    with pytest.raises(InputError, match="0 samples: a report needs at least 1"):
        measure(graph, random_inputs(graph, 0), np.zeros(0, int), [])


@pytest.mark.parametrize("chip", ["loihi1", "loihi2"])
def test_packets_are_the_cores_that_each_spike_reaches(chip):
    """Against a list of every connection: a spike goes once to each core where it has a synapse."""
    graph = small_lenet()
    placement = place(graph, load_chip(chip))
    images = random_inputs(graph, 3)
    trace = run(graph, images, Record(spikes=True))
    found = packets(graph, placement.destinations, images, trace)
    # The last neurons are fully connected to the readout's accumulators.
    last = graph.neurons[-1].name
    cores = len(np.unique(placement.core_of["readout"]))
    assert found[last].tolist() == (trace.spikes[last].sum(axis=(0, 2)) * cores).tolist()
    assert all((values >= 0).all() for values in found.values())
    conv, lif = graph.by_name["conv1"], graph.neurons[0]
    reached = np.zeros(graph.input_shape, int)
    core = placement.core_of[lif.name]
    for c, y, x in np.ndindex(*graph.input_shape):
        out = {
            core[o, i, j]
            for o, i, j in np.ndindex(*graph.shapes["conv1"])
            for ky in [y - i * conv.stride[0] + conv.padding[0]]
            for kx in [x - j * conv.stride[1] + conv.padding[1]]
            if 0 <= ky < conv.weight.shape[2] and 0 <= kx < conv.weight.shape[3]
        }
        reached[c, y, x] = len(out)
    assert placement.destinations["input"].tolist() == reached.reshape(-1).tolist()
