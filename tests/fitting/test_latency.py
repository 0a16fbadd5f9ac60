"""Latency: what every core does and how long that takes, from a list of every single connection."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fitting.brute_force import connections, with_waiting
from fitting.chips import chip
from hypothesis import given, settings
from hypothesis import strategies as st
from networks.drawn import image_graphs
from networks.features import delayed_and_listed_first, recurrent, sequence
from networks.lenet import small_lenet
from networks.making import random_inputs
from networks.placed import over_time, synapses_on_synapses, with_product, with_shortcut

from asnn_deploy.energy import load_profile
from asnn_deploy.energy.signals import Replay
from asnn_deploy.engine.runner import run
from asnn_deploy.errors import ConfigError, InputError
from asnn_deploy.fitting import load_chip, place
from asnn_deploy.fitting.activity import Activity, activity
from asnn_deploy.fitting.chip import FOLDER
from asnn_deploy.fitting.latency import LEVELS, PARTS, latency, no_latency
from asnn_deploy.fitting.placement import integers
from asnn_deploy.fitting.times import Barrier, Duration, Tiles, Times
from asnn_deploy.ir.graph import INPUT
from asnn_deploy.ir.trace import Record

SAMPLES = 3
KEYS = ("synaptic_operation", "neuron_active", "neuron_inactive", "spike")


def duration(low, mid, high):
    return Duration(low=low, mid=mid, high=high, unit="ns", source="a test")


def times(**changes):
    known = {
        "synaptic_operation": duration(2, 3, 5),
        "neuron_active": duration(11, 13, 17),
        "neuron_inactive": duration(7, 8, 9),
        "spike": duration(19, 23, 29),
        "barrier": Barrier(
            one_tile=duration(100, 110, 120),
            all_tiles=duration(190, 200, 300),
            tiles=Tiles(value=16, unit="tiles", source="a test"),
        ),
    }
    return Times(**known | changes)


def timed(known=None, **limits):
    """A small chip with times; 64 cores on 16 tiles."""
    return chip("lists", None, **limits).model_copy(update={"times": known or times()})


def ran(graph, samples=SAMPLES):
    images = random_inputs(graph, samples)
    return images, run(graph, images, Record(spikes=True))


def by_hand(graph, placement, signals, binary):
    """Events and spikes of every core as nested dicts, (chip step, sample, core) -> number, connection by connection."""
    depth = {INPUT: 0}
    targets = with_waiting(graph, connections(graph))
    for name, synapses_of in targets.items():
        sources = {s.source for synapses in synapses_of.values() for s in synapses} - {name}
        depth[name] = 1 + max((depth.get(s, 0) for s in sources), default=0)
    events, spikes = {}, {}
    for name, synapses_of in targets.items():
        for element, synapses in synapses_of.items():
            core = int(placement.core_of[name][element])
            for s in synapses:
                for t, b in np.ndindex(signals[s.source].shape[:2]):
                    value = signals[s.source][(t, b, *s.element)]
                    if value:
                        at = (t + depth.get(s.source, 0), b, core)
                        values = s.source == INPUT and graph.code.analog[t]
                        counted = value if binary and not values else 1
                        events[at] = events.get(at, 0) + int(counted)
            for t, b in np.ndindex(signals[name].shape[:2] if name in signals else (0, 0)):
                if signals[name][(t, b, *element)]:
                    at = (t + depth[name], b, core)
                    spikes[at] = spikes.get(at, 0) + 1
    return events, spikes, max(depth.values())


def seconds_by_hand(placement, events, spikes, steps, samples, level, every=None):
    """The mean over the samples of the sum over the steps, core by core; every: a further sample follows after so
    many steps."""
    known = placement.chip.times
    tiles = -(-placement.cores // 4)
    first, last = known.barrier.one_tile.at(level), known.barrier.all_tiles.at(level)
    barrier = first + (last - first) * (min(tiles, 16) - 1) / 15
    operation, active, inactive, way = (getattr(known, key).at(level) for key in KEYS)
    total = 0.0
    for b in range(samples):
        for step in range(every or steps):
            slowest, sent = 0.0, False
            for core in placement.content:
                at = [(s, b, core.number) for s in range(step, steps, every or steps)]
                reached = sum(events.get(key, 0) for key in at)
                fired = sum(spikes.get(key, 0) for key in at)
                sent = sent or reached > 0
                taken = operation * reached + active * fired + inactive * (core.load.neurons - fired)
                slowest = max(slowest, taken)
            total += slowest + way * sent + barrier
    return total / samples * 1e-9


def assert_as_by_hand(graph, small):
    graph = integers(graph)
    images, trace = ran(graph)
    placement = place(graph, small)
    work = activity(graph, placement, images, trace)
    signals = Replay(graph).signals(images, trace)
    events, spikes, depth = by_hand(graph, placement, signals, binary=small.limits.payload_bits.value == 1)
    steps = graph.time_steps + depth
    assert work.events.shape == (steps, SAMPLES, placement.cores)
    assert {tuple(at): work.events[tuple(at)] for at in np.argwhere(work.events)} == events
    assert {tuple(at): work.spikes[tuple(at)] for at in np.argwhere(work.spikes)} == spikes
    found = latency(placement, work)
    assert (len(found.by_step), found.pipeline_steps, found.samples) == (steps, depth, SAMPLES)
    for level in LEVELS:
        expected = seconds_by_hand(placement, events, spikes, steps, SAMPLES, level)
        assert getattr(found.seconds, level) == pytest.approx(expected, rel=1e-12)
    apart = seconds_by_hand(placement, events, spikes, steps, SAMPLES, "mid", every=graph.time_steps)
    assert found.samples_per_second.pipelined.mid == pytest.approx(1 / apart, rel=1e-12)
    assert found.samples_per_second.alone.mid == pytest.approx(1 / found.seconds.mid, rel=1e-12)
    return found


@pytest.mark.parametrize("coding", ["latency", "hybrid-latency"])
@pytest.mark.parametrize("bits", [1, 8])
def test_a_lenet_by_a_loop_over_cores_and_connections(coding, bits):
    assert_as_by_hand(small_lenet(3, coding, widths=(3, 4, 6)), timed(neurons=50, payload_bits=bits))


@pytest.mark.parametrize("network", [with_shortcut, over_time, recurrent, delayed_and_listed_first])
def test_shortcuts_delays_and_loops_too(network):
    assert_as_by_hand(network(), timed(neurons=12, payload_bits=1))


@pytest.mark.parametrize("bits", [1, 8])
@pytest.mark.parametrize(("kind", "most"), [("spikes", 1), ("counts", 3), ("values", 1)])
def test_sequences_too(kind, most, bits):
    assert_as_by_hand(sequence(kind, most), timed(neurons=12, payload_bits=bits))


@settings(max_examples=15)
@given(image_graphs(), st.integers(2, 60))
def test_any_network_does(graph, neurons):
    assert_as_by_hand(graph, timed(neurons=neurons))


def worked(placement, samples=2, seed=0):
    """Made-up work on the cores of a placement."""
    rng = np.random.default_rng(seed)
    shape = (placement.network.time_steps + max(placement.network.depths.values()), samples, placement.cores)
    neurons = np.array([core.load.neurons for core in placement.content])
    events = rng.integers(0, 300, shape) * (rng.random(shape) < 0.7)
    return Activity(events.astype(float), np.floor(rng.random(shape) * (neurons + 1)))


@pytest.fixture(scope="module")
def placed():
    return place(small_lenet(3), timed(neurons=50))


def three(estimate):
    return [getattr(estimate, level) for level in LEVELS]


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.data())
def test_more_spikes_are_never_faster(placed, seed, data):
    work = worked(placed, seed=seed)
    at = tuple(data.draw(st.integers(0, n - 1)) for n in work.events.shape)
    before = latency(placed, work)
    for name in ("events", "spikes"):
        more = getattr(work, name).copy()
        more[at] += data.draw(st.integers(1, 5000))
        after = latency(placed, replace(work, **{name: more}))
        assert all(x <= y for x, y in zip(three(before.seconds), three(after.seconds)))
        rates = before.samples_per_second, after.samples_per_second
        for kind in ("alone", "pipelined"):
            assert all(x >= y for x, y in zip(*(three(getattr(rate, kind)) for rate in rates)))


@settings(max_examples=20)
@given(st.integers(0, 10_000))
def test_the_parts_add_up_and_a_pipeline_is_never_slower(placed, seed):
    found = latency(placed, worked(placed, seed=seed))
    for estimate in (found.seconds, *(row.seconds for row in found.by_step)):
        low, mid, high = three(estimate)
        assert 0 < low <= mid <= high
    for row in found.by_step:
        assert sum(getattr(row, part) for part in PARTS) == pytest.approx(row.seconds.mid, rel=1e-12)
    assert sum(row.seconds.mid for row in found.by_step) == pytest.approx(found.seconds.mid, rel=1e-12)
    assert found.samples_per_second.pipelined.mid >= found.samples_per_second.alone.mid * (1 - 1e-12)


def test_what_binds_is_the_part_with_the_most_time(placed):
    silent = replace(worked(placed), events=np.zeros_like(worked(placed).events))
    silent = replace(silent, spikes=np.zeros_like(silent.spikes))
    found = latency(placed, silent)
    largest = max(core.load.neurons for core in placed.content)
    assert {row.network for row in found.by_step} == {0.0}
    assert found.by_step[0].neurons == pytest.approx(8e-9 * largest)
    assert found.binds.part == ("neurons" if 8 * largest > 110 else "barrier")
    busy = silent.events.copy()
    core = next(core for core in placed.content if core.layer == "lif2")
    busy[:, :, core.number] = 1_000_000
    found = latency(placed, replace(silent, events=busy))
    assert (found.binds.part, found.binds.layer) == ("synapses", "lif2")
    assert found.binds.share > 0.99


@pytest.mark.parametrize("missing", [*KEYS, "barrier"])
def test_a_missing_time_is_refused_nowhere_and_said(placed, missing):
    work = worked(placed)
    whole = latency(placed, work)
    fewer = replace(placed, chip=placed.chip.model_copy(update={"times": times(**{missing: None})}))
    found = latency(fewer, work)
    assert found.seconds.mid < whole.seconds.mid
    assert found.lower_bound
    assert missing.replace("_", " ") in found.leaves_out[0]
    if missing == "neuron_active":  # an active update then takes as long as an inactive one
        row = latency(fewer, replace(work, events=0 * work.events)).by_step[0]
        assert row.neurons == pytest.approx(8e-9 * max(core.load.neurons for core in placed.content))


def test_a_chip_whose_times_are_all_missing_takes_no_time(placed):
    nothing = replace(placed, chip=placed.chip.model_copy(update={"times": Times()}))
    found = latency(nothing, worked(placed))
    assert three(found.seconds) == [0, 0, 0]
    assert found.samples_per_second.alone is found.samples_per_second.pipelined is None
    assert found.binds.share == 0


def test_a_chip_without_times_has_no_latency_and_one_sentence():
    graph = small_lenet()
    placement = place(graph, load_chip("loihi2"))
    said = (
        "Loihi 2 (Intel technology brief 2021): no time per operation of this chip has been published in a source that "
        "we could check, so its latency is not estimated."
    )
    assert no_latency(placement.chip) == said
    with pytest.raises(InputError) as caught:
        latency(placement, activity(graph, placement, *ran(graph)))
    assert str(caught.value) == said


def test_what_a_network_asks_for_beyond_the_chip_is_said():
    graph = small_lenet(3)
    images, trace = ran(graph)

    def said(chip, graph=graph, images=images, trace=trace):
        placement = place(graph, chip)
        found = latency(placement, activity(graph, placement, images, trace))
        assert found.lower_bound == (len(found.leaves_out) > 2)
        return " | ".join(found.leaves_out[:-2])

    assert said(timed()) == ""
    assert said(timed(neurons=5, cores=10)).startswith("Links between chips: the network takes ")
    assert said(timed(payload_bits=1)) == "What the chip does not offer and the network needs: bits per spike"
    product = with_product()
    host = said(timed(), product, *ran(product))
    assert host.startswith("Layer 'attention', which the host computes")


def test_synapses_on_synapses_send_values_through_relays():
    graph = synapses_on_synapses()
    images, trace = ran(graph)
    placement = place(graph, timed(neurons=20))
    work = activity(graph, placement, images, trace)
    depth = placement.network.depths
    assert (depth["depthwise"], depth["lif"], depth["readout"]) == (1, 2, 3)
    relays = [core.number for core in placement.of("depthwise")]
    values = Replay(graph).signals(images, trace)["depthwise"]
    assert work.spikes[:, :, relays].sum() == np.count_nonzero(values)


def test_the_published_ends_of_the_barrier_stand_in_the_energy_profile_too():
    profile, known = load_profile("loihi1-davies-2018"), load_chip("loihi1").times
    assert (profile.chip, profile.static.step.low, profile.static.step.high) == ("loihi1", 113, 465)
    assert (known.barrier.one_tile.mid, known.barrier.all_tiles.mid) == (113, 465)
    for key in KEYS:
        assert "Davies et al. 2018, table 2" in getattr(known, key).source


def test_the_barrier_grows_linearly_from_one_tile_to_all():
    barrier = times().barrier
    assert [barrier.at("low", n) for n in (1, 6, 16, 99)] == pytest.approx([100, 130, 190, 190])
    alone = barrier.model_copy(update={"tiles": Tiles(value=1, unit="tiles", source="a test")})
    assert alone.at("high", 1) == 120


GENERIC = (FOLDER / "generic.toml").read_text()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("low = 5.0 ", "low = 50.0 ", "times.synaptic_operation: low <= mid <= high must hold, found 50.0, 5.0, 10.0"),
        (
            "low = 5.0 ",
            "low = -5.0 ",
            "times.synaptic_operation.low = -5.0: input should be greater than or equal to 0",
        ),
        ('unit = "ns"', 'unit = "us"', "times.synaptic_operation.unit = 'us': input should be 'ns'"),
        ("[times.spike]", "[times.spikes]", "times.spikes: unknown key 'spikes'; did you mean 'spike'?"),
        ("low = 10.0 ", "low = 1.0  ", "times: neuron_active must take at least as long as neuron_inactive"),
        ("value = 16  ", "value = 0   ", "times.barrier.tiles.value = 0: input should be greater than or equal to 1"),
        ("[times.barrier.tiles]", "[times.barrier.tile]", "times.barrier.tile: unknown key 'tile'"),
        ('unit = "ns"\nunverified = "an example"', 'unit = "ns"', "times.synaptic_operation: needs either 'source' or"),
    ],
)
def test_times_that_make_no_sense_are_refused_with_their_key(tmp_path, old, new, message):
    assert old in GENERIC
    path = tmp_path / "mine.toml"
    path.write_text(GENERIC.replace(old, new, 1))
    with pytest.raises(ConfigError) as caught:
        load_chip(path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unverified_times_are_said_with_the_others():
    assert {"times.spike: an example", "times.barrier.one_tile: an example"} <= set(load_chip("generic").unverified())


def test_the_times_in_the_documentation_are_those_of_the_file():
    known = load_chip("loihi1").times
    said = {
        "synaptic operation": known.synaptic_operation,
        "neuron update, active": known.neuron_active,
        "neuron update, inactive": known.neuron_inactive,
        "way of a spike": known.spike,
        "barrier, 1 tile": known.barrier.one_tile,
        "barrier, 32 tiles": known.barrier.all_tiles,
    }
    text = (Path(__file__).parents[2] / "docs" / "energy.md").read_text()
    for name, time in said.items():
        (row,) = [line for line in text.splitlines() if line.startswith(f"| {name} |")]
        shown = [float(cell.replace(",", "")) for cell in row.split("|")[2:5]]
        assert shown == [round(x, 1) for x in three(time)]
