import dataclasses
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from networks.lenet import small_lenet
from networks.making import constant, random_inputs

from asnn_deploy.energy import (
    Counter,
    baselines,
    break_even_spike_rate,
    energy,
    load_profile,
    load_profiles,
    qnn_bits,
    sample_energies,
)
from asnn_deploy.energy.estimate import PARTS
from asnn_deploy.energy.prices import Prices
from asnn_deploy.energy.results import KEYS
from asnn_deploy.engine.runner import run
from asnn_deploy.input.coding import input_code
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.layers import Conv, Flatten, Linear, Neuron, Readout
from asnn_deploy.ir.trace import Record, Trace
from asnn_deploy.quantizing import quantize

EVERYTHING = Record(spikes=True, step_logits=True)
PICO = 1e-12


def counts_of(graph, samples=4):
    images = random_inputs(graph, samples)
    counter = Counter(graph)
    counter.add(images, run(graph, images, EVERYTHING))
    return counter.result()


def silent(graph):
    """The same network with thresholds that nothing reaches."""
    layers = []
    for layer in graph.layers:
        if isinstance(layer, Neuron):
            never = constant(1e6, graph.time_steps)
            layer = dataclasses.replace(layer, parameters={**layer.parameters, "threshold": never})
        layers.append(layer)
    return dataclasses.replace(graph, layers=tuple(layers))


@pytest.fixture(scope="module")
def lenet_counts():
    return counts_of(small_lenet())


def documented():
    """The network of docs/energy.md and what it did there."""

    table = partial(constant, steps=2)

    names = ("leak", "gain", "threshold")
    line = {"stride": (1,), "padding": (1,), "dilation": (1,)}
    graph = DeployGraph.chain(
        (1, 4),
        input_code("hybrid-latency", 2),
        [
            Conv("conv", table([[[1, 0, 1]]]), None, **line),
            Neuron("lif", "lif", {name: table(1) for name in names}),
            Flatten("flat"),
            Linear("fc", table([[1, 1, 1, 1], [1, 0, 0, 1]])),
            Readout("readout", table(0.5)),
        ],
    )
    spikes = np.uint8([[[[1, 0, 1, 0]]], [[[0, 1, 1, 1]]]])
    counter = Counter(graph)
    counter.add(np.uint8([[[0, 200, 255, 10]]]), Trace("by hand", np.zeros((1, 2)), {"lif": spikes}))
    return counter.result()


def test_the_example_in_the_documentation():
    counts = documented()
    text = (Path(__file__).parents[2] / "docs" / "energy.md").read_text()
    rows = {layer.name: layer for layer in counts.layers}
    assert [(step.macs, step.acs) for step in rows["conv"].per_step] == [(5, 0), (0, 4)]
    assert [(step.macs, step.acs) for step in rows["fc"].per_step] == [(0, 3), (0, 4)]
    assert (counts.total("macs"), counts.total("acs"), counts.sops.mean) == (5, 11, 16)
    assert (counts.total("spikes_out"), counts.total("neuron_updates")) == (5, 8)
    horowitz = load_profile("horowitz-45nm")
    parts = energy(horowitz, counts).breakdown
    assert parts.synapses / PICO == pytest.approx(11.9)
    assert parts.neurons / PICO == pytest.approx(26.0)
    compared = baselines([horowitz], counts)
    assert compared.macs == 12
    assert compared.ann["horowitz-45nm"].mid / PICO == pytest.approx(18.0)
    prices = Prices(horowitz, counts.layers, "mid")
    stays = dict(zip(KEYS, (prices.counted.sum(axis=0) * counts.table()).sum(axis=0)))
    first = counts.table()[0] @ prices.counted.sum(axis=0)[0]
    assert (first + stays["neuron_updates"]) / PICO == pytest.approx(33.1)
    assert {row.spike_rate for row in compared.break_even} == {None}
    for said in (
        "= 33.1 pJ",
        "**5 macs**",
        "**4 acs**",
        "**3 acs**",
        "**12 macs**",
        "**11.9 pJ**",
        "**26.0 pJ**",
        "**18.0 pJ**",
    ):
        assert said in text
    assert "5 macs, 11 acs, 16 synaptic operations, 5 spikes, 8 neuron" in " ".join(text.split())


@pytest.mark.parametrize("profile", load_profiles(), ids=lambda profile: profile.name)
@pytest.mark.parametrize("arithmetic", ["float32", "fixed"])
def test_parts_add_up_to_the_middle_of_an_ordered_range(profile, arithmetic):
    graph = small_lenet()
    result = energy(profile, counts_of(quantize(graph) if arithmetic == "fixed" else graph))
    amounts = result.energy_joules
    assert 0 < amounts.low <= amounts.mid <= amounts.high
    assert sum(getattr(result.breakdown, part) for part in PARTS) == pytest.approx(amounts.mid, rel=1e-12)


def test_profiles_have_only_the_parts_that_they_know(lenet_counts):
    zero = {p.name: {k for k in PARTS if not getattr(energy(p, lenet_counts).breakdown, k)} for p in load_profiles()}
    assert zero == {
        "cpu": {"spikes", "memory", "static"},
        "gpu": {"spikes", "memory", "static"},
        "horowitz-45nm": {"spikes", "memory", "static"},
        "lemaire-2022": {"spikes", "static"},
        "loihi1-davies-2018": {"memory"},
        "spinnaker2": {"spikes", "memory", "static"},
        "truenorth-merolla-2014": {"neurons", "spikes", "memory", "static"},
    }


def test_loihi_by_hand():
    loihi = energy(load_profile("loihi1-davies-2018"), documented())
    assert loihi.breakdown.synapses / PICO == pytest.approx(16 * 23.6)
    assert loihi.breakdown.neurons / PICO == pytest.approx(5 * 81 + 3 * 52)
    assert loihi.breakdown.spikes / PICO == pytest.approx(5 * 14.575)
    assert loihi.latency_seconds == pytest.approx(2 * 289e-9)
    assert loihi.breakdown.static == pytest.approx(0.104 * 2 * 289e-9)
    assert loihi.energy_joules.low / PICO == pytest.approx(
        16 * 23.6 + 5 * 81 + 3 * 52 + 5 * 1.7 + 0.104 * 2 * 113e-9 / PICO
    )
    assert loihi.energy_joules.high / PICO == pytest.approx(16 * 35.5 + 8 * 81 + 5 * 34.7 + 0.104 * 2 * 465e-9 / PICO)


def test_lemaire_by_hand():
    counts = documented()
    result = energy(load_profile("lemaire-2022"), counts)
    assert result.breakdown.synapses / PICO == pytest.approx(5 * 3.2 + 11 * 0.1)
    assert result.breakdown.neurons / PICO == pytest.approx(8 * (2 * 3.1 + 2 * 0.1) + 5 * 0.1)
    # Everything fits into 8 kB: 10 pJ an access. Weights and sums: 16 operations, three accesses each; queues: 5
    # values or spikes into the convolution, 5 into the linear layer, 5 out of the neurons; states: 8 updates, twice.
    assert result.breakdown.memory / PICO == pytest.approx(10 * (3 * 16 + 5 + 5 + 5 + 2 * 8))
    fewer = 10 * (1 * 16 + 5 + 5 + 5 + 2 * 8)
    assert result.energy_joules.low / PICO == pytest.approx(
        fewer + (result.breakdown.synapses + result.breakdown.neurons) / PICO
    )
    dense = baselines([load_profile("lemaire-2022")], counts).ann["lemaire-2022"]
    # conv: 6 weights, 6 inputs, 4 outputs; linear: 6 weights, 4 inputs, 2 outputs
    assert dense.mid / PICO == pytest.approx(12 * 3.2 + 10 * (6 + 6 + 4 + 6 + 4 + 2))
    assert dense.low / PICO == pytest.approx(12 * 3.2 + 10 * (6 + 4 + 4 + 6 + 4 + 2))


def test_the_hybrid_stem_is_one_convolution_in_the_ann():
    graph = small_lenet()
    weights = [layer.weight.at(0) for layer in graph.layers if layer.kind == "linear"]
    compared = baselines([], counts_of(graph))
    stem, second = (graph.by_name[name].weight.at(0) != 0 for name in ("conv1", "conv2"))

    # A 3x3 kernel with padding 1: the middle weight works at every position, an edge weight misses one row or column.
    def places(size):
        return np.outer([size - 1, size, size - 1], [size - 1, size, size - 1])

    dense = (stem * places(8)).sum() + (second * places(4)).sum()
    assert compared.macs == dense + sum(np.count_nonzero(weight) for weight in weights)


def test_graded_profiles_charge_counts_once(lenet_counts):
    layer = dataclasses.replace(
        lenet_counts.layers[0],
        per_step=tuple(
            dataclasses.replace(step, macs=0, acs=10, acs_graded=4, macs_graded=2)
            for step in lenet_counts.layers[0].per_step
        ),
    )
    counts = dataclasses.replace(lenet_counts, layers=(layer,))
    horowitz = load_profile("horowitz-45nm")
    graded = horowitz.model_copy(update={"counts": "graded"})
    assert energy(horowitz, counts).breakdown.synapses / PICO == pytest.approx(4 * 10 * 0.4)
    assert energy(graded, counts).breakdown.synapses / PICO == pytest.approx(4 * (4 * 0.4 + 2 * 1.5))


@pytest.mark.parametrize(("time_steps", "bits"), [(1, 1), (2, 2), (3, 2), (4, 3), (7, 3), (8, 4), (15, 4), (16, 5)])
def test_qnn_bits(time_steps, bits):
    assert qnn_bits(time_steps) == bits == int(np.ceil(np.log2(time_steps + 1)))


def test_qnn_has_an_energy_only_where_a_profile_has_a_price(lenet_counts):
    compared = baselines(load_profiles(), lenet_counts)
    assert compared.qnn["horowitz-45nm"].mid == pytest.approx(compared.macs * 0.23 * PICO)
    assert compared.qnn["lemaire-2022"] is None
    assert compared.ann["loihi1-davies-2018"] is compared.qnn["loihi1-davies-2018"] is None


def test_at_the_break_even_rate_both_networks_cost_the_same(lenet_counts):
    rate = break_even_spike_rate(lenet_counts)
    horowitz = load_profile("horowitz-45nm")
    spiking = energy(horowitz, fired_at(lenet_counts, rate)).energy_joules.mid
    assert spiking == pytest.approx(baselines([horowitz], lenet_counts).ann["horowitz-45nm"].mid, rel=1e-9)


def test_a_network_that_never_spikes_has_no_break_even_rate():
    counts = counts_of(silent(small_lenet()))
    assert counts.spikes.max == 0
    compared = baselines(load_profiles(), counts)
    assert compared.break_even_spike_rate is None
    assert compared.spike_rate == 0
    assert all(energy(p, counts).energy_joules.mid > 0 for p in load_profiles())


def test_no_break_even_rate_where_the_fixed_work_costs_more_than_the_ann():
    assert break_even_spike_rate(documented()) is None


@pytest.mark.parametrize("network", ["ann", "qnn"])
@pytest.mark.parametrize("memory", [False, True])
def test_every_break_even_rate_makes_both_sides_cost_the_same(lenet_counts, network, memory):
    profiles = load_profiles()
    rows = [r for r in baselines(profiles, lenet_counts).break_even if (r.network, r.memory) == (network, memory)]
    priced = [p for p in profiles if p.runs_ann and (p.memory or not memory)]
    assert {r.profile for r in rows} == {p.name for p in priced if network == "ann" or (p.qnn and not memory)}
    for row in rows:
        profile = next(p for p in profiles if p.name == row.profile)
        if row.spike_rate is None:
            assert row.reason == "the input layer's work and the neuron updates alone cost as much"
            continue
        level = "mid" if network == "ann" else "low"
        bare = profile if memory else profile.model_copy(update={"memory": None})
        grown = fired_at(lenet_counts, row.spike_rate)
        compared = baselines([bare], lenet_counts)
        target = (compared.ann if network == "ann" else compared.qnn)[profile.name]
        assert getattr(energy(bare, grown).energy_joules, level) == pytest.approx(getattr(target, level), rel=1e-9)


def fired_at(counts, rate):
    """The same counts, had every neuron fired more or less often."""
    grow = rate / baselines([], counts).spike_rate
    layers = []
    for layer in counts.layers:
        behind = ("acs", "acs_graded", "macs", "macs_graded", "spikes_in", "values_in") if layer.after_neurons else ()
        scaled = (*behind, "spikes_out")
        steps = [dataclasses.replace(s, **{key: getattr(s, key) * grow for key in scaled}) for s in layer.per_step]
        layers.append(dataclasses.replace(layer, per_step=tuple(steps)))
    return dataclasses.replace(counts, layers=tuple(layers))


def test_a_silent_network_has_no_break_even_rate_against_anything_and_says_why():
    rows = baselines(load_profiles(), counts_of(silent(small_lenet()))).break_even
    assert rows
    assert {row.spike_rate for row in rows} == {None}
    assert {row.reason for row in rows} == {"no neuron fired, so there are no spikes to scale"}


def test_the_samples_energies_average_to_the_networks():
    graph = small_lenet()
    images = random_inputs(graph, 9)
    counter = Counter(graph)
    table = counter.add(images, run(graph, images, EVERYTHING))
    for profile in load_profiles():
        single = sample_energies(profile, tuple(counter.sizes.values()), table, graph.time_steps)
        assert single.shape == (9,)
        assert single.mean() == pytest.approx(energy(profile, counter.result()).energy_joules.mid, rel=1e-12)


def test_memory_accesses_are_counted(lenet_counts):
    rows = {layer.name: layer for layer in lenet_counts.layers}
    conv, lif = rows["conv2"], rows["lif2"]
    assert conv.weight_fetches == conv.state_reads == conv.state_writes == conv.total("acs")
    assert (lif.weight_fetches, lif.state_reads) == (0, lif.total("neuron_updates"))
