"""No core breaks a limit, and every figure is that of the list of connections."""

import numpy as np
import pytest
from fitting.brute_force import Content
from fitting.chips import chip
from hypothesis import given, settings
from hypothesis import strategies as st
from networks.drawn import image_graphs
from networks.lenet import small_lenet
from networks.placed import over_time

from asnn_deploy.fitting import place
from asnn_deploy.fitting.placement import integers

SHARING = ("kernels", "lists", "none")
KEYS = ("neurons", "synapse_bits", "parameter_bits", "state_bits", "axons_in", "axons_out")


@st.composite
def chips(draw):
    """A small chip with any of the limits."""
    limits = {"neurons": draw(st.integers(2, 80)), "cores": draw(st.integers(1, 20))}
    for key, low, high in (
        ("synapse_memory", 60, 2000),
        ("core_memory", 200, 4000),
        ("axons_in", 8, 300),
        ("axons_out", 8, 300),
    ):
        if draw(st.booleans()):
            limits[key] = draw(st.integers(low, high))
    population = draw(
        st.sampled_from(
            [None, {"channels": 512, "narrow": 4, "wide_slots": 2}, {"channels": 2, "narrow": 1, "wide_slots": 3}]
        )
    )
    return chip(draw(st.sampled_from(SHARING)), population, **limits)


@settings(max_examples=25)
@given(image_graphs(), chips())
def test_every_core_holds_what_the_connections_say_and_no_more_than_it_can(graph, chip):
    graph = integers(graph)
    placement = place(graph, chip)
    content = Content(graph, chip, placement)
    figures = content.numbers()
    assert sorted(figures) == list(range(placement.cores))
    assert [core.number for core in placement.content] == list(range(placement.cores))
    for core in placement.content:
        counted = figures[core.number]
        assert counted["layer"] == core.layer
        assert {key: getattr(core.load, key) for key in KEYS} == {key: counted[key] for key in KEYS}, core
    broken = {(use.layer, use.constraint) for use in placement.broken}
    check_limits(chip, figures, broken)
    assert broken <= broken_by_single_neurons(graph, chip), "a finer cut would have kept the limit"
    network = placement.network
    assert {p.name: p.fan_in() for p in network.populations} == content.fan_in()
    fan_out = content.fan_out()
    assert {p.name: network.fan_out(p) for p in network.populations} == {
        p.name: fan_out.get(p.name, 0) for p in network.populations
    }


def broken_by_single_neurons(graph, chip):
    """The limits that break even where every core has one neuron."""
    alone = chip.model_copy(
        update={
            "limits": chip.limits.model_copy(update={"neurons": chip.limits.neurons.model_copy(update={"value": 1})})
        }
    )
    return {(use.layer, use.constraint) for use in place(graph, alone).broken}


def check_limits(chip, figures, broken):
    """Each limit, from the counted figures."""
    limits, word = chip.limits, chip.storage.axon.value
    for figure in figures.values():
        axons = figure["axons_in"] + figure["axons_out"]
        everything = figure["synapse_bits"] + figure["parameter_bits"] + figure["state_bits"] + axons * word
        for limit, name, value in (
            (limits.neurons, "neurons per core", figure["neurons"]),
            (limits.synapse_memory, "synaptic memory per core", figure["synapse_bits"] / 8),
            (limits.core_memory, "memory per core", everything / 8),
            (limits.axons_in, "axons in per core", figure["axons_in"]),
            (limits.axons_out, "axons out per core", figure["axons_out"]),
        ):
            if limit is not None and (figure["layer"], name) not in broken:
                assert value <= limit.value, (figure, name)


@pytest.mark.parametrize("sharing", SHARING)
def test_the_lenet_too(sharing):
    graph = integers(small_lenet(channels=2, size=8))
    small = chip(
        sharing, {"channels": 512, "narrow": 4, "wide_slots": 2}, neurons=50, synapse_memory=700, axons_out=200
    )
    placement = place(graph, small)
    figures = Content(graph, small, placement).numbers()
    for core in placement.content:
        assert {key: getattr(core.load, key) for key in KEYS} == {key: figures[core.number][key] for key in KEYS}
    assert not placement.broken
    check_limits(small, figures, set())


@pytest.mark.parametrize("sharing", SHARING)
def test_a_convolution_over_time_stores_the_weights_of_each_step_and_source(sharing):
    graph = integers(over_time())
    small = chip(sharing, None, neurons=16)
    placement = place(graph, small)
    figures = Content(graph, small, placement).numbers()
    for core in placement.content:
        assert {key: getattr(core.load, key) for key in KEYS} == {key: figures[core.number][key] for key in KEYS}
    network = placement.network
    assert [(p.source, p.first, p.inputs) for p in network.by_name["third"].projections] == [
        ("second", 0, 3), ("first", 3, 2), ("first", 5, 2), ("first", 7, 2),
    ]  # fmt: skip
    assert len({p.store for p in network.by_name["third"].projections}) == 4


def test_every_neuron_has_one_core_and_cores_are_numbered_through():
    graph = small_lenet()
    placement = place(graph, chip("lists", None, neurons=20))
    assert list(placement.core_of) == ["lif1", "pool1", "lif2", "pool2", "lif3", "readout"]
    for name, cores in placement.core_of.items():
        assert cores.shape == graph.shapes[name]
        assert cores.dtype == np.int32
    everywhere = np.concatenate([cores.ravel() for cores in placement.core_of.values()])
    assert sorted(set(everywhere.tolist())) == list(range(placement.cores))
    assert np.bincount(everywhere).max() <= 20
