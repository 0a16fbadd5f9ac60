"""What binds, what is missing, what per-step parameters cost, and what would make a network fit."""

from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from fitting.brute_force import Content
from fitting.chips import chip
from networks import placed
from networks.attention import transformer_block
from networks.lenet import small_lenet
from networks.making import Maker
from runs import tiny_config

from asnn_deploy.errors import UnsupportedError
from asnn_deploy.fitting import fit, load_chip, place
from asnn_deploy.fitting.placement import integers
from asnn_deploy.ir.graph import INPUT
from asnn_deploy.ir.layers import Add, Flatten, Pool
from asnn_deploy.ir.meaning import RESETS
from asnn_deploy.ir.quantization import Quantization
from asnn_deploy.ir.step_table import StepTable
from asnn_deploy.models.lowering import lower
from asnn_deploy.training.network import build_model

CONTRACT = ("chip", "fits", "cores", "chips", "binding", "layers", "unverified")
ADDED = ("utilisation", "next_binding", "suggestion", "step_tables", "map")


@pytest.mark.parametrize(
    "graph", [placed.pooled_currents(), placed.one_dimensional(), placed.wide_linear(), placed.with_shortcut()]
)
@pytest.mark.parametrize("sharing", ["kernels", "lists", "none"])
@pytest.mark.parametrize("axons_in", [40, None])
def test_other_kinds_of_layers_hold_what_their_connections_say(graph, sharing, axons_in):
    small = chip(
        sharing,
        {"channels": 3, "narrow": 2, "wide_slots": 2},
        neurons=13,
        **({} if axons_in is None else {"axons_in": axons_in}),
    )
    placement = place(graph, small)
    unflattened = {"lif": (3, 5, 1)} if graph == placed.one_dimensional() else None
    figures = Content(integers(graph), small, placement, unflattened).numbers()
    for core in placement.content:
        for key in ("neurons", "synapse_bits", "parameter_bits", "state_bits", "axons_in", "axons_out"):
            assert getattr(core.load, key) == figures[core.number][key], (key, core)


def test_the_json_is_the_contracts_and_adds_up():
    result = fit(small_lenet(), chip("lists", None, neurons=60))
    found = result.to_json()
    assert [key for key in (*CONTRACT, *ADDED) if key not in found] == []
    assert found["fits"] is True
    assert set(found["binding"]) == {"layer", "constraint", "value", "limit"}
    assert found["binding"]["constraint"] != found["next_binding"]["constraint"]
    assert found["cores"] == sum(layer["cores"] for layer in found["layers"]) == len(found["map"])
    for key in ("neurons", "synapse_bytes"):
        by_layer = {layer["name"]: layer[key] for layer in found["layers"]}
        assert by_layer == {name: sum(c[key] for c in found["map"] if c["layer"] == name) for name in by_layer}
    assert all(0 < core["utilisation"] <= 1 for core in found["map"])
    assert found["utilisation"]["cores"] == found["cores"] / 64


def test_what_binds_is_what_keeps_the_largest_layer_from_fewer_cores():
    result = fit(small_lenet(), chip("lists", None, neurons=60))
    assert (result.binding.layer, result.binding.constraint, result.binding.limit) == ("lif1", "neurons per core", 60)
    assert place(small_lenet(), chip("lists", None, neurons=384)).grids["lif1"].cores == 1
    assert place(small_lenet(), chip("lists", None, neurons=383)).grids["lif1"].cores == 2


def test_too_many_cores_name_the_layer_with_the_most_of_them():
    result = fit(small_lenet(), chip("lists", None, neurons=60, cores=10))
    assert not result.fits
    assert not result.capacity_fits
    assert asdict(result.binding) == {
        "layer": "lif1",
        "constraint": "cores",
        "value": result.placement.cores,
        "limit": 10,
    }
    assert result.next_binding.constraint == "neurons per core"
    assert fit(small_lenet(), chip("lists", None, neurons=60, cores=10), chips=2).fits
    assert result.placement.chips == 2


def test_one_neuron_that_breaks_a_limit_is_named():
    result = fit(small_lenet(), chip("lists", None, axons_in=20))
    assert (result.binding.layer, result.binding.constraint) == ("lif2", "axons in per core")
    assert result.binding.value == 54, "3 x 3 positions of 6 channels"
    assert not result.capacity_fits
    result = fit(small_lenet(), chip("lists", None, fan_in=30, fan_out=10))
    assert {use.constraint for use in result.capacity if use.broken} == {"fan-in", "fan-out"}


def test_bits_that_fit_are_the_most_that_do():
    graph, small = small_lenet(widths=(6, 8, 40)), chip("lists", None, neurons=400, synapse_memory=900, cores=12)
    result = fit(graph, small)
    assert result.binding.constraint == "cores"
    assert "weights of 4 bits" in result.suggestion
    fits = [fit(replace(graph, quantization=Quantization(bits=bits)), small).fits for bits in (5, 4)]
    assert fits == [False, True]


def test_channels_that_fit_are_the_most_that_do():
    result = fit(small_lenet(widths=(8, 8, 16)), chip("kernels", None, neurons=64, cores=12))
    eighths = int(result.suggestion.partition("/8 of the channels")[0])
    fits = [
        fit(small_lenet(widths=(n, n, 2 * n)), chip("kernels", None, neurons=64, cores=12)).fits
        for n in (eighths + 1, eighths)
    ]
    assert fits == [False, True]


def test_fewer_time_steps_help_where_tables_bind():
    graph = small_lenet(time_steps=6, coding="latency", granularity="neuron")
    small = chip("kernels", None, neurons=400, core_memory=1500, cores=14)
    result = fit(graph, small)
    assert not result.fits
    assert "time steps" in result.suggestion


def test_loihi_1_has_room_for_an_adaptive_network_but_not_its_neurons():
    result = fit(small_lenet(), load_chip("loihi1"))
    assert result.capacity_fits
    assert not result.fits
    missing = {(use.layer, use.constraint): (use.value, use.limit) for use in result.features if use.broken}
    assert missing[INPUT, "bits per spike"] == (8, 1)
    assert missing["lif1", "per-step parameters"] == (4, 1)
    assert missing["readout", "per-step parameters"] == (4, 1)
    assert missing["lif2", "reset by subtract"] == (1, 0)
    assert result.binding.constraint == "bits per spike"
    for words in ("the coding latency", "the neuron lif", "model.reset = zero"):
        assert words in result.suggestion
    found = result.to_json()
    assert found["capacity"]["fits"] is True
    assert found["features"]["fits"] is False


def neurons_of_others(**rules):
    """A small network whose neurons have other rules and parameters than a trained one's."""
    graph = small_lenet()
    change = {"reset": rules.pop("reset", "zero")}
    tables = {key: StepTable.constant(np.float32(value), graph.time_steps) for key, value in rules.items()}
    layers = (replace(x, parameters={**x.parameters, **tables}, **change) if x.fires else x for x in graph.layers)
    return replace(graph, layers=tuple(layers))


@pytest.mark.parametrize(
    ("rules", "lacks"),
    [
        ({"minimum": -1.0}, ("lower bound of the membrane potential",)),
        ({"reset_potential": 0.25}, ("reset potential other than zero",)),
        ({"reset_potential": 0.0}, ()),
        *[({"reset": name}, (f"reset by {name}",)) for name in RESETS if name != "zero"],
    ],
)
def test_what_else_neurons_of_others_ask_of_a_chip(rules, lacks):
    graph = neurons_of_others(**rules)
    every = {f"reset by {name}" for name in RESETS} | {
        "lower bound of the membrane potential",
        "reset potential other than zero",
    }
    for name, expected in (("loihi1", set(lacks)), ("loihi2", set())):
        broken = {use.constraint for use in fit(graph, load_chip(name)).features if use.broken}
        assert broken & every == expected


def test_loihi_2_takes_it_and_says_what_nobody_published():
    result = fit(small_lenet(), load_chip("loihi2"))
    assert result.fits
    assert result.suggestion is None
    unverified = result.to_json()["unverified"]
    assert any(line.startswith("limits.core_memory") for line in unverified)
    assert any(line.startswith("limits.axons_in") and line.endswith("not checked") for line in unverified)


def test_per_step_parameters_cost_what_a_hand_counts():
    """T = 4, a leak and a gain of 16 bits and a threshold of 24 for each layer; the readout's scale of 16."""
    graph = small_lenet(coding="latency")
    placement = fit(graph, chip("kernels", None, neurons=1000)).placement
    assert [grid.cores for grid in placement.grids.values()] == [1] * 6
    cost = {c.layer: c for c in fit(integers(graph), chip("kernels", None, neurons=1000)).step_cost}
    tables = integers(graph).by_name["lif1"].parameters
    bits = {"leak": 16, "gain": 16, "gain_shift": 5, "threshold": 24, "bias": 24}
    once = sum(bits[name] * t.values[0].size for name, t in tables.items())
    assert cost["lif1"].static_parameter_bytes == -(-once // 8)
    selector = lambda k: 4 * {1: 0, 2: 1, 3: 2, 4: 2}[k]
    every = sum(len(t.values) * bits[n] * t.values[0].size + selector(len(t.values)) for n, t in tables.items())
    assert cost["lif1"].parameter_bytes == -(-every // 8)
    assert cost["lif1"].synapse_bytes == cost["lif1"].static_synapse_bytes == 6 * 9 * 8 // 8


def test_weights_of_two_kinds_cost_twice():
    """Hybrid-coded input: one set of weights for the image and one for the spikes."""
    cost = {c.layer: c for c in fit(small_lenet(), chip("kernels", None, neurons=1000)).step_cost}
    assert cost["lif1"].synapse_bytes == 2 * cost["lif1"].static_synapse_bytes == 2 * 6 * 9
    assert cost["lif2"].synapse_bytes == cost["lif2"].static_synapse_bytes


def test_per_step_tables_can_cost_cores():
    graph = small_lenet(time_steps=6, coding="latency", granularity="neuron")
    found = fit(graph, chip("kernels", None, neurons=400, core_memory=2500)).to_json()["step_tables"]
    assert found["changes_cores"] is True
    assert found["cores"] > found["static_cores"]
    assert found["difference_bytes"] == sum(layer["difference_bytes"] for layer in found["layers"])


def test_a_product_of_signals_is_named():
    result = fit(placed.with_product(), load_chip("loihi2"))
    assert not result.fits
    assert (result.binding.layer, result.binding.constraint) == ("attention", "product of signals")
    assert result.capacity_fits, "the rest is placed"
    assert result.suggestion is None


def test_self_attention_is_named_and_the_rest_of_the_transformer_placed():
    graph = transformer_block()
    for chip_name in ("loihi2", "generic"):
        result = fit(graph, load_chip(chip_name))
        assert (result.binding.layer, result.binding.constraint) == ("kv", "product of signals")
        assert result.capacity_fits
    placed = place(graph, load_chip("loihi2"))
    assert set(placed.core_of) >= {neuron.name for neuron in graph.neurons} | {"readout"}
    assert all(placed.core_of[name].shape == graph.shapes[name] for name in placed.core_of)


def test_a_maximum_of_sums_is_named():
    result = fit(placed.with_shortcut(Pool("pool")), load_chip("loihi2"))
    assert (result.binding.layer, result.binding.constraint) == ("pool", "maximum of values")


def test_synapses_on_synapses_need_graded_spikes():
    result = fit(placed.synapses_on_synapses(), load_chip("loihi2"))
    assert [p.kind for p in result.placement.network.populations] == ["relay", "neuron", "readout"]
    assert result.fits
    missing = [use for use in fit(placed.synapses_on_synapses(), load_chip("loihi1")).features if use.broken]
    assert ("lif", "bits per spike", 24, 1) in [(u.layer, u.constraint, u.value, u.limit) for u in missing]


def test_a_shortcut_waits_and_a_chip_may_not_wait_so_long():
    late = {
        p.source: p.steps_late
        for p in fit(placed.with_shortcut(), chip()).placement.network.by_name["readout"].projections
    }
    assert late == {"b": 0, "first": 2}
    broken = [use for use in fit(placed.with_shortcut(), chip(delay=1)).features if use.broken]
    assert [(use.layer, use.constraint, use.value, use.limit) for use in broken] == [("readout", "delay", 2, 1)]


def test_weights_too_wide_for_the_chip():
    result = fit(small_lenet(), chip("lists", None, weight_bits=(1, 4)))
    assert (result.binding.constraint, result.binding.value, result.binding.limit) == ("weight bits", 8, 4)
    assert "weights of 4 bits" in result.suggestion


def test_signals_of_different_layouts_are_refused():
    m = Maker()
    layers = [
        m.conv("conv", 2, 1, (1, 1)),
        Flatten("flat"),
        Flatten("pixels"),
        m.linear("fc", 32, 16),
        Add("sum"),
        m.neuron("lif"),
        m.linear("out", 2, 32),
        m.readout(),
    ]
    graph = m.linked(layers, {"pixels": [INPUT], "sum": ["flat", "fc"]}, (1, 4, 4))
    with pytest.raises(UnsupportedError, match=r"layer 'lif' \(neuron\): joins signals of different layouts"):
        fit(graph, chip())


def test_places_are_boxes_that_differ_by_at_most_one():
    placement = place(small_lenet(), chip("lists", None, neurons=23))
    sizes = np.bincount(placement.core_of["lif1"].ravel())
    assert sizes.max() <= 23
    assert sizes.sum() == 6 * 64


def test_what_is_suggested_for_loihi_1_is_a_network_that_fits():
    """The words are options of `train`: a network made with them fits, one made without any of them does not."""
    changes = {"coding": "latency", "model__neuron": "lif", "model__reset": "zero"}
    for left_out in (None, *changes):
        kept = {key: value for key, value in changes.items() if key != left_out}
        network = build_model(tiny_config(**kept), (1, 8, 8), 10).eval()
        with torch.no_grad():
            for name, parameter in network.named_parameters():
                if parameter.requires_grad and name.endswith(("leak", "gain", "scale")):
                    parameter.copy_(torch.linspace(0.3, 0.9, len(parameter)))
        assert fit(lower(network), load_chip("loihi1")).fits is (left_out is None), left_out
