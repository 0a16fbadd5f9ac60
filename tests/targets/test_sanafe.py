"""The simulator loihi1-sanafe. What needs SANA-FE itself is skipped where it is not installed."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from asnn_targets.sanafe import check_memory, simulator
from asnn_targets.sanafe.wiring import connections, wire
from hypothesis import given, settings
from networks.drawn import image_graphs
from networks.features import over_time
from networks.lenet import small_lenet
from networks.making import constant, grid_weights, linked, random_inputs, static_neuron

from asnn_deploy.energy import PARTS, Counter, Energy, JouleRange
from asnn_deploy.energy.simulation import Simulation, mean_range
from asnn_deploy.engine.runner import run
from asnn_deploy.errors import InputError, TargetError, UnsupportedError
from asnn_deploy.fitting import load_chip, place
from asnn_deploy.fitting.activity import activity
from asnn_deploy.fitting.latency import latency
from asnn_deploy.input.coding import input_code
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.layers import Conv, Flatten, Linear, Pool, Product, Readout
from asnn_deploy.ir.step_table import StepTable
from asnn_deploy.ir.trace import Record, Trace


def cut(graph, per_core=1024):
    """A simple placement: layers one behind the other, so many neurons on a core."""
    core_of, cores = {}, 0
    for layer in (*graph.neurons, graph.readout):
        shape = graph.shapes[layer.name]
        core_of[layer.name] = (cores + np.arange(np.prod(shape)) // per_core).reshape(shape)
        cores = int(core_of[layer.name].max()) + 1
    return SimpleNamespace(core_of=core_of, cores=cores)


def replayed(graph, samples=2, seed=0):
    images = random_inputs(graph, samples, seed)
    return images, run(graph, images, Record(spikes=True))


def operations(graph, images, trace):
    """The counter's synaptic operations of each sample."""
    found = []
    for i in range(len(images)):
        counter = Counter(graph)
        spikes = {name: signal[:, i : i + 1] for name, signal in trace.spikes.items()}
        counter.add(images[i : i + 1], Trace("one", trace.logits[i : i + 1], spikes))
        counts = counter.result()
        found.append(counts.total("acs") + counts.total("macs"))
    return found


def pooled(mode):
    """Overlapping, padded pooling of spikes between convolutions with stride, groups and zero weights."""
    rng = np.random.default_rng(3)

    def table(*shape):
        return constant(np.where(rng.random(shape) < 0.3, 0, grid_weights(rng, shape)), 3)

    layers = [
        Conv("stem", StepTable.constant(grid_weights(rng, (4, 1, 3, 3)) * np.float32(2**-7), 3), padding=(1, 1)),
        static_neuron("n1", 3, gain=1),
        Pool("pool", mode, (3, 3), (2, 2), (1, 1)),
        Conv("conv", table(6, 2, 3, 3), stride=(2, 1), padding=(0, 1), groups=2),
        static_neuron("n2", 3, gain=1),
        Flatten("flat"),
    ]
    shape = (1, 8, 8)
    for layer in layers:
        shape = layer.output_shape(shape)
    layers += [Linear("fc", table(3, *shape)), Readout("readout", constant(1, 3))]
    return DeployGraph.chain((1, 8, 8), input_code("direct", 3), layers)


NETWORKS = {
    "hybrid": lambda: small_lenet(),
    "direct": lambda: small_lenet(coding="direct"),
    "max-pool": lambda: pooled("max"),
    "counts of spikes": lambda: pooled("sum"),
    "averages": lambda: pooled("average"),
    "convolution over time": over_time,
}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_wiring_delivers_as_many_events_as_the_counter_counts(name):
    assert_wiring_delivers(NETWORKS[name]())


@settings(max_examples=25)
@given(image_graphs())
def test_the_wiring_of_any_network_does(graph):
    assert_wiring_delivers(graph)


def assert_wiring_delivers(graph):
    images, trace = replayed(graph)
    wiring = wire(graph, images, trace, cut(graph))
    sent = {p.name: p for p in wiring.populations}
    events = np.zeros(len(images))
    for projection in wiring.projections:
        source = sent[projection.source]
        fan = np.bincount(projection.pairs[0], minlength=len(source.cores))
        events += (source.fires * fan).sum(axis=(0, 2))
        assert max(projection.pairs[1]) < len(sent[projection.target].cores)
    assert events.tolist() == operations(graph, images, trace)


def test_connections_are_those_of_a_loop_over_all_weights():
    rng = np.random.default_rng(1)
    weight = np.where(rng.random((4, 1, 2, 3)) < 0.4, 0, 1)
    layer = Conv("c", StepTable.constant(weight, 1), None, (2, 1), (1, 0), (1, 2), groups=2)
    shape, out = (2, 5, 6), layer.output_shape((2, 5, 6))
    expected = set()
    for o, y, x in np.ndindex(out):
        for i, j in itertools.product(range(2), range(3)):
            row, column = 2 * y - 1 + i, x + 2 * j
            if weight[o, 0, i, j] and 0 <= row < 5 and 0 <= column < 6:
                expected.add(((o // 2) * 30 + row * 6 + column, o * out[1] * out[2] + y * out[2] + x))
    sources, targets = connections(layer, weight != 0, shape, out)
    assert len(sources) == len(expected)
    assert set(zip(sources.tolist(), targets.tolist())) == expected


def test_layers_fire_one_step_behind_each_other_and_pooled_maps_leave_from_their_neurons():
    graph = small_lenet()
    images, trace = replayed(graph)
    placement = cut(graph, per_core=64)
    wiring = wire(graph, images, trace, placement)
    late = {p.name: p.late for p in wiring.populations if not p.relays}
    assert late == {"lif1": 1, "lif2": 2, "lif3": 3, "readout": 0}
    assert (wiring.steps, wiring.idle) == (graph.time_steps + 4, 4)
    (relays,) = [p for p in wiring.populations if p.name.startswith("pool1")]
    assert relays.late == 1
    assert relays.cores.tolist() == placement.core_of["lif1"][:, ::2, ::2].ravel().tolist()
    assert wiring.cores == placement.cores + 1


def product():
    layers = (
        Flatten("flat"),
        Linear("fc", constant(np.ones((3, 4)), 2)),
        static_neuron("n", 2),
        Product("outer", "i,j->ij"),
        Flatten("flat2"),
        Linear("fc2", constant(np.ones((2, 9)), 2)),
        Readout("readout", constant(1, 2)),
    )
    return linked((1, 2, 2), input_code("direct", 2), layers, {"outer": ["n", "n"]})


def test_a_product_of_signals_is_refused():
    graph = product()
    images, trace = replayed(graph)
    with pytest.raises(UnsupportedError, match=r"layer 'outer' \(product\): Loihi has no synapse whose weight is a"):
        wire(graph, images, trace, cut(graph))


def test_a_placement_of_another_network_is_refused():
    graph = small_lenet()
    images, trace = replayed(graph)
    placement = cut(graph)
    placement.core_of["lif2"] = placement.core_of["lif3"]
    with pytest.raises(InputError, match=r"gives cores \(12,\) to layer 'lif2', it has neurons \(8, 4, 4\)"):
        wire(graph, images, trace, placement)
    wide = small_lenet(widths=(20, 8, 12))
    images, trace = replayed(wide)
    with pytest.raises(InputError, match=r"puts 1,280 neurons on core 0, a core of Loihi holds 1,024"):
        wire(wide, images, trace, cut(wide, per_core=2000))


def test_memory_is_asked_for_before_it_is_taken():
    wiring = SimpleNamespace(synapses=6_700_000, cores=100)
    check_memory(wiring, None)
    check_memory(wiring, 7_000_000_000)
    with pytest.raises(TargetError, match=r"6,700,000 connections need about 6\.8 GB of memory, 2\.0 GB are available"):
        check_memory(wiring, 2_000_000_000)


def test_a_missing_package_is_said_with_its_remedy(monkeypatch):
    monkeypatch.setattr("asnn_targets.sanafe.find_spec", lambda name: None)
    assert simulator.unavailable() == "not installed: sanafe; pip install 'asnn-deploy[sanafe]'"


def made_up(joules):
    values = np.asarray(joules, dtype=float)
    parts = {part: np.zeros(len(values)) for part in PARTS} | {"synapses": values}
    ones = np.ones(len(values))
    return Simulation("sim", "t", "p", "s", ("x",), (), parts, ones, ones, ones, 1, 1, 1)


def test_the_range_is_the_interval_of_the_mean():
    found = mean_range(np.array([1.0, 2.0, 6.0]))
    half = 4.302652729911275 * np.sqrt(7.0) / np.sqrt(3)  # t(2) at 97.5 %; variance 7
    assert (found.low, found.mid) == (0.0, 3.0)
    assert found.high == pytest.approx(3.0 + half)
    assert mean_range(np.array([2.0])) == JouleRange(2.0, 2.0, 2.0)


def test_the_ratio_to_a_constant_based_figure():
    energy = made_up([4.0, 6.0]).energy()
    other = Energy(JouleRange(1.0, 2.0, 3.0), energy.breakdown, None, "estimated", "s")
    assert made_up([4.0, 6.0]).beside("p", other)["ratio"] == 2.5
    silent = Energy(JouleRange(0.0, 0.0, 0.0), energy.breakdown, None, "estimated", "s")
    assert made_up([4.0]).beside("p", silent)["ratio"] is None


@pytest.fixture(scope="module")
def sanafe():
    return pytest.importorskip("sanafe", reason="needs the extra sanafe")


@pytest.mark.parametrize("name", NETWORKS)
def test_sanafe_delivers_as_many_events_as_the_counter_counts(sanafe, name):
    assert_sanafe_delivers(NETWORKS[name]())


@settings(max_examples=8)
@given(image_graphs())
def test_sanafe_delivers_them_in_any_network(sanafe, graph):
    assert_sanafe_delivers(graph)


def assert_sanafe_delivers(graph):
    images, trace = replayed(graph)
    found = simulator.simulate(graph, images, trace, cut(graph, per_core=50))
    assert found.events.tolist() == operations(graph, images, trace)
    assert (found.joules > 0).all()
    assert (found.latency > 0).all()


def test_energy_by_hand(sanafe, capfd):
    """Every constant of SANA-FE's Loihi once: synapses, accesses, updates, spikes and messages."""
    graph = small_lenet(coding="direct")
    images, trace = replayed(graph, samples=3)
    found = simulator.simulate(graph, images, trace, SimpleNamespace(core_of=cut(graph).core_of, cores=4))
    counter = Counter(graph)
    counter.add(images, trace)
    counts = counter.result()
    sops = {layer.name: layer.total("acs") + layer.total("macs") for layer in counts.layers}
    convolutions, dense = sops["conv1"] + sops["conv2"], sops["fc1"] + sops["fc2"]
    picojoules = {part: values.mean() * 1e12 for part, values in found.parts.items()}
    assert picojoules["synapses"] == pytest.approx(24.0 * convolutions + 35.5 * dense)
    neurons = sum(np.prod(graph.shapes[n]) for n in ("lif1", "lif2", "lif3", "readout"))
    accesses = 51.2 * neurons * graph.time_steps
    assert accesses < picojoules["neurons"] - 69.3 * counts.total("spikes_out") <= accesses * (1 + 21.6 / 51.2)
    assert found.alone * 1e12 == pytest.approx(51.2 * neurons * 4)
    messages = picojoules["spikes"] / 111
    assert messages >= np.count_nonzero(images) * graph.time_steps / 3
    assert capfd.readouterr().out == ""


def test_samples_are_independent_of_their_order(sanafe):
    graph = small_lenet()
    images, trace = replayed(graph, samples=2)
    turned = Trace("turned", trace.logits[::-1], {name: spikes[:, ::-1] for name, spikes in trace.spikes.items()})
    one = simulator.simulate(graph, images, trace, cut(graph))
    other = simulator.simulate(graph, images[::-1], turned, cut(graph))
    assert one.joules == pytest.approx(other.joules[::-1], rel=1e-12)
    assert one.latency == pytest.approx(other.latency[::-1], rel=1e-12)


def test_more_cores_than_one_chip_has(sanafe):
    graph = small_lenet()
    images, trace = replayed(graph, samples=1)
    placement = cut(graph, per_core=3)
    assert placement.cores > 128
    found = simulator.simulate(graph, images, trace, placement)
    assert found.events.tolist() == operations(graph, images, trace)
    assert [constant["name"] for constant in found.constants][:2] == ["synapse of a convolution", "dense synapse"]


def timed(sanafe, graph):
    """Our estimate in seconds, and what SANA-FE takes on average, of the same samples in the same placement."""
    images, trace = replayed(graph)
    placement = place(graph, load_chip("loihi1"))
    found = latency(placement, activity(graph, placement, images, trace))
    return found, simulator.simulate(graph, images, trace, placement).latency.mean()


@pytest.mark.parametrize("coding", ["latency", "hybrid-latency", "direct"])
@pytest.mark.parametrize("widths", [(6, 8, 12), (16, 24, 48)])
def test_the_estimated_latency_is_within_three_times_the_simulated_one(sanafe, coding, widths):
    """Both have the same placement and spikes; the times, pooling (relays of ours take a step) and messages differ."""
    found, simulated = timed(sanafe, small_lenet(coding=coding, widths=widths))
    ratio = found.seconds.mid / simulated
    assert 1 / 3 < ratio < 3, f"estimated / simulated = {ratio}"
    assert found.seconds.low / 2 < simulated < 2 * found.seconds.high


def test_where_cores_have_next_to_nothing_to_do_the_two_barriers_differ(sanafe):
    """SANA-FE's barrier of two tiles takes some eight times that of Davies et al. 2018."""
    from asnn_targets.sanafe.chip import description

    found, simulated = timed(sanafe, small_lenet(coding="latency", size=4, widths=(1, 1, 2)))
    barrier = found.by_step[0].barrier
    assert found.binds.part == "barrier"
    assert found.seconds.mid < simulated / 3
    theirs = description()["architecture"]["attributes"]["latency_sync"][2]
    same_barrier = found.seconds.mid + len(found.by_step) * (theirs - barrier)
    assert 1 / 1.5 < same_barrier / simulated < 1.5
